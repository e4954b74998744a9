package notify

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pagerdutytest"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/google/go-cmp/cmp"
)

// A look at one moment of a story: what is wrong then, and what every way should know.
type moment struct {
	at      time.Duration
	lanes   []Lane
	dead    []Dead
	trouble time.Duration // since when the queue takes no events; 0: it does
	want    string        // the outages: upstream and stage, "-" for one that is not sure yet
}

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// waits is a lane of upstream a in which a critical event has waited since that time.
func waits(name string, since time.Duration) Lane {
	return Lane{Name: name, Upstream: "https://a", Waiting: 1, Oldest: begin.Add(since)}
}

func paused(l Lane) Lane {
	l.Paused = true
	return l
}

func at(upstream string, l Lane) Lane {
	l.Upstream = upstream
	return l
}

func TestJudge(t *testing.T) {
	const after = 3 * time.Minute
	rejected := []Dead{{Upstream: "https://a", Rejected: 1, Why: "no"}}
	for name, story := range map[string][]moment{
		"nothing is wrong": {{at: 0, want: ""}, {at: time.Hour, lanes: []Lane{waits("db", time.Hour-time.Minute)}, want: ""}},
		"one outage, however many events and lanes": {
			{at: 3 * time.Minute, lanes: []Lane{waits("db", 0)}, want: ""},
			{at: 181 * time.Second, lanes: []Lane{waits("db", 0)}, want: "https://a -"},
			{at: 190 * time.Second, lanes: []Lane{waits("db", 0)}, want: "https://a -"},
			{at: 191 * time.Second, lanes: []Lane{waits("db", 0), waits("web", time.Second)}, want: "https://a firing"},
			{at: time.Hour, lanes: []Lane{waits("db", 0), waits("web", time.Second)}, want: "https://a firing"},
			{at: time.Hour + time.Second, lanes: []Lane{waits("web", time.Second)}, want: "https://a firing"},
			{at: time.Hour + 2*time.Second, want: "https://a firing"},
			{at: time.Hour + 2*time.Second + after, want: "https://a resolved"},
		},
		"what is late again while it is quiet belongs to the same outage": {
			{at: 181 * time.Second, lanes: []Lane{waits("db", 0)}, want: "https://a -"},
			{at: 191 * time.Second, lanes: []Lane{waits("db", 0)}, want: "https://a firing"},
			{at: 200 * time.Second, want: "https://a firing"},
			{at: 370 * time.Second, lanes: []Lane{waits("db", 150*time.Second)}, want: "https://a firing"},
			{at: 390 * time.Second, want: "https://a firing"},
			{at: 569 * time.Second, want: "https://a firing"},
			{at: 570 * time.Second, want: "https://a resolved"},
		},
		"old events that leave at once are none": {
			{at: time.Hour, lanes: []Lane{waits("db", 0)}, want: "https://a -"},
			{at: time.Hour + 9*time.Second, want: ""},
		},
		"rejected": {
			{at: time.Minute, dead: rejected, want: "https://a firing"},
			{at: 2 * time.Minute, dead: rejected, want: "https://a firing"},
			{at: 3 * time.Minute, want: "https://a firing"},
			{at: 6 * time.Minute, want: "https://a resolved"},
			{at: 7 * time.Minute, dead: rejected, want: "https://a resolved, https://a firing"},
		},
		"each upstream has its own": {
			{at: 181 * time.Second, lanes: []Lane{waits("db", 0), at("https://b", waits("eu", 179*time.Second))}, want: "https://a -"},
			{at: 191 * time.Second, lanes: []Lane{waits("db", 0), at("https://b", waits("eu", 179*time.Second))}, dead: []Dead{{Upstream: "https://b", Expired: 1}}, want: "https://a firing, https://b firing"},
		},
		"a lane that an operator has paused begins none": {{at: time.Hour, lanes: []Lane{paused(waits("db", 0))}, want: ""}},
		"to pause a lane ends none": {
			{at: 181 * time.Second, lanes: []Lane{waits("db", 0)}, want: "https://a -"},
			{at: 191 * time.Second, lanes: []Lane{waits("db", 0)}, want: "https://a firing"},
			{at: time.Hour, lanes: []Lane{paused(waits("db", 0))}, want: "https://a firing"},
		},
		"only what does not page": {{at: time.Hour, lanes: []Lane{{Name: "db", Upstream: "https://a", Waiting: 1}}, want: ""}},
		"the queue turns events away": {
			{at: 14 * time.Second, trouble: time.Nanosecond, want: ""},
			{at: 16 * time.Second, trouble: time.Nanosecond, want: " firing"},
			{at: 20 * time.Second, want: " firing"},
			{at: 20*time.Second + after, want: " resolved"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var book []Outage
			for _, m := range story {
				f := Facts{At: begin.Add(m.at), Lanes: m.lanes, Dead: slices.Clone(m.dead)}
				for i := range f.Dead {
					f.Dead[i].At = f.At
				}
				if m.trouble > 0 {
					f.Trouble, f.TroubleSince = "the disk is full", begin.Add(m.trouble)
				}
				before := snapshot(book)
				next := Judge(book, f, after)
				if diff := cmp.Diff(before, book, cmp.AllowUnexported(Outage{})); diff != "" {
					t.Fatalf("after %s it has changed what was: %s", m.at, diff)
				}
				book = next
				var got []string
				for i := range book {
					stage := string(book[i].stage())
					if stage == "" {
						stage = "-"
					}
					got = append(got, book[i].Upstream+" "+stage)
				}
				if said := strings.Join(got, ", "); said != m.want {
					t.Fatalf("after %s: got %q, want %q", m.at, said, m.want)
				}
			}
		})
	}
}

