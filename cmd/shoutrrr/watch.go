package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	shortestInterval = 100 * time.Millisecond
	// lookPatience bounds one look: a relay that says nothing for so long is told as
	// unreachable.
	lookPatience = 5 * time.Second
)

// watch shows a relay's status again and again: on a terminal in place, elsewhere
// one below the other. A relay that goes away is waited for.
type watch struct {
	sys      *system
	relay    *relay
	interval time.Duration
	json     bool
	live     bool // standard output is a terminal

	last  *relayStatus // nil before the first answer
	since time.Time    // no answer has come since; zero if one has
	drawn int          // lines on the screen
}

func newWatch(sys *system, r *relay, interval time.Duration, asJSON bool) *watch {
	return &watch{sys: sys, relay: r, interval: interval, json: asJSON, live: !asJSON && sys.isTerminal(sys.stdout)}
}

const (
	hideCursor = "\x1b[?25l"
	showCursor = "\x1b[?25h"
)

// run ends with the context: that is how a watch is meant to end, so it is no
// failure. It ends also if the relay refuses the token or the question.
func (w *watch) run(ctx context.Context) error {
	if w.live {
		// It also takes away the ^C that the terminal has shown.
		defer func() { _ = w.write("\r\x1b[K" + showCursor) }() // the screen is gone if it fails
		if err := w.write(hideCursor); err != nil {
			return err
		}
	}
	ticker := time.NewTicker(w.interval)
	defer ticker.Stop()
	for {
		if err := w.look(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// look asks once and shows what came of it.
func (w *watch) look(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	var s relayStatus
	answer, err := w.relay.get(asking, "/api/status", &s)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		if status := exitCode(err); status != exitUnreachable && status != exitTemporary {
			return err
		}
		return w.missed(err, time.Now())
	}
	w.last, w.since = &s, time.Time{}
	switch {
	case w.json:
		return w.write(oneLine(answer))
	case w.live:
		return w.draw(s.Now, "", &s)
	}
	return w.write(s.Now.UTC().Format(time.RFC3339) + "\n" + statusText(&s, w.relay.String(), w.sys.paperFor(w.sys.stdout)) + "\n")
}

// missed shows that no answer came: on a terminal each time, elsewhere once.
func (w *watch) missed(err error, now time.Time) error {
	first := w.since.IsZero()
	if first {
		w.since = now
	}
	trouble := fmt.Sprintf("unreachable since %s UTC: %v", w.since.UTC().Format(time.TimeOnly), err)
	if w.live {
		return w.draw(now, trouble, w.last)
	}
	if first {
		notify(w.sys.stderr, "", trouble)
	}
	return nil
}

// draw puts a picture in the place of the one before.
func (w *watch) draw(now time.Time, trouble string, s *relayStatus) error {
	width, height := screenSize(w.sys.stdout)
	lines := w.picture(now, trouble, s, paper{width, w.sys.colourful(w.sys.stdout)}, height)
	var b strings.Builder
	if w.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", w.drawn)
	}
	for _, line := range lines {
		b.WriteString("\r" + line + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	w.drawn = len(lines)
	return w.write(b.String())
}

// picture is what a screen has room for: were it higher, its first lines would
// scroll away and could not be drawn over.
func (w *watch) picture(now time.Time, trouble string, s *relayStatus, p paper, height int) []string {
	text := p.coloured(fmt.Sprintf("%s UTC, every %s; Ctrl-C ends it", now.UTC().Format(time.TimeOnly), w.interval), dim) + "\n"
	if trouble != "" {
		for line := range strings.Lines(folded(singleLine(trouble), p.width, "  ")) {
			text += p.coloured(strings.TrimRight(line, "\n"), red) + "\n"
		}
	}
	if trouble != "" && s != nil {
		text += fmt.Sprintf("What it said last, at %s UTC:\n", s.Now.UTC().Format(time.TimeOnly))
		p.colours = false // the present has colours, the past has not
	}
	if s != nil {
		text += "\n" + statusText(s, w.relay.String(), p)
	}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if room := max(3, height-1); len(lines) > room {
		hidden := len(lines) - room + 1
		lines = append(lines[:room-1], fmt.Sprintf("… %s more; shoutrrr status shows all", counted(hidden, "line")))
	}
	for i, line := range lines {
		lines[i] = clipped(line, p.width)
	}
	return lines
}

func (w *watch) write(text string) error {
	_, err := io.WriteString(w.sys.stdout, text)
	return err
}
