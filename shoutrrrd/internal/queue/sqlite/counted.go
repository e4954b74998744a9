package sqlite

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// countedFor is for how long PagerDuty counts an event.
const countedFor = time.Minute

// counted is an attempt that PagerDuty may count although the store has no delivery of
// it: its answer was lost, say. They are in memory, and in the file only between an end
// in order and the next start; after any other end the scheduler takes for granted as
// many as can have been in flight.
type counted struct {
	lane int64
	at   int64 // when it ended
}

// count keeps an attempt, once its end is committed, and forgets those that are over.
func (w *writer) count(lane int64, at time.Time) {
	w.learn(func() {
		s := w.s
		s.counted = append(s.counted, counted{lane, millis(at)})
		since, gone := millis(s.o.Now().Add(-countedFor)), 0
		for gone < len(s.counted) && s.counted[gone].at < since {
			gone++
		}
		s.counted = s.counted[gone:]
	})
}

// keepCounted writes what PagerDuty may count into the file, for the next process.
func (w *writer) keepCounted() error {
	var b strings.Builder
	since := millis(w.s.o.Now().Add(-countedFor))
	for _, c := range w.s.counted {
		if c.at >= since {
			fmt.Fprintf(&b, "%d:%d ", c.lane, c.at)
		}
	}
	if b.Len() == 0 {
		return nil
	}
	return w.setMeta("counted", b.String())
}

// readCounted takes what the last process has left. If it cannot be read the last end
// does not count as clean.
func (w *writer) readCounted() error {
	text, err := w.meta("counted")
	if err != nil || text == "" {
		return err
	}
	for word := range strings.FieldsSeq(text) {
		lane, at, _ := strings.Cut(word, ":")
		c := counted{}
		var wrong, late error
		c.lane, wrong = strconv.ParseInt(lane, 10, 64)
		c.at, late = strconv.ParseInt(at, 10, 64)
		if wrong != nil || late != nil {
			w.s.clean = false
			continue
		}
		w.s.counted = append(w.s.counted, c)
	}
	return w.setMeta("counted", "")
}
