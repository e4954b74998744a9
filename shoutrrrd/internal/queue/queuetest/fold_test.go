package queuetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// folding is one chain on its way to a PagerDuty of which the incident is known.
type folding struct {
	t       *testing.T
	name    string
	model   *Model
	now     time.Time
	state   string          // of the incident at PagerDuty: "", "triggered", "acknowledged"
	want    string          // what it is when each event is sent
	pages   int             // incidents that were opened
	tried   map[int64]bool  // PagerDuty has got it, or may have
	into    map[int64]int64 // events that went into others when they came
	arrived map[int64]bool  // at PagerDuty
	put     []queue.Placed
	trigger []int64 // numbers of the triggers that were put
}

// after is the state of an incident after an action.
func after(state string, action eventsv2.Action) string {
	switch {
	case action == eventsv2.Trigger && state == "":
		return "triggered"
	case action == eventsv2.Acknowledge && state != "":
		return "acknowledged"
	case action == eventsv2.Resolve:
		return ""
	}
	return state
}

func (f *folding) take(e *queue.Event) {
	if f.arrived[e.ID] = true; e.Kind == queue.Change {
		return
	}
	if f.state == "" && e.Action == eventsv2.Trigger {
		f.pages++
	}
	f.state = after(f.state, e.Action)
}

func (f *folding) comes(action eventsv2.Action, severity queue.Rank) {
	f.now = f.now.Add(time.Second)
	placed, _ := f.model.Put(context.Background(), queue.New{
		Lane: 1, Action: action, DedupKey: "a", Severity: severity, Accepted: f.now, Summary: "flaps", Source: "web", Body: []byte(`{"payload":{"summary":"flaps"}}`),
	})
	f.put = append(f.put, placed)
	if f.want = after(f.want, action); action == eventsv2.Trigger {
		f.trigger = append(f.trigger, placed.ID)
	}
}

// attempt makes one attempt to send what is ready, and returns whether something was.
func (f *folding) attempt(way queue.WhileWaiting, taken bool, x queue.Settlement) bool {
	answers, _ := f.model.Claim(context.Background(), []queue.Ask{{Lane: 1, N: 1, Way: way}})
	if len(answers[0].Events) == 0 {
		return answers[0].More
	}
	e := &answers[0].Events[0]
	f.tried[e.ID] = f.tried[e.ID] || taken || x.MaybeAccepted || x.State == queue.Delivered
	if taken {
		f.take(e)
	}
	x.ID, x.Claim, x.At, x.Tried = e.ID, e.Claim, f.now, true
	if x.State == queue.Waiting {
		x.Due = f.now.Add(time.Second)
	}
	if err := Settle(context.Background(), f.model, x); err != nil {
		f.t.Fatal(err)
	}
	return true
}

// starts are what was known of the incident when the outage began.
var starts = map[string]func(f *folding){
	"nothing": func(*folding) {},
	"open": func(f *folding) {
		f.comes(eventsv2.Trigger, queue.Error)
		f.attempt(queue.SendAll, true, queue.Settlement{State: queue.Delivered})
	},
	"acknowledged": func(f *folding) {
		f.comes(eventsv2.Trigger, queue.Error)
		f.attempt(queue.SendAll, true, queue.Settlement{State: queue.Delivered})
		f.comes(eventsv2.Acknowledge, queue.Error)
		f.attempt(queue.SendAll, true, queue.Settlement{State: queue.Delivered})
	},
	"resolved": func(f *folding) {
		f.comes(eventsv2.Trigger, queue.Error)
		f.attempt(queue.SendAll, true, queue.Settlement{State: queue.Delivered})
		f.comes(eventsv2.Resolve, queue.Error)
		f.attempt(queue.SendAll, true, queue.Settlement{State: queue.Delivered})
	},
	"a trigger was taken and its answer lost": func(f *folding) {
		f.comes(eventsv2.Trigger, queue.Error)
		f.attempt(queue.SendAll, true, queue.Settlement{State: queue.Waiting, MaybeAccepted: true})
		f.comes(eventsv2.Resolve, queue.Error)
	},
	"a trigger was lost": func(f *folding) {
		f.comes(eventsv2.Trigger, queue.Error)
		f.attempt(queue.SendAll, false, queue.Settlement{State: queue.Waiting, MaybeAccepted: true})
		f.comes(eventsv2.Resolve, queue.Error)
	},
	"a trigger reached nobody": func(f *folding) {
		f.comes(eventsv2.Trigger, queue.Error)
		f.attempt(queue.SendAll, false, queue.Settlement{State: queue.Waiting})
		f.comes(eventsv2.Resolve, queue.Error)
	},
	"open, and its resolve was lost": func(f *folding) {
		f.comes(eventsv2.Trigger, queue.Error)
		f.attempt(queue.SendAll, true, queue.Settlement{State: queue.Delivered})
		f.comes(eventsv2.Resolve, queue.Error)
		f.attempt(queue.SendAll, false, queue.Settlement{State: queue.Waiting, MaybeAccepted: true})
	},
	"a trigger was taken and the relay killed": func(f *folding) {
		f.comes(eventsv2.Trigger, queue.Error)
		taken, _ := f.model.Claim(context.Background(), []queue.Ask{{Lane: 1, N: 1}})
		f.take(&taken[0].Events[0])
		f.tried[taken[0].Events[0].ID] = true
		f.model.Restart()
		f.comes(eventsv2.Resolve, queue.Error)
	},
	"open, and the relay was killed": func(f *folding) {
		f.comes(eventsv2.Trigger, queue.Error)
		f.attempt(queue.SendAll, true, queue.Settlement{State: queue.Delivered})
		f.model.Crashed()
		f.model.Restart()
	},
}

