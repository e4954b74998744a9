package clock

import (
	"strings"
	"testing"
	"time"
)

const year = 365 * 24 * time.Hour

// machine is one whose clocks a test sets.
type machine struct{ r Reading }

func newMachine() *machine {
	return &machine{Reading{Wall: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC), Boot: time.Hour, ID: "a"}}
}

func (m *machine) read() Reading { return m.r }

// pass lets time pass; also while the machine is suspended, of which a boot clock says nothing.
func (m *machine) pass(d time.Duration) { m.r.Wall, m.r.Boot = m.r.Wall.Add(d), m.r.Boot+d }

// reboot takes a while, and the wall clock is wrong by so much after it.
func (m *machine) reboot(off, wrong time.Duration) {
	m.r.Wall = m.r.Wall.Add(off + wrong)
	m.r.Boot, m.r.ID = 10*time.Second, m.r.ID+"a"
}

// process begins one on the queue that the last one has left.
func (m *machine) process(mark string) *Line {
	l := NewLine(m.read)
	l.Resume(mark)
	return l
}

func TestStepsDoNotMoveTheLine(t *testing.T) {
	for _, step := range []time.Duration{10 * year, -10 * year, time.Hour, -time.Hour} {
		m := newMachine()
		l := m.process("")
		accepted := l.Now()
		m.pass(time.Minute)
		m.r.Wall = m.r.Wall.Add(step)
		m.pass(8 * time.Hour)
		if age := l.Now().Sub(accepted); age != 8*time.Hour+time.Minute {
			t.Errorf("after a step of %s it is %s old", step, age)
		}
		if date := l.Date(l.Now()); !date.Equal(m.r.Wall) {
			t.Errorf("after a step of %s the date is %s, the clock says %s", step, date, m.r.Wall)
		}
		if at := l.At(m.r.Wall.Add(-8 * time.Hour)); !at.Equal(accepted.Add(time.Minute)) {
			t.Errorf("after a step of %s 8 h ago is %s", step, at)
		}
	}
}

// A process that begins in the same boot has measured all, whatever the wall clock did.
func TestTheNextProcessOfABootMeasuresOn(t *testing.T) {
	for _, step := range []time.Duration{10 * year, -10 * year, 0} {
		m := newMachine()
		l := m.process("")
		m.pass(time.Hour)
		accepted := l.Now()
		mark := l.Mark()
		m.r.Wall = m.r.Wall.Add(step)
		m.pass(2 * time.Hour)
		l = m.process(mark)
		if age, measured := l.Now().Sub(accepted), l.Gaps().Measured(accepted, l.Now()); age != 2*time.Hour || measured != age {
			t.Errorf("after a step of %s it is %s old, of which %s count as measured", step, age, measured)
		}
	}
}

// Between two boots the dates say how much time has passed, and it is not measured.
func TestBetweenTwoBoots(t *testing.T) {
	for _, c := range []struct {
		name       string
		off, wrong time.Duration
		want       time.Duration
	}{
		{"the date is right", 3 * time.Hour, 0, 3 * time.Hour},
		{"ten years ahead", 3 * time.Hour, 10 * year, longestGap},
		{"ten years behind", 3 * time.Hour, -10 * year, markEvery},
		{"at once", 0, 0, markEvery},
	} {
		m := newMachine()
		l := m.process("")
		m.pass(time.Hour)
		accepted := l.Now()
		mark := l.Mark()
		m.reboot(c.off, c.wrong)
		l = m.process(mark)
		now := l.Now()
		if said, measured := now.Sub(accepted), l.Gaps().Measured(accepted, now); said != c.want || measured != 0 {
			t.Errorf("%s: it is %s old, of which %s count as measured", c.name, said, measured)
		}
		if date := l.Date(now); !date.Equal(m.r.Wall) {
			t.Errorf("%s: the date is %s, the clock says %s", c.name, date, m.r.Wall)
		}
		m.pass(time.Minute)
		if back := l.Back(time.Minute + time.Second); !accepted.Add(-time.Second).Equal(back) {
			t.Errorf("%s: what was measured for a minute and a second is since %s, want %s", c.name, back, accepted.Add(-time.Second))
		}
		next := m.process(l.Mark())
		if measured := next.Gaps().Measured(accepted, next.Now()); measured != time.Minute || next.Now().Before(now) {
			t.Errorf("%s: the process after that has %s as measured", c.name, measured)
		}
	}
}

// A queue without a mark, or with one that cannot be read, has nothing measured.
func TestWithoutAMark(t *testing.T) {
	whole := newMachine().process("").Mark()
	for _, mark := range []string{"", "{", "null", `{"time":"x"}`, `{"time":0}`, whole[9:], "00000000" + whole[8:], strings.Replace(whole, "179", "189", 1), whole + " "} {
		m := newMachine()
		l := m.process(mark)
		m.pass(time.Hour)
		if measured := l.Gaps().Measured(m.r.Wall.Add(-100*time.Hour), l.Now()); measured != time.Hour {
			t.Errorf("%q: %s count as measured", mark, measured)
		}
		if again := m.process(l.Mark()); again.Gaps().Measured(m.r.Wall.Add(-100*time.Hour), again.Now()) != time.Hour {
			t.Errorf("%q: the next process has more", mark)
		}
	}
}

// A boot with a wrong date between two with the right one adds nothing to an age but what it
// lasted: one that was behind, as without a battery, and one that was ahead and set right.
func TestBootWithAWrongDateBetween(t *testing.T) {
	for _, wrong := range []time.Duration{-10 * year, -time.Hour, 0} {
		m := newMachine()
		l := m.process("")
		accepted := l.Now()
		for _, step := range []time.Duration{wrong, 0, -wrong, 0} {
			m.pass(20 * time.Second)
			mark := l.Mark()
			m.reboot(10*time.Second, step)
			l = m.process(mark)
		}
		if age := l.Now().Sub(accepted); age < 100*time.Second || age > 3*time.Minute {
			t.Errorf("%s: what is two minutes old shows as %s old", wrong, age)
		}
	}
}

// What ended at a date does not come back when the clock is set back, nor at once after that.
func TestLatest(t *testing.T) {
	m := newMachine()
	l := m.process("")
	m.pass(time.Hour)
	was := m.r.Wall
	mark := l.Mark()
	m.r.Wall = m.r.Wall.Add(-10 * year)
	if latest := l.Latest(); !latest.Equal(was) {
		t.Errorf("the latest date is %s", latest)
	}
	m.reboot(0, 0)
	if latest := m.process(mark).Latest(); !latest.Equal(was) {
		t.Errorf("in the next process it is %s", latest)
	}
}

func TestSystem(t *testing.T) {
	before := System()
	after := System()
	if after.Boot < before.Boot || before.ID != after.ID || before.Wall.IsZero() {
		t.Errorf("%+v, and then %+v", before, after)
	}
	l := NewLine(System)
	l.Resume(l.Mark())
	if now := l.Now(); l.Now().Before(now) {
		t.Error("it goes back")
	}
}
