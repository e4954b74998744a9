package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/outlook"
)

const (
	// lookEvery is how often it is looked whether pages leave. A look at 10,000 lanes takes
	// 50 ms.
	lookEvery = 5 * time.Second

	// calmFor is for how long pages have to leave before the log says that they leave
	// again: while nine of ten attempts fail, each acceptance looks like the end of it.
	calmFor = 30 * time.Second
)

// pageLog says in the log when pages stop leaving, and when they leave again: one line
// each.
type pageLog struct {
	log     *slog.Logger
	stopped time.Time // pages do not leave since then, as the log says; zero if they do
	calm    time.Time // they leave since then, and the log does not say so yet; zero if they do not
}

func (p *pageLog) see(now time.Time, h outlook.Headline) {
	switch {
	case h.State == outlook.NotLeaving:
		p.calm = time.Time{}
		if p.stopped.IsZero() {
			p.stopped = now
			p.log.Error("pages do not leave", "why", h.Why, "headline", h.Sentence, "critical", h.Critical)
		}
	case p.stopped.IsZero():
	case p.calm.IsZero():
		p.calm = now
	case now.Sub(p.calm) >= calmFor:
		p.log.Info("pages leave again", "after", p.calm.Sub(p.stopped).Round(time.Second).String(), "headline", h.Sentence)
		p.stopped, p.calm = time.Time{}, time.Time{}
	}
}

// watchPages looks whether pages leave until the relay ends.
func (d *program) watchPages(ctx context.Context) {
	p := pageLog{log: d.log}
	again := time.NewTicker(lookEvery)
	defer again.Stop()
	for {
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
		if h, err := d.told.Headline(ctx, outlook.LateAfter); err == nil && !d.stopping.Load() { // else the next one comes soon
			p.see(d.clock.Now(), h)
		}
	}
}
