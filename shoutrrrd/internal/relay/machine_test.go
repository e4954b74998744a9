package relay_test

import (
	"fmt"
	"sync"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/clock"
)

// machine is what the relay runs on: its clocks. The time of the bubble is Go's monotonic
// clock, which stands still while a machine is suspended.
type machine struct {
	mu     sync.Mutex
	wrong  time.Duration // the date less the right one
	slept  time.Duration // how long it was suspended, in all
	booted time.Time     // by the right date
	boots  int
	id     string        // of the boot
	ended  time.Time     // when the last process has ended, by the right date
	off    time.Duration // from the end of a process to another boot, in all: nothing measures that
}

// moment is a time as nobody in the world but the judge knows it.
type moment struct {
	date time.Time // the right one
	boot int
	off  time.Duration
}

// moment is now.
func (m *machine) moment() moment {
	m.mu.Lock()
	defer m.mu.Unlock()
	return moment{m.right(), m.boots, m.off}
}

// measurable is how much of the time since then a relay can have measured.
func (m *machine) measurable(since moment) time.Duration {
	now := m.moment()
	return now.date.Sub(since.date) - (now.off - since.off)
}

// ends sees a process end.
func (m *machine) ends() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = m.right()
}

func newMachine(wrong time.Duration) *machine {
	return &machine{wrong: wrong, booted: time.Now(), id: "boot 0"}
}

// read is a [clock.Clock].
func (m *machine) read() clock.Reading {
	m.mu.Lock()
	defer m.mu.Unlock()
	right := m.right()
	return clock.Reading{Wall: right.Add(m.wrong), Boot: right.Sub(m.booted) + time.Second, ID: m.id}
}

// right is the right date. The caller holds mu.
func (m *machine) right() time.Time { return time.Now().Add(m.slept) }

// date is the right date.
func (m *machine) date() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.right()
}

// set sets the wall clock, right or wrong.
func (m *machine) set(wrong time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wrong = wrong
}

// reboot is between two processes.
func (m *machine) reboot(wrong time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wrong, m.booted = wrong, m.right()
	m.off += m.booted.Sub(m.ended)
	m.boots++
	m.id = fmt.Sprint("boot ", m.boots)
}

// suspend lets a time pass in which no timer runs.
func (m *machine) suspend(long time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.slept += long
}

func (m *machine) boot() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.boots
}
