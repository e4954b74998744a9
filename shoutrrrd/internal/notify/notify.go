// Package notify has the relay call for help by itself when critical events do not leave:
// by a command, a webhook, a mail, or another integration key at another upstream.
//
// judge.go decides, as a pure function over facts, whether there is an outage; notify.go
// gathers the facts; way.go tells each way, in a goroutine of its own; book.go keeps over
// a restart what was told. Nothing of it delivers events or waits for what does.
package notify

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Source is what the notifier asks how things stand.
type Source interface {
	// Look returns the lanes in which critical events wait. It may wait for the disk.
	Look(ctx context.Context) ([]Lane, error)
	// Memory returns the same without waiting for anything, and without the ages.
	Memory() []Lane
	// Trouble is why the queue takes no events now, "" if it does. It must not wait.
	Trouble() string
}

// Options says how a notifier works.
type Options struct {
	Source Source
	Relay  string // name of this machine
	Book   string // path of the file that keeps what was told
	Log    *slog.Logger
	// Now is the clock of the queue, and Date makes a date of its times. That defaults to the
	// time itself.
	Now  func() time.Time
	Date func(time.Time) time.Time
	// Hide makes a text of others one line that may be shown.
	Hide func(string) string
	// Tried is called after each attempt to tell a way, for metrics. Defaults to nothing.
	Tried func(way string, stage Stage, err error)
}

// Notifier calls for help.
type Notifier struct {
	o     Options
	kick  chan struct{} // something was given up, or the ways have changed
	looks chan looked   // the look that is under way answers here
	saves chan struct{} // the book has changed

	mu      sync.Mutex
	after   time.Duration
	ways    []Way
	changed bool            // ways is not what is being served
	book    []Outage        //
	dead    map[string]Dead // given up since the last judgement, by upstream

	// The loop's own.
	looking bool                 // a look is under way
	oldest  map[string]time.Time // of each lane in which critical events wait, as far as is known
	trouble time.Time            // since when the queue takes no events
	serving func()               // ends those that serve the ways, and returns when they have ended
	signals []chan struct{}      // one for each of them: there may be something to tell
}

// looked is what a look has found.
type looked struct {
	lanes []Lane
	err   error
}

// New returns a notifier that does nothing until Run.
func New(o Options) *Notifier {
	if o.Tried == nil {
		o.Tried = func(string, Stage, error) {}
	}
	if o.Date == nil {
		o.Date = func(at time.Time) time.Time { return at }
	}
	return &Notifier{
		o: o, kick: make(chan struct{}, 1), looks: make(chan looked, 1), saves: make(chan struct{}, 1),
		dead: map[string]Dead{}, oldest: map[string]time.Time{}, serving: func() {},
	}
}

// Configure says after which time, and by which ways, help is called for.
func (n *Notifier) Configure(after time.Duration, ways []Way) {
	n.mu.Lock()
	n.after, n.ways, n.changed = after, ways, true
	n.mu.Unlock()
	signal(n.kick)
}

// GivenUp notes a critical trigger that was rejected or has expired.
func (n *Notifier) GivenUp(d Dead) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.ways) == 0 {
		return
	}
	sum, known := n.dead[d.Upstream]
	if known {
		d.At = sum.At
	}
	d.Rejected += sum.Rejected
	d.Expired += sum.Expired
	n.dead[d.Upstream] = d
	signal(n.kick)
}

const (
	// lookEvery is how often the notifier looks, if `after` is not so short that it has to
	// look more often.
	lookEvery = 5 * time.Second
	// lookWithin is how long it waits for the disk before it goes by what is in memory.
	lookWithin = 2 * time.Second
	// kickPause is how long further events are gathered that are given up.
	kickPause = 200 * time.Millisecond
	// saveWithin is how long the end waits for the book to be on the disk.
	saveWithin = time.Second
)

// Run watches until the context ends.
func (n *Notifier) Run(ctx context.Context) {
	book, err := readBook(n.o.Book, n.o.Now())
	if err != nil {
		n.o.Log.Warn("cannot read for which outages help was called; one that lasts is called for again", "error", err)
	}
	n.mu.Lock()
	n.book = book
	n.mu.Unlock()
	saved := make(chan struct{})
	go func(done chan<- struct{}) { defer close(done); n.saveAll(ctx) }(saved)
	defer func() {
		n.serving()
		end := time.NewTimer(saveWithin) // the disk may hang; an outage that lasts is called for again
		defer end.Stop()
		for n.looking || saved != nil {
			select {
			case <-saved:
				saved = nil
			case <-n.looks:
				n.looking = false
			case <-end.C:
				return
			}
		}
	}()
	for {
		again := n.turn(ctx)
		if !n.pause(ctx, again) {
			return
		}
	}
}

