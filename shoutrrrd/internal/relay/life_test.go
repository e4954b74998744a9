package relay_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/clock"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/intake"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/sqlite"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/relay"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/routes"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/settings"
)

// life is one process.
type life struct {
	w        *world
	n        int
	began    time.Time
	line     *clock.Line
	blind    bool // it does not know all of what was sent in the minute before it
	store    *watched
	relay    *relay.Relay
	door     *intake.Door
	settings atomic.Pointer[settings.Settings]
	from     routes.Routes
	ctx      context.Context // ends when the process is to end
	cancel   context.CancelFunc
	killed   chan struct{}
	ended    chan struct{} // the relay has ended
}

// load reads the settings as the program does.
func (w *world) load() *settings.Settings {
	path := filepath.Join(w.dir, "shoutrrrd.yaml")
	text, files := w.config.text()
	files["shoutrrrd.yaml"] = text
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
			panic(err)
		}
	}
	s, err := settings.Load(settings.Sources{
		File: path, Getenv: func(string) string { return "" },
		Flags:  map[string]string{"queue": queueFile(w.dir), "rate": rateText(w.o.limit), "retention": retention.String(), "max_age": w.o.maxAge.String()},
		Lookup: func(context.Context, string) ([]netip.Addr, error) { return nil, nil },
		Proxy:  func(*http.Request) (*url.URL, error) { return nil, nil },
	})
	if err != nil {
		panic(err)
	}
	return s
}

// take has settings hold, as the program does: those that it has read, with the keys that
// stood in the files of keys before.
func (l *life) take(s *settings.Settings) {
	w := l.w
	lanes, _ := l.store.inner.Lanes(context.Background())
	s = routes.Inherit(s, lanes)
	w.mu.Lock()
	for i, key := range w.keys[:w.listed()] {
		w.judge.configured(i, s.Lookup(key))
	}
	w.mu.Unlock()
	l.settings.Store(s)
	switch inner := l.store.inner.(type) {
	case *sqlite.Store:
		inner.Relist()
	case *twin:
		inner.file.Relist()
	}
	pooled, err := l.from.MakePools(context.Background())
	if err != nil {
		w.note("pools: " + kind(err))
	}
	for _, of := range pooled {
		l.relay.Ready(of.ID, queue.Info)
	}
}

// start begins a process.
func (w *world) start(blind bool) {
	w.lives++
	l := &life{w: w, n: w.lives, began: time.Now(), line: clock.NewLine(w.clocks()), blind: blind, killed: make(chan struct{}), ended: make(chan struct{})}
	l.settings.Store(w.load())
	l.store = &watched{w: w, life: l}
	log := slog.New(&ear{w: w})
	l.from = routes.Routes{Settings: l.settings.Load, Lane: l.store.Lane, Client: func(upstream string) relay.Poster { return poster{l, upstream} }}
	from := l.from
	l.relay = relay.New(relay.Options{
		Store: l.store, Now: l.line.Now, Gaps: l.gaps, Date: l.line.Date, Route: from.OfLane, Log: log, Other: from.Other, Seed: w.o.seed + uint64(w.lives), Capacity: w.o.capacity,
		MaxAge:    func() time.Duration { return l.settings.Load().MaxAge },
		Retention: func() time.Duration { return l.settings.Load().Retention },
	})
	l.relay.Break(w.o.plant)
	l.door = intake.New(intake.Options{Store: l.store, Route: from.OfKey, Log: log, Now: l.line.Now, TryRejected: l.relay.TryRejectedKey, CanSend: l.relay.CanSend})
	if err := l.open(); err != nil {
		w.fail("the queue cannot be opened: %v", err)
		return
	}
	l.take(l.settings.Load())
	ctx, cancel := context.WithCancel(context.Background())
	l.ctx, l.cancel = ctx, cancel
	w.mu.Lock()
	w.life = l
	w.judge.started()
	w.mu.Unlock()
	go func() {
		defer close(l.ended)
		if err := l.relay.Run(ctx, grace); err != nil {
			w.fail("the relay has ended: %v", err)
		}
	}()
}

// clocks are those of the machine, as a process reads them.
func (w *world) clocks() clock.Clock {
	if w.o.plant != "the wall clock is the time" {
		return w.machine.read
	}
	return func() clock.Reading {
		r := w.machine.read()
		r.Boot = r.Wall.Sub(w.begun.Add(-100 * 365 * 24 * time.Hour))
		return r
	}
}

