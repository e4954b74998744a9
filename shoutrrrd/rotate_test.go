package main

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/keyleak"
	"github.com/containrrr/shoutrrr/pagerdutytest"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

// rotating is a relay whose key web is to be rotated, with an incident that the old key has
// opened, a page that waits for it and a dead letter.
type rotating struct {
	p        *process
	dir      string
	settings string
	upstream *pagerdutytest.Server
}

// oldKey is the one whose place testKey takes.
const oldKey = "f4a9c27e51b8d036e9c4f17a2b5d80c1"

func startRotating(t *testing.T) *rotating {
	t.Helper()
	r := &rotating{dir: t.TempDir(), upstream: pagerdutytest.NewServer(t, pagerdutytest.Options{})}
	writeFile(t, r.dir, "web.key", oldKey)
	writeFile(t, r.dir, "new.key", testKey)
	r.settings = writeFile(t, r.dir, "web.yaml", rotatePart(t, "yaml before"))
	r.p = start(t, r.dir, "--config", r.settings, "--upstream", r.upstream.URL())
	r.post(t, oldKey, "open", "trigger")
	r.p.drained(t, time.Minute)
	invalid, err := pagerdutytest.ParseFault("400")
	if err != nil {
		t.Fatal(err)
	}
	r.upstream.Inject(invalid)
	r.post(t, oldKey, "dead", "trigger")
	eventually(t, "there is a dead letter", patience, func() bool {
		var status struct{ Dead int }
		r.p.getJSON(t, "/api/status", &status)
		return status.Dead == 1
	})
	r.run(t, "shoutrrr queue pause web --why rotation")
	r.post(t, oldKey, "waits", "trigger")
	r.post(t, oldKey, "open", "acknowledge")
	return r
}

// follows has all lanes send to the upstream that is configured now.
func (p *process) follows(t testing.TB) *process {
	t.Helper()
	var list struct{ Lanes []struct{ ID string } }
	p.getJSON(t, "/api/lanes", &list)
	for _, l := range list.Lanes {
		resp, err := http.Post(p.admin+"/api/lanes/"+l.ID+"/move", "application/json", strings.NewReader(`{"to":"`+l.ID+`","why":"another upstream","force":true}`))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("lane %s: %s", l.ID, resp.Status)
		}
	}
	return p
}

// rotatePart is a file, or commands, of the page.
func rotatePart(t *testing.T, part string) string {
	t.Helper()
	block := regexp.MustCompile("(?s)```" + part + "\n(.*?)```").FindStringSubmatch(readPage(t, "rotate.md"))
	if block == nil {
		t.Fatalf("the page has no part %s", part)
	}
	return block[1]
}

// post sends an event by a key.
func (r *rotating) post(t *testing.T, key, dedup, action string) {
	t.Helper()
	body := strings.Replace(strings.Replace(trigger(dedup, "critical", "database down"), testKey, key, 1), `"trigger"`, `"`+action+`"`, 1)
	if answer, said := r.p.answer(t, body); answer.StatusCode != 202 {
		t.Errorf("%s %s", answer.Status, said)
	}
}

// run runs commands as a user does, before the relay.
func (r *rotating) run(t *testing.T, commands string) string {
	t.Helper()
	return runAsUser(t, r.dir, commands, r.p.admin)
}

// reload has the relay read another file.
func (r *rotating) reload(t *testing.T, text string) {
	t.Helper()
	read := strings.Count(r.p.log.String(), "configuration read")
	writeFile(t, r.dir, "web.yaml", text)
	if err := r.p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the file is read", patience, func() bool { return strings.Count(r.p.log.String(), "configuration read") > read })
}

// leaves wants PagerDuty to have taken the last event of a dedup key by this key, with the
// others before it.
func (r *rotating) leaves(t *testing.T, dedup string, keys ...string) {
	t.Helper()
	var want []string
	for _, text := range keys {
		key, err := eventsv2.ParseKey(text)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, key.Fingerprint())
	}
	var got []string
	eventually(t, dedup+" has left", patience, func() bool {
		got = nil
		for _, entry := range r.upstream.Journal() {
			if entry.DedupKey == dedup && entry.Status == 202 {
				got = append(got, entry.Key)
			}
		}
		return len(got) >= len(want)
	})
	if !slices.Equal(got, want) {
		t.Errorf("the events of %s left by %v, want %v", dedup, got, want)
	}
}

// lane is how a lane stands.
func (r *rotating) lane(t *testing.T, name string) (l struct {
	Retiring  bool
	Open      int
	Removable bool `json:"safe_to_remove"`
	Condition string
	Queued    int
},
) {
	t.Helper()
	r.p.getJSON(t, "/api/lanes/"+name, &l)
	return l
}