// pause waits until it is time to look again, or a moment after something was given up,
// which mostly happens to many events at once. It returns false at the end.
func (n *Notifier) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-n.kick:
		timer.Reset(min(d, kickPause))
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// turn looks and judges once. It returns when to do that again.
func (n *Notifier) turn(ctx context.Context) time.Duration {
	n.mu.Lock()
	after, ways, changed := n.after, n.ways, n.changed
	n.changed = false
	n.mu.Unlock()
	if changed {
		n.serving()
		n.serve(ctx, ways)
	}
	if len(ways) == 0 {
		return time.Hour
	}
	facts := Facts{At: n.o.Now(), Lanes: n.lanes(ctx)}
	if facts.Trouble = n.o.Source.Trouble(); facts.Trouble == "" {
		n.trouble = time.Time{}
	} else if n.trouble.IsZero() {
		n.trouble = facts.At
	}
	facts.TroubleSince = n.trouble
	n.mu.Lock()
	for _, d := range n.dead {
		facts.Dead = append(facts.Dead, d)
	}
	clear(n.dead)
	before := n.book
	n.book = Judge(before, facts, after)
	n.forget()
	n.report(before)
	n.mu.Unlock()
	for _, s := range n.signals {
		signal(s)
	}
	return max(min(after/4, lookEvery), 50*time.Millisecond)
}

// lanes asks the source, or goes by what is in memory if it does not answer: while a disk
// hangs nothing ends, so what was the oldest event still is.
func (n *Notifier) lanes(ctx context.Context) []Lane {
	memory := n.o.Source.Memory()
	if len(memory) == 0 && !n.looking {
		clear(n.oldest)
		return nil
	}
	if !n.looking {
		n.looking = true
		go func() {
			lanes, err := n.o.Source.Look(ctx)
			n.looks <- looked{lanes, err}
		}()
	}
	timer := time.NewTimer(lookWithin)
	defer timer.Stop()
	select {
	case found := <-n.looks:
		n.looking = false
		if found.err == nil {
			clear(n.oldest)
			for _, l := range found.lanes {
				n.oldest[l.Name] = l.Oldest
			}
			return found.lanes
		}
	case <-timer.C:
	case <-ctx.Done():
	}
	known := n.oldest
	n.oldest = make(map[string]time.Time, len(memory))
	for i, l := range memory {
		at, ok := known[l.Name]
		if !ok {
			at = n.o.Now()
		}
		memory[i].Oldest, n.oldest[l.Name] = at, at
	}
	return memory
}

// maxEnded bounds the outages that have ended and that some way was not told of, as it
// could not be reached: the oldest are forgotten. forgetAfter bounds their age.
const (
	maxEnded    = 20
	forgetAfter = 24 * time.Hour
)

// forget takes out of the book what all know that should. The caller holds mu.
func (n *Notifier) forget() {
	ended := 0
	for i := len(n.book) - 1; i >= 0; i-- {
		o := &n.book[i]
		if o.Ended.IsZero() {
			continue
		}
		if ended++; ended > maxEnded || n.o.Now().Sub(o.Ended) > forgetAfter ||
			!slices.ContainsFunc(n.ways, func(w Way) bool { return w.watches(o.Upstream) && o.Told[w.Name] != Resolved }) {
			n.book = slices.Delete(n.book, i, i+1)
			signal(n.saves)
		}
	}
}

// report logs which outages have begun and ended. The caller holds mu.
func (n *Notifier) report(before []Outage) {
	was := map[string]Stage{}
	for i := range before {
		was[before[i].id("")] = before[i].stage()
	}
	for i := range n.book {
		o := &n.book[i]
		stage := o.stage()
		if was[o.id("")] == stage {
			continue
		}
		signal(n.saves)
		m := o.message(n.o.Relay, n.o.Date)
		switch stage {
		case Firing:
			n.o.Log.Error("calling for help", "outage", m.Outage, "what", o.headline(&m))
		case Resolved:
			n.o.Log.Info("the outage is over", "outage", m.Outage)
		}
	}
}

func signal(to chan struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}
