package relay

import "sync"

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
	m.wake()
}

func (m *mailbox[T]) wake() {
	select {
	case m.signal <- struct{}{}:
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

// close says that nothing more comes.
func (m *mailbox[T]) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.wake()
}

// hints are announcements that the core has not heard of: many of one lane and
// rank are one.
type hints struct {
	mu     sync.Mutex
	set    map[hint]struct{}
	signal chan struct{}
}

func newHints() *hints {
	return &hints{set: map[hint]struct{}{}, signal: make(chan struct{}, 1)}
}

func (h *hints) add(x hint) {
	h.mu.Lock()
	_, known := h.set[x]
	h.set[x] = struct{}{}
	h.mu.Unlock()
	if known {
		return
	}
	select {
	case h.signal <- struct{}{}:
	default:
	}
}

// take returns the announcements in any order: the core asks the store for the
// right one.
func (h *hints) take() []hint {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]hint, 0, len(h.set))
	for x := range h.set {
		list = append(list, x)
	}
	clear(h.set)
	return list
}
