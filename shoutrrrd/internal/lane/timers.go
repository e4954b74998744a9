package lane

import (
	"container/heap"
	"time"
)

// tickSlice is how many alarms one tick takes: those of thousands of lanes may have
// the same time.
const tickSlice = 64

// alarm is when to look at a lane again, at an attempt of it, at a host, or at the whole.
type alarm struct {
	at    time.Time
	set   *time.Time // where its owner keeps its time: another one there has replaced this alarm
	lane  *lane      // nil: a step is enough, as each of them looks at the hosts and asks the store
	hedge int64      // the event whose attempt it is about; 0: the lane
	n     int        // the order in which alarms were set, for those of one time
}

// alarms is a heap of them. One that was replaced stays in it and is passed over.
type alarms struct {
	heap alarmHeap
	n    int
}

// wake sets a lane's alarm, unless it rings before that in any case.
func (c *Core) wake(l *lane, at time.Time) { c.ring(alarm{at: at, set: &l.alarm, lane: l}) }

func (c *Core) wakeHost(h *host, at time.Time) { c.ring(alarm{at: at, set: &h.alarm}) }

func (c *Core) ring(a alarm) {
	if a.at.IsZero() || !a.set.IsZero() && !a.set.After(a.at) {
		return
	}
	*a.set = a.at
	c.alarms.n++
	a.n = c.alarms.n
	heap.Push(&c.alarms.heap, a)
}

// tick takes alarms whose time has come.
func (c *Core) tick(now time.Time) {
	for range tickSlice {
		if at, ok := c.alarms.next(); !ok || at.After(now) {
			return
		}
		a := heap.Pop(&c.alarms.heap).(alarm)
		*a.set = time.Time{}
		switch {
		case a.hedge != 0:
			c.hedge(now, a.lane, a.hedge)
		case a.lane != nil:
			c.look(now, a.lane)
		}
	}
}

func (a *alarms) next() (time.Time, bool) {
	for len(a.heap) > 0 && !a.heap[0].set.Equal(a.heap[0].at) { // replaced
		heap.Pop(&a.heap)
	}
	if len(a.heap) == 0 {
		return time.Time{}, false
	}
	return a.heap[0].at, true
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