// Whatever PagerDuty has open when an outage begins, and whatever comes meanwhile: at the
// end the incident is what the last event has said, each trigger has arrived or is told by
// an event that has, what PagerDuty may have got is never folded, and of the rest at most
// one page is left.
func TestFoldedChainsEndAsTheyShould(t *testing.T) {
	actions := []eventsv2.Action{eventsv2.Trigger, eventsv2.Acknowledge, eventsv2.Resolve}
	folds := 0
	for name, start := range starts {
		for _, way := range []queue.WhileWaiting{queue.SendOne, queue.SendNote} {
			for length := 1; length <= 6; length++ {
				count := 1
				for range length {
					count *= len(actions)
				}
				for n := range count {
					f := &folding{t: t, model: NewModel(), now: time.UnixMilli(1_800_000_000_000).UTC(), tried: map[int64]bool{}, into: map[int64]int64{}, arrived: map[int64]bool{}}
					f.name = fmt.Sprintf("%s, %s:", name, way)
					f.model.Now = func() time.Time { return f.now }
					key, _ := eventsv2.ParseKey(Keys[0])
					_, _ = f.model.Lane(context.Background(), key)
					start(f)
					before, stray := f.pages, false
					for i, left := 0, n; i < length; i, left = i+1, left/len(actions) {
						action := actions[left%len(actions)]
						f.name += " " + string(action)
						stray = stray || action == eventsv2.Acknowledge && f.want == ""
						f.comes(action, queue.Rank(i%queue.Ranks))
					}
					f.drain(way)
					f.judge(way, f.pages-before, name, stray)
					for _, e := range f.model.All() {
						if e.ToldBy() != 0 {
							folds++
						}
					}
					if t.Failed() {
						return
					}
				}
			}
		}
	}
	if folds < 1000 {
		t.Errorf("only %d events were folded", folds)
	}
}

// drain lets PagerDuty accept everything after the outage.
func (f *folding) drain(way queue.WhileWaiting) {
	f.now = f.now.Add(queue.FoldAfter)
	_, _ = f.model.Wake(context.Background(), f.now, 0)
	for range 100 {
		if !f.attempt(way, true, queue.Settlement{State: queue.Delivered}) {
			return
		}
	}
	f.t.Errorf("%s it does not end", f.name)
}

// judge looks at the end. Stray says that something was acknowledged which was not open, as
// far as the relay knows: then PagerDuty may have what the
// relay does not know, and the next pair is sent.
func (f *folding) judge(way queue.WhileWaiting, pages int, start string, stray bool) {
	events := map[int64]queue.Event{}
	for _, e := range f.model.All() {
		events[e.ID] = e
		if e.ToldBy() != 0 && f.tried[e.ID] {
			f.t.Errorf("%s event %d may have been taken, and is folded", f.name, e.ID)
		}
	}
	if f.state != f.want {
		f.t.Errorf("%s the incident is %q, want %q", f.name, f.state, f.want)
	}
	for _, id := range f.trigger {
		teller := id
		for range len(events) {
			e := events[teller]
			if e.ToldBy() == 0 {
				break
			}
			teller = e.ToldBy()
		}
		if e := events[teller]; !f.arrived[teller] || teller != id && e.Folded.Pairs == 0 {
			f.t.Errorf("%s trigger %d has not arrived, nor an event that tells of it: %d", f.name, id, teller)
		}
	}
	most := 1
	switch {
	case start == "nothing" || start == "resolved" || start == "a trigger reached nobody":
		if way == queue.SendNote && f.want == "" {
			most = 0
		}
	default:
		most = 2 // what may have been taken, or is open, goes its own way first
	}
	if pages > most && !stray {
		f.t.Errorf("%s %d pages, at most %d are wanted", f.name, pages, most)
	}
}