func TestMessage(t *testing.T) {
	f := Facts{At: begin.Add(20 * time.Minute), Dead: []Dead{{Upstream: "https://events.pagerduty.com", Rejected: 2, At: begin.Add(5 * time.Minute), Why: "invalid"}}}
	for i := range 12 {
		f.Lanes = append(f.Lanes, Lane{Name: fmt.Sprintf("lane-%02d", i), Upstream: "https://events.pagerduty.com", Waiting: 2, Oldest: begin.Add(time.Duration(i) * time.Minute), Why: "500 Internal Server Error"})
	}
	m := Judge(nil, f, time.Minute)[0].message("relay-1", itself)
	if want := "shoutrrrd on relay-1: 24 critical events are not delivered to events.pagerduty.com, the oldest has waited 20 min; 2 critical events were rejected or expired: 500 Internal Server Error"; m.Subject != want {
		t.Errorf("subject %q", m.Subject)
	}
	want := `
Upstream: https://events.pagerduty.com
Began:    2026-03-01 12:00:00 UTC
Waiting:  24 critical events, the oldest since 2026-03-01 12:00:00 UTC
Given up: 2 rejected, 0 expired; they are dead letters until somebody decides
Reason:   500 Internal Server Error
Lanes:
  lane-00: 2, the oldest since 2026-03-01 12:00:00 UTC: 500 Internal Server Error
`
	if !strings.Contains(m.Text, want) || !strings.Contains(m.Text, "  and 2 more lanes\n") || !strings.Contains(m.Text, "shoutrrr queue list --state dead\n") {
		t.Errorf("text:\n%s", m.Text)
	}
	if m.Outage != "shoutrrrd/relay-1/events.pagerduty.com/1772366400" || len(m.Lanes) != maxShown || m.NotShown != 2 || m.Waiting != 24 {
		t.Errorf("%+v", m)
	}
}

// The end of an outage in which pages were given up says so, and leaves the incident of a
// second key to a person: nobody may have seen those pages.
func TestWhatWasGivenUpStaysAnIncident(t *testing.T) {
	for _, givenUp := range []bool{false, true} {
		upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{})
		key, err := eventsv2.ParseKey("0123456789abcdef0123456789abcdef")
		if err != nil {
			t.Fatal(err)
		}
		way := PagerDuty{Client: &eventsv2.Client{BaseURL: upstream.URL()}, Key: key}
		o := Outage{Upstream: "https://events.pagerduty.com", Began: begin, Called: begin}
		want, subject := "resolved", "is late any more"
		if givenUp {
			o.Rejected, want, subject = 1, "triggered", "is late any more; 1 was given up, see the dead letters"
		}
		if err := way.Send(t.Context(), o.message("relay-1", itself)); err != nil {
			t.Fatal(err)
		}
		o.Ended = begin.Add(time.Hour)
		end := o.message("relay-1", itself)
		if err := way.Send(t.Context(), end); err != nil {
			t.Fatal(err)
		}
		if got := upstream.Incidents(); len(got) != 1 || got[0].Status != want {
			t.Errorf("given up %v: %+v, want it %s", givenUp, got, want)
		}
		if !strings.HasSuffix(end.Subject, subject) {
			t.Errorf("%q", end.Subject)
		}
	}
}

func itself(at time.Time) time.Time { return at }

// When the wall clock is set while an outage lasts, the message has the dates of the new one,
// how long something has waited stays true, and the outage keeps its name.
func TestMessageHasDates(t *testing.T) {
	began := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	o := Outage{
		Upstream: "https://events.pagerduty.com", Began: began, Seen: began.Add(time.Minute), Called: began.Add(time.Minute),
		lanes: []Lane{{Name: "db", Waiting: 1, Oldest: began}}, at: began.Add(5 * time.Minute),
	}
	before := o.message("relay-1", itself)
	after := o.message("relay-1", func(at time.Time) time.Time { return at.AddDate(10, 0, 0) })
	if want := began.AddDate(10, 0, 0); !after.Began.Equal(want) || !after.Oldest.Equal(want) || !after.Lanes[0].Oldest.Equal(want) {
		t.Errorf("it has the dates %s, %s and %s", after.Began, after.Oldest, after.Lanes[0].Oldest)
	}
	if after.Outage != before.Outage || after.Subject != before.Subject {
		t.Errorf("%q %q became %q %q", before.Outage, before.Subject, after.Outage, after.Subject)
	}
	if !o.lanes[0].Oldest.Equal(began) {
		t.Error("the outage itself has changed")
	}
}

// A book that is beside another queue than its own has times of the future. What is quiet in it
// ends when it would, and keeps its name.
func TestBookOfTheFuture(t *testing.T) {
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	later := now.AddDate(10, 0, 0)
	path := filepath.Join(t.TempDir(), "book")
	if err := writeBook(path, []Outage{{Upstream: "https://events.pagerduty.com", Began: later, Seen: later, Called: later, Quiet: later}}); err != nil {
		t.Fatal(err)
	}
	book, err := readBook(path, now)
	if err != nil {
		t.Fatal(err)
	}
	id := book[0].id("relay-1")
	book = Judge(book, Facts{At: now.Add(time.Minute)}, time.Minute)
	if len(book) != 1 || !book[0].Ended.Equal(now.Add(time.Minute)) || book[0].id("relay-1") != id {
		t.Errorf("%+v", book)
	}
}
