package lane

import (
	"container/heap"
	"time"
)

// share is one of the two parts of a lane's window. They are counted apart: were
// the kept one the rest of a common window, criticals without end would take each
// slot that becomes free, and nothing else would ever leave.
type share uint8

const (
	common share = iota // for all
	kept                // a tenth, for critical events when the common one is full
	shares
)

// window holds the slots of events that were, or may have been, accepted. A slot
// is held for the length of the window from the answer on: the acceptance came
// before that, so in no window, wherever it begins, are there more than held slots.
type window struct {
	until  []time.Time // when each slot becomes free, in order
	flying int         // slots of attempts that have not been answered
}

// hold takes a slot until then.
func (w *window) hold(until time.Time) {
	w.until = append(w.until, until)
	for i := len(w.until) - 1; i > 0 && w.until[i].Before(w.until[i-1]); i-- { // only at the start
		w.until[i], w.until[i-1] = w.until[i-1], w.until[i]
	}
}

// held returns the number of slots that are taken by what was answered.
func (w *window) held(now time.Time) int {
	gone := 0
	for gone < len(w.until) && !w.until[gone].After(now) {
		gone++
	}
	w.until = w.until[gone:]
	return len(w.until)
}

// used returns the number of slots that are taken.
func (w *window) used(now time.Time) int { return w.held(now) + w.flying }

// below returns when fewer than n slots will be taken; the zero time if only an
// answer can bring that about.
func (w *window) below(n int) time.Time {
	if i := len(w.until) + w.flying - n; i >= 0 && i < len(w.until) {
		return w.until[i]
	}
	return time.Time{}
}

// alarm is when to look at a lane or a host again.
type alarm struct {
	at   time.Time
	lane *lane
	host *host
	n    int // the order in which alarms were set, for those of one time
}

// alarms is a heap of them. One that was replaced stays in it and is passed over.
type alarms struct {
	heap alarmHeap
	n    int
}

func (a *alarms) set(x alarm) {
	a.n++
	x.n = a.n
	heap.Push(&a.heap, x)
}

// stale reports whether an alarm was replaced.
func (x *alarm) stale() bool {
	if x.lane != nil {
		return !x.lane.alarm.Equal(x.at)
	}
	return !x.host.alarm.Equal(x.at)
}

func (a *alarms) next() (time.Time, bool) {
	for len(a.heap) > 0 && a.heap[0].stale() {
		heap.Pop(&a.heap)
	}
	if len(a.heap) == 0 {
		return time.Time{}, false
	}
	return a.heap[0].at, true
}

// due takes the first alarm whose time has come.
func (a *alarms) due(now time.Time) (alarm, bool) {
	if at, ok := a.next(); !ok || at.After(now) {
		return alarm{}, false
	}
	return heap.Pop(&a.heap).(alarm), true
}

// wake sets a lane's alarm, unless it rings before that in any case.
func (c *Core) wake(l *lane, at time.Time) {
	if at.IsZero() || !l.alarm.IsZero() && !l.alarm.After(at) {
		return
	}
	l.alarm = at
	c.alarms.set(alarm{at: at, lane: l})
}

func (c *Core) wakeHost(h *host, at time.Time) {
	if !h.alarm.IsZero() && !h.alarm.After(at) {
		return
	}
	h.alarm = at
	c.alarms.set(alarm{at: at, host: h})
}

type alarmHeap []alarm

func (h alarmHeap) Len() int { return len(h) }
func (h alarmHeap) Less(i, j int) bool {
	if h[i].at.Equal(h[j].at) {
		return h[i].n < h[j].n
	}
	return h[i].at.Before(h[j].at)
}
func (h alarmHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *alarmHeap) Push(x any)   { *h = append(*h, x.(alarm)) }
func (h *alarmHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