func (l *life) gaps() queue.Gaps {
	if l.w.o.plant == "dates decide" {
		return nil
	}
	return l.line.Gaps()
}

func (l *life) open() (err error) {
	w := l.w
	listed := func(key eventsv2.Key) bool { return w.o.store == "twin" || l.settings.Load().Lookup(key).Listed }
	if w.o.store == "model" {
		w.model.Restart()
		if l.blind {
			w.model.Crashed()
		}
		l.line.Resume(w.mark)
		w.line = l.line
		w.model.Shorten(w.now().Add(time.Minute))
		w.model.OnReady, w.model.Configured = l.ready, l.from.Configured
		l.store.inner = &locked{model: w.model, clean: !l.blind}
		return nil
	}
	if w.model != nil {
		w.model.Configured = l.from.Configured
		w.model.Restart()
	}
	l.store.inner, err = openFile(queueFile(w.dir), l.line, l.ready, bounds{lanes: w.o.maxLanes, listed: listed, configured: l.from.Configured, forget: l.forgotten, report: w.judge.incident, merged: &w.merged, hangs: w.o.disk}, w.model)
	if w.line = l.line; err == nil && w.model != nil {
		w.model.Shorten(cut(w.now()).Add(time.Minute))
		if !l.store.inner.Clean() {
			w.model.Crashed()
		}
	}
	return err
}

// ready hands an announcement of the store to the relay.
func (l *life) ready(lane int64, rank queue.Rank) {
	if l.w.o.plant == "announcements are lost" && l.w.dice(int(lane), l.store.count()).IntN(20) == 0 {
		return
	}
	l.relay.Ready(lane, rank)
}

func (l *life) forgotten(lanes []queue.Lane) {
	var ids []int64
	for _, lane := range lanes {
		ids = append(ids, lane.ID)
		l.store.forgets(lane)
	}
	l.relay.Forgotten(ids)
	if l.w.o.plant == "forgotten lanes are announced" {
		for _, id := range ids {
			l.relay.Ready(id, queue.Info)
		}
	}
}

// reload is a SIGHUP.
func (w *world) reload() {
	w.life.take(w.load())
	w.life.relay.Reconfigure()
	w.mu.Lock()
	w.judge.reloaded = time.Now()
	w.mu.Unlock()
}

// kill ends the process as kill -9 does: what is on the disk stays, and nothing else.
func (w *world) kill() {
	l := w.life
	close(l.killed)
	synctest.Wait() // no transaction is in hand
	l.cancel()
	<-l.ended
	w.going.Wait()
	w.over()
	if w.o.store == "model" {
		return
	}
	if err := abandon(queueFile(w.dir), l.store.inner.Close); err != nil {
		w.fail("%v", err)
	}
}

// stop ends the process as SIGTERM does, and reports whether that was clean.
func (w *world) stop() bool {
	l := w.life
	l.door.Stop()
	asked := time.Now()
	l.cancel()
	select {
	case <-l.ended:
	case <-time.After(grace + 2*time.Second): // the program ends whatever still waits for the disk
		w.mu.Lock()
		hangs := w.disk.troubled(asked)
		w.mu.Unlock()
		if !hangs {
			w.fail("the relay has not ended %s after it was asked to", grace+2*time.Second)
		}
		w.kill()
		return false
	}
	w.mu.Lock()
	hangs := w.disk.troubled(asked)
	w.mu.Unlock()
	if n := l.relay.Claims(); n > 0 && !hangs {
		w.fail("a relay that has ended still holds %d claims", n)
	}
	close(l.killed)
	w.going.Wait()
	w.over()
	if err := l.store.inner.Close(); err != nil {
		w.fail("%v", err)
	}
	return !hangs
}

// over notes that there is no process.
func (w *world) over() {
	w.mark = w.line.Mark()
	w.machine.ends()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.life = nil
}

// ear hears what the relay logs.
type ear struct{ w *world }

func (e *ear) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (e *ear) WithAttrs([]slog.Attr) slog.Handler               { return e }
func (e *ear) WithGroup(string) slog.Handler                    { return e }

func (e *ear) Handle(ctx context.Context, r slog.Record) error {
	switch r.Message { // by far the most
	case "delivered", "will be sent again", "accepted":
		return nil
	}
	var b strings.Builder
	host := ""
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "upstream" {
			host = a.Value.String()
		}
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		return true
	})
	e.w.mu.Lock()
	defer e.w.mu.Unlock()
	e.w.judge.logged(r.Message, host, b.String())
	return nil
}
