package relay

import (
	"sync"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// mailbox is a queue between goroutines whose senders never wait. The core's loop
// waits for the queue's writer, and the writer announces to the loop: were either
// of them to wait for room in a channel, both could wait for ever. What is in a
// mailbox is bounded by what is in flight.
type mailbox[T any] struct {
	mu     sync.Mutex
	items  []T
	signal chan struct{} // has a value if there may be items
	closed bool
}

func newMailbox[T any]() *mailbox[T] { return &mailbox[T]{signal: make(chan struct{}, 1)} }

func (m *mailbox[T]) put(item T) {
	m.mu.Lock()
	m.items = append(m.items, item)
	m.mu.Unlock()
	wake(m.signal)
}

func wake(signal chan struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}

// take returns what is there, and whether more can come.
func (m *mailbox[T]) take() (items []T, open bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	items, m.items = m.items, nil
	return items, !m.closed
}

// some returns at most n of what is there, the first ones; the signal stays for the
// others.
func (m *mailbox[T]) some(n int) []T {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.items) <= n {
		items := m.items
		m.items = nil
		return items
	}
	items := m.items[:n:n]
	m.items = m.items[n:]
	wake(m.signal)
	return items
}

// close says that nothing more comes.
func (m *mailbox[T]) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	wake(m.signal)
}

// hints are announcements that the core has not heard of, in the order in which they
// came: many of one lane and rank are one. So there are at most as many as lanes and
// ranks. Those of lanes that are open or trusted go before those of strangers' lanes that
// have to be looked up first, of which unknown keys can make thousands at once.
type hints struct {
	mu     sync.Mutex
	known  map[hint]struct{}
	byRank [queue.Ranks][2][]int64 // the lanes: those that were open or trusted when the announcement came, and the others
	signal chan struct{}
}

func newHints() *hints {
	return &hints{known: map[hint]struct{}{}, signal: make(chan struct{}, 1)}
}

func (h *hints) add(x hint, first bool) {
	part := 1
	if first {
		part = 0
	}
	h.mu.Lock()
	_, known := h.known[x]
	if !known {
		h.known[x] = struct{}{}
		h.byRank[x.rank][part] = append(h.byRank[x.rank][part], x.lane)
	}
	h.mu.Unlock()
	if !known {
		wake(h.signal)
	}
}

// critical is how many critical announcements the core has not heard of: of lanes that
// are open or trusted, and of the others.
func (h *hints) critical() (first, others int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.byRank[queue.Critical][0]), len(h.byRank[queue.Critical][1])
}

// some returns at most n announcements: half of them at most critical ones, half of
// the rest at most errors and so on, and then what there is, the most severe first. So
// no burst keeps the core from hearing of the others.
func (h *hints) some(n int) []hint {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.known) == 0 {
		return nil
	}
	var list []hint
	take := func(rank, most int) {
		most = min(most, n-len(list))
		for part, lanes := range h.byRank[rank] {
			now := min(most, len(lanes))
			if others := h.byRank[rank][1]; part == 0 && len(others) > 0 && most > 1 { // an eighth, so that they do not starve
				now = min(now, most-max(1, most/8))
			}
			for _, id := range lanes[:now] {
				x := hint{id, queue.Rank(rank)}
				delete(h.known, x)
				list = append(list, x)
			}
			if h.byRank[rank][part] = lanes[now:]; now == len(lanes) {
				h.byRank[rank][part] = nil
			}
			most -= now
		}
	}
	for rank := range h.byRank {
		take(rank, max(1, n>>(rank+1)))
	}
	for rank := range h.byRank {
		take(rank, n)
	}
	if len(h.known) > 0 {
		wake(h.signal)
	}
	return list
}
