package relay_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// of is the event that a request is about. A change event that tells of alerts has the
// number of the last one.
func (j *judge) of(r *request) *record {
	if id, isNote := j.noteOf[r.n]; isNote && r.action == "" {
		return j.records[id]
	}
	return j.records[j.idOf[r.n]]
}

// folded sees the store fold events into one that tells of them: none of which anything
// PagerDuty has got, or may have, or has open.
func (j *judge) folded(m queue.Merged) {
	j.reached["folded"]++
	var last *record // that the change event is made of
	open, most := false, queue.Info
	for _, id := range m.Events {
		x := j.records[id]
		if x == nil {
			j.w.fail("event %d was folded, and was not kept", id)
			return
		}
		if x.got || len(x.takes) > 0 || x.ended || x.flying {
			j.w.fail("event %d (%s) of %v was folded into %d: PagerDuty may have got it %v, ended %v, in flight %v: %s", id, x.action, x.chain, m.Teller, x.got, x.ended, x.flying, j.story(j.chain(x.chain)))
		}
		if x.attempted {
			j.reached["folded after an attempt in vain"]++
		}
		if j.w.o.waiting == "all" {
			j.w.fail("event %d was folded, and all are to be sent", id)
		}
		switch x.action {
		case eventsv2.Trigger:
			if most = min(most, x.severity); !open {
				last, open = x, true
			}
		case eventsv2.Resolve:
			open = false
		}
		j.end(x, queue.Dropped)
		x.teller = m.Teller
	}
	if !m.Note {
		teller := j.records[m.Teller]
		if teller == nil || teller.ended || teller.action != eventsv2.Trigger {
			j.w.fail("event %d tells of others, which it cannot", m.Teller)
			return
		}
		teller.severity, teller.tells, teller.hasTold = min(teller.severity, most), true, false
		return
	}
	j.reached["folded into a change event"]++
	if j.w.o.waiting != "note" {
		j.w.fail("a change event tells of %d events of %q, and the setting is %q", len(m.Events), m.DedupKey, j.w.o.waiting)
	}
	if last == nil {
		j.w.fail("a change event tells of events of %q among which there is no trigger", m.DedupKey)
		return
	}
	j.places += placeStep
	note := &record{
		id: m.Teller, chain: chainID{last.chain.service, fmt.Sprintf("note %d of %s", m.Teller, last.chain.dedup)}, severity: queue.Info, lane: m.Lane, place: j.places, latest: last.latest,
		kept: time.Now(), since: j.w.machine.moment(), takes: map[int]int{}, tells: true,
	}
	c := j.chain(note.chain)
	c.pending++
	c.records = append(c.records, note)
	j.records[note.id], j.noteOf[last.latest] = note, note.id
}

// lonely looks whether a trigger that leaves for the first time, after it has waited, leaves
// pairs behind it that could be folded: at most one page of a chain that has waited is left.
// It counts what had come two seconds ago, and leaves out what may be open, and what may have
// been in flight when a process ended.
func (j *judge) lonely(x *record) {
	l := j.w.life
	if x.action != eventsv2.Trigger || x.attempted || x.maybe || j.w.o.waiting == "all" || j.w.o.damage || time.Since(x.kept) < queue.FoldAfter+2*time.Second || l == nil || l.began.After(x.kept) {
		return
	}
	closed, resolves, again, behind := true, false, false, 0 // what was sent last of the chain has closed it; behind the trigger there are a resolve, and then another trigger
	for _, other := range slices.SortedFunc(slices.Values(j.chain(x.chain).records), func(a, b *record) int { return a.place - b.place }) {
		switch {
		case other.teller != 0:
		case other.place < x.place && other.attempted:
			closed = other.action == eventsv2.Resolve && other.ended && other.state == queue.Delivered && other.lane == x.lane
		case other.place <= x.place || other.ended || time.Since(other.kept) < 2*time.Second:
		case other.attempted || other.lane != x.lane:
			return
		default:
			again = again || resolves && other.action == eventsv2.Trigger
			resolves = resolves || other.action == eventsv2.Resolve
			behind++
		}
	}
	if closed && again && behind < 400 {
		j.w.fail("event %d of %v leaves by itself after %s, and pairs wait behind it: %s", x.id, x.chain, time.Since(x.kept), j.story(j.chain(x.chain)))
	}
}

// toldOf looks whether each event that was not sent is told by one that PagerDuty has, or
// that is a dead letter or was given up by an operator.
func (j *judge) toldOf() {
	for _, x := range j.records {
		if x.teller == 0 {
			continue
		}
		teller := x
		for n := 0; teller != nil && teller.teller != 0 && n < 1000; n++ {
			teller = j.records[teller.teller]
		}
		switch {
		case teller == nil || teller.teller != 0:
			j.w.fail("event %d (%s) of %v was folded into %d, which is not there", x.id, x.action, x.chain, x.teller)
		case !teller.ended:
			j.w.fail("event %d (%s) of %v is told by %d, which is neither delivered nor a dead letter", x.id, x.action, x.chain, teller.id)
		case !strings.Contains("delivered refused expired dropped", teller.state.String()):
			j.w.fail("event %d is told by %d, which has ended as %s", x.id, teller.id, teller.state)
		}
	}
}
