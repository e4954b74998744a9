// Package clock gives the relay its time.
//
// A machine has a wall clock, which tells the date and may be wrong: it is set, forward and
// back, it begins anew in 1970 where there is no battery, and a restored machine has that of
// its snapshot. And it has a boot clock, which is never set and goes on while the machine is
// suspended, and which means nothing to the next boot. Line makes one time of both.
package clock

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strings"
	"sync"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Reading is what the clocks of a machine show at one moment.
type Reading struct {
	Wall time.Time     // the date
	Boot time.Duration // never goes back within a boot
	ID   string        // names the boot; "" if the system does not say: then it is that of this process alone
}

// Clock reads the clocks. [System] is the machine's.
type Clock func() Reading

// Line is the relay's time: all that it keeps has it, and all that it decides goes by it. It
// goes by the boot clock, so that no step of the wall clock moves it, and from one process to
// the next it goes on: it is never earlier than anything that the queue has. How long it was
// between two boots the wall clocks alone say: that part is a gap (see [queue.Gap]).
//
// It begins with the date. [Line.Date] makes a date of it again, by the wall clock as that is
// now: a wall clock that was wrong and has been set right makes the dates right of what came
// before, and the ages of all were right before.
type Line struct {
	read Clock

	mu     sync.Mutex
	begun  Reading       // when the line was at its beginning
	at     time.Time     // that beginning, in the line's time
	offset time.Duration // from the line's time to the date
	gaps   queue.Gaps
	latest time.Time // the latest date that was seen
	then   time.Time // when that was, in the line's time
}

const (
	// sameDate is how much the date may differ without being moved: two readings are never
	// of one moment, and the times of a list should not tremble.
	sameDate = 250 * time.Millisecond

	// markEvery is how often a mark is kept, at least, while anything is written.
	markEvery = 5 * time.Second

	// longestGap is how long a machine counts as switched off at most. A clock that begins in
	// 1970 at every second boot would else move the line by half a century each time.
	longestGap = 10 * 365 * 24 * time.Hour
)

// NewLine returns a line that begins now, with the date. [Line.Resume] has it go on where
// the last process's was.
func NewLine(read Clock) *Line {
	l := &Line{read: read, begun: read()}
	l.at, l.latest = l.begun.Wall.Round(0), l.begun.Wall.Round(0)
	l.then = l.at
	return l
}

// Now gives the relay's time.
func (l *Line) Now() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now(l.read())
}

func (l *Line) now(r Reading) time.Time { return l.at.Add(r.Boot - l.begun.Boot) }

// Date makes a date of a time of the relay's.
func (l *Line) Date(at time.Time) time.Time {
	if at.IsZero() {
		return at
	}
	return at.Add(l.away())
}

// At makes a time of the relay's of a date.
func (l *Line) At(date time.Time) time.Time {
	if date.IsZero() {
		return date
	}
	return date.Add(-l.away())
}

// away is how far the date is from the relay's time.
func (l *Line) away() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.read()
	if away := r.Wall.Sub(l.now(r)); (away - l.offset).Abs() > sameDate {
		l.offset = away.Round(time.Millisecond)
	}
	return l.offset
}

// Back is the time since when so much time was measured, at least: what is older may be
// deleted for ever.
func (l *Line) Back(d time.Duration) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gaps.Back(l.now(l.read()), d)
}

// Gaps are the parts of the line that nobody has measured.
func (l *Line) Gaps() queue.Gaps {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gaps
}

// Latest is the latest date that this process has seen, or the last mark had. What ends at a
// date and must not come back when the clock is set back goes by it.
func (l *Line) Latest() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen(l.read())
}

func (l *Line) seen(r Reading) time.Time {
	if r.Wall.After(l.latest) {
		l.latest, l.then = r.Wall.Round(0), l.now(r)
	}
	return l.latest
}

