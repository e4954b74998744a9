package notify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// Sender carries a message. Its error holds no secret.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// Way is one way by which help is called for.
type Way struct {
	Name    string
	Timeout time.Duration // of one attempt
	// Watches reports whether the outages of an upstream are told by this way; nil for
	// all. Those of the relay's own queue are told by every way.
	Watches func(upstream string) bool
	To      Sender
}

func (w Way) watches(upstream string) bool {
	return upstream == "" || w.Watches == nil || w.Watches(upstream)
}

const (
	firstWait = time.Second
	maxWait   = 5 * time.Minute
)

// serve begins to tell the ways what they should know, each in a goroutine of its own: one
// that hangs delays no other.
func (n *Notifier) serve(ctx context.Context, ways []Way) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	n.signals = nil
	for _, w := range ways {
		woken := make(chan struct{}, 1)
		n.signals = append(n.signals, woken)
		all.Go(func() { n.serveOne(ctx, w, woken) })
	}
	n.serving = func() { cancel(); all.Wait() }
}

// serveOne tells one way what it should know, until the context ends. What fails is tried
// again, at growing intervals, for as long as it is worth telling.
func (n *Notifier) serveOne(ctx context.Context, w Way, woken <-chan struct{}) {
	failures := 0
	for ctx.Err() == nil {
		m, stage, ok := n.due(w)
		if !ok {
			failures = 0
			select {
			case <-woken:
			case <-ctx.Done():
			}
			continue
		}
		err := w.send(ctx, m)
		if ctx.Err() != nil {
			return
		}
		n.o.Tried(w.Name, stage, err)
		if err == nil {
			failures = 0
			n.told(w, m, stage)
			continue
		}
		failures++
		wait := min(firstWait<<min(failures-1, 20), maxWait)
		if failures == 1 {
			n.o.Log.Error("cannot call for help by this way; it is tried again until it works or the outage is long over", "way", w.Name, "outage", m.Outage, "error", n.o.Hide(err.Error()))
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// send makes one attempt.
func (w Way) send(ctx context.Context, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, w.Timeout)
	defer cancel()
	err := w.To.Send(ctx, m)
	if err != nil && ctx.Err() == context.DeadlineExceeded {
		return fmt.Errorf("not done within %s: %w", w.Timeout, err)
	}
	return err
}

// due is what the way should be told next.
func (n *Notifier) due(w Way) (Message, Stage, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range n.book {
		o := &n.book[i]
		if stage := o.stage(); stage != "" && w.watches(o.Upstream) && o.Told[w.Name] != stage {
			return o.message(n.o.Relay, n.o.Date), stage, true
		}
	}
	return Message{}, "", false
}

// told notes that the way knows.
func (n *Notifier) told(w Way, m Message, stage Stage) {
	n.mu.Lock()
	for i := range n.book {
		if o := &n.book[i]; o.id(n.o.Relay) == m.Outage {
			o.Told[w.Name] = stage
		}
	}
	n.mu.Unlock()
	signal(n.saves)
	n.o.Log.Info("called for help", "way", w.Name, "outage", m.Outage, "status", string(stage))
}

// Call is that help is called for: an outage that has not ended.
type Call struct {
	Upstream string    // "" for the relay's own queue
	At       time.Time // since when
	By       []string  // ways that know
	Failing  []string  // ways that should know and could not be told yet
}

// Calls are the outages for which help is called now.
func (n *Notifier) Calls() []Call {
	n.mu.Lock()
	defer n.mu.Unlock()
	var calls []Call
	for i := range n.book {
		o := &n.book[i]
		if o.stage() != Firing {
			continue
		}
		c := Call{Upstream: o.Upstream, At: o.Called}
		for _, w := range n.ways {
			switch {
			case !w.watches(o.Upstream):
			case o.Told[w.Name] == Firing:
				c.By = append(c.By, w.Name)
			default:
				c.Failing = append(c.Failing, w.Name)
			}
		}
		calls = append(calls, c)
	}
	return calls
}

// snapshot copies outages, so that they can be read while others change.
func snapshot(book []Outage) []Outage {
	book = slices.Clone(book)
	for i := range book {
		book[i].Told = maps.Clone(book[i].Told)
	}
	return book
}

// Tried is how a test message went.
type Tried struct {
	Way string
	Err error
}

// Test sends a test message by each way, at once, and returns how each went, in their
// order.
func Test(ctx context.Context, relay string, now time.Time, ways []Way) []Tried {
	m := testMessage(relay, now)
	results := make([]Tried, len(ways))
	var all sync.WaitGroup
	for i, w := range ways {
		all.Go(func() { results[i] = Tried{w.Name, w.send(ctx, m)} })
	}
	all.Wait()
	return results
}
