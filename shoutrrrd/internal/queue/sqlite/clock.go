package sqlite

import "time"

// Clock is the time of a queue: it never goes back, also not from one process to the next.
type Clock interface {
	Now() time.Time
	// Date makes a date of a time of the queue, for what people read.
	Date(at time.Time) time.Time
	// Resume goes on where the last process's clock was, by its last mark; "" if there is none.
	Resume(mark string)
	// Mark says where the clock is now.
	Mark() string
	// MarkEvery is how often a mark has to be kept, at least, while anything is written.
	MarkEvery() time.Duration
}

const clockMeta = "clock"

func (w *writer) resumeClock() error {
	if w.s.o.Clock == nil {
		return nil
	}
	mark, err := w.meta(clockMeta)
	if err != nil {
		return err
	}
	w.s.o.Clock.Resume(mark)
	w.marked = w.s.o.Now()
	return w.setMeta(clockMeta, w.s.o.Clock.Mark())
}

// keepMark writes a mark into the transaction in hand, if it is time for one: nothing that a
// later process finds is then from its own future, whatever its wall clock says.
func (w *writer) keepMark(now bool) error {
	c := w.s.o.Clock
	if c == nil {
		return nil
	}
	at := c.Now()
	if !now && at.Sub(w.marked) < c.MarkEvery() {
		return nil
	}
	w.learn(func() { w.marked = at })
	return w.setMeta(clockMeta, c.Mark())
}