// mark is what the next process needs to know.
type mark struct {
	Time int64         `json:"time"` // of the line, in milliseconds since 1970, as all times here
	Wall int64         `json:"wall"` // the date at that moment
	Boot time.Duration `json:"boot"` // the boot clock at that moment
	ID   string        `json:"id"`   // of the boot
	Gaps [][2]int64    `json:"gaps"` // until when, and for how many milliseconds

	// Latest is the latest date that was seen, and Then the line's time at that moment. Both
	// are 0 in a mark of a program that did not keep them.
	Latest int64 `json:"latest"`
	Then   int64 `json:"then"`
}

// Mark is a text for the queue's file: where the line is now. It is kept with what is
// written, as the next process's time must not be before that.
func (l *Line) Mark() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.read()
	l.seen(r)
	m := mark{Time: l.now(r).UnixMilli(), Wall: r.Wall.UnixMilli(), Boot: r.Boot, ID: r.ID, Latest: l.latest.UnixMilli(), Then: l.then.UnixMilli()}
	for _, g := range l.gaps {
		m.Gaps = append(m.Gaps, [2]int64{g.Until.UnixMilli(), g.Long.Milliseconds()})
	}
	text, _ := json.Marshal(m) // numbers and texts have no way to fail
	return fmt.Sprintf("%08x %s", sumOf(text), text)
}

// sumOf tells a mark from one of which the disk has changed a digit.
func sumOf(text []byte) uint32 { return crc32.Checksum(text, crc32.MakeTable(crc32.Castagnoli)) }

// read takes a mark; false if it is none.
func (m *mark) read(text string) bool {
	sum, rest, _ := strings.Cut(text, " ")
	return sum == fmt.Sprintf("%08x", sumOf([]byte(rest))) && json.Unmarshal([]byte(rest), m) == nil && m.Time != 0
}

// since is how much time has passed since the mark, as a date says. A boot whose date was
// behind may lie between one with the right date and this one: then the earlier one says it.
func (m *mark) since(date time.Time) time.Duration {
	if m.Latest > m.Wall && date.UnixMilli() >= m.Latest {
		return millis(date.UnixMilli() - m.Latest - (m.Time - m.Then))
	}
	return date.Sub(time.UnixMilli(m.Wall))
}

// MarkEvery is how often a mark has to be kept, at least, while anything is written.
func (l *Line) MarkEvery() time.Duration { return markEvery }

// Resume goes on where the last process's line was, by its last mark; "" if there is none:
// then nothing before now was measured. It is called before anything is written.
func (l *Line) Resume(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.read()
	now := l.now(r)
	var m mark
	if !m.read(text) {
		l.gaps = queue.Gaps{}.With(queue.Gap{Until: now, Long: 1<<63 - 1})
		return
	}
	l.gaps = nil
	for _, g := range m.Gaps {
		l.gaps = l.gaps.With(queue.Gap{Until: time.UnixMilli(g[0]), Long: millis(g[1])})
	}
	last := time.UnixMilli(m.Time)
	l.begun = r
	if r.ID != "" && r.ID == m.ID && r.Boot >= m.Boot {
		l.at = last.Add(r.Boot - m.Boot)
	} else {
		said := min(max(m.since(r.Wall), markEvery), longestGap) // something may have been written after the mark
		l.at = last.Add(said)
		l.gaps = l.gaps.With(queue.Gap{Until: l.at, Long: said})
	}
	l.latest, l.then = r.Wall.Round(0), l.at
	for _, seen := range [][2]int64{{m.Wall, m.Time}, {m.Latest, m.Then}} {
		if wall := time.UnixMilli(seen[0]); wall.After(l.latest) {
			l.latest, l.then = wall, time.UnixMilli(seen[1])
		}
	}
	l.offset = r.Wall.Sub(l.at).Round(time.Millisecond)
}

// millis does not overflow.
func millis(n int64) time.Duration {
	const most = (1<<63 - 1) / int64(time.Millisecond)
	if n > most {
		return 1<<63 - 1
	}
	return time.Duration(max(0, n)) * time.Millisecond
}