// The page on rotation does what it says: by the word formerly, and by another key in the
// same file.
func TestRotatePage(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"formerly", "file"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			r := startRotating(t)
			if way == "formerly" {
				r.reload(t, rotatePart(t, "yaml after"))
				if said := r.run(t, rotatePart(t, "sh check")); !strings.Contains(said, "formerly key-") {
					t.Errorf("check does not name the old key:\n%s", said)
				}
			} else {
				writeFile(t, r.dir, "web.key", testKey)
				r.reload(t, rotatePart(t, "yaml before"))
			}
			former, err := eventsv2.ParseKey(oldKey)
			if err != nil {
				t.Fatal(err)
			}
			old := "web-formerly-" + strings.TrimPrefix(former.Fingerprint(), "key-")[:8]
			r.leaves(t, "waits", testKey)
			r.run(t, "shoutrrr queue requeue --filter state:dead --why rotation --yes")
			r.leaves(t, "dead", testKey)
			if l := r.lane(t, old); !l.Retiring || l.Open != 1 || l.Removable {
				t.Errorf("the lane of the old key: %+v", l)
			}
			if said := r.run(t, rotatePart(t, "sh watch")); !strings.Contains(said, "1 open, then safe to remove") {
				t.Errorf("the lanes are\n%s", said)
			}
			r.run(t, "shoutrrr queue resume "+old+" --why rotation")
			r.leaves(t, "open", oldKey, oldKey)
			r.post(t, oldKey, "later", "trigger") // of a client that does not know the new key
			r.leaves(t, "later", testKey)
			if err := r.p.stop(t); err != nil {
				t.Fatal(err)
			}
			r.p = start(t, r.dir, "--config", r.settings, "--upstream", r.upstream.URL())
			r.post(t, testKey, "open", "resolve")
			r.leaves(t, "open", oldKey, oldKey, oldKey)
			eventually(t, "the old key can go", patience, func() bool { return r.lane(t, old).Removable })
			if said := r.run(t, rotatePart(t, "sh watch")); !strings.Contains(said, "it is safe to remove") {
				t.Errorf("the lanes are\n%s", said)
			}
			keyleak.Check(t, oldKey, keyleak.Text("the log", r.p.log.String()), keyleak.Text("the lanes", r.p.get(t, "/api/lanes")))
		})
	}
}

// An operator moves what is in a lane by the command of the page.
func TestMoveOnThePage(t *testing.T) {
	t.Parallel()
	r := startRotating(t)
	r.reload(t, strings.ReplaceAll(rotatePart(t, "yaml before"), "alias: web", "alias: other")+"  - {alias: web, key: file:new.key}\n")
	said := r.run(t, rotatePart(t, "sh move"))
	for _, want := range []string{"1 queued event (1 critical) of 1 incident and 1 dead letter from other to web", "1 incident stay in other"} {
		if !strings.Contains(said, want) {
			t.Errorf("it says not %q:\n%s", want, said)
		}
	}
	r.leaves(t, "waits", testKey)
	r.run(t, "shoutrrr queue requeue --filter state:dead --why moved --yes")
	r.leaves(t, "dead", testKey)
	r.run(t, "shoutrrr queue resume other --why moved")
	r.leaves(t, "open", oldKey, oldKey)
	if log := r.p.log.String(); !strings.Contains(log, "what was in a lane was moved") || !strings.Contains(log, "it was the wrong key") {
		t.Errorf("the log does not tell of the move:\n%s", log)
	}
}

// What waits for an upstream of its own goes nowhere else when its key leaves the file: not
// by a reload, not by a restart. An operator can have it go.
func TestKeyLeavesTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	common, own := pagerdutytest.NewServer(t, pagerdutytest.Options{}), pagerdutytest.NewServer(t, pagerdutytest.Options{})
	writeFile(t, dir, "web.key", oldKey)
	before := "keys:\n  - {alias: rehearsal, key: file:web.key, upstream: '" + own.URL() + "'}\n"
	r := &rotating{dir: dir, upstream: common, settings: writeFile(t, dir, "web.yaml", before)}
	r.p = start(t, dir, "--config", r.settings, "--upstream", common.URL())
	r.run(t, "true")
	r.post(t, oldKey, "first", "trigger")
	r.p.drained(t, time.Minute)
	r.run(t, "shoutrrr queue pause rehearsal --why exercise")
	r.post(t, oldKey, "waits", "trigger")
	const without = "log_level: info\n"
	r.reload(t, without)
	former, _ := eventsv2.ParseKey(oldKey)
	name := former.Fingerprint()
	r.run(t, "shoutrrr queue resume "+name+" --why 'it is over'")
	r.post(t, oldKey, "later", "trigger")
	stops := func() {
		t.Helper()
		eventually(t, "the lane stops", patience, func() bool { return r.lane(t, name).Condition == "upstream_not_configured" })
		if l := r.lane(t, name); l.Queued != 2 {
			t.Errorf("the lane is %+v", l)
		}
	}
	stops()
	if log := r.p.log.String(); !strings.Contains(log, "upstream is not configured") || !strings.Contains(log, own.URL()) || !strings.Contains(log, "shoutrrr queue move "+name+" "+name) {
		t.Errorf("the log does not tell of it, and what to do:\n%s", log)
	}
	if said := r.run(t, "shoutrrr status"); !strings.Contains(said, "is not configured") {
		t.Errorf("the status does not tell of it:\n%s", said)
	}
	if err := r.p.stop(t); err != nil {
		t.Fatal(err)
	}
	r.p = start(t, dir, "--config", r.settings, "--upstream", common.URL())
	stops()
	if n := len(common.Journal()); n > 0 {
		t.Errorf("%d requests went to the common upstream", n)
	}
	if said := r.run(t, "shoutrrr queue move "+name+" "+name+" --dry-run"); !strings.Contains(said, own.URL()) || !strings.Contains(said, "2 queued events") {
		t.Errorf("what would move: %s", said)
	}
	r.run(t, "shoutrrr queue move "+name+" "+name+" --why 'it is meant' --yes")
	r.leaves(t, "waits", oldKey)
	r.leaves(t, "later", oldKey)
}
