package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/outlook"
)

// An outage is two lines in the log, also if single events are accepted meanwhile.
func TestPageLog(t *testing.T) {
	var out bytes.Buffer
	p := pageLog{log: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))}
	now := time.Date(2026, 3, 4, 14, 0, 0, 0, time.UTC)
	see := func(state outlook.State, times int) {
		for range times {
			p.see(now, outlook.Headline{State: state, Why: "PagerDuty answers 500", Sentence: "as it is", Critical: 15})
			now = now.Add(lookEvery)
		}
	}
	see(outlook.Leaving, 10)
	see(outlook.NotLeaving, 20)
	for range 10 {
		see(outlook.Late, 3) // one was accepted
		see(outlook.NotLeaving, 2)
	}
	see(outlook.Leaving, 20)
	see(outlook.NotLeaving, 3)
	see(outlook.Late, 20)
	want := []string{
		`level=ERROR msg="pages do not leave" why="PagerDuty answers 500" headline="as it is" critical=15`,
		`level=INFO msg="pages leave again" after=5m50s headline="as it is"`,
		`level=ERROR msg="pages do not leave" why="PagerDuty answers 500" headline="as it is" critical=15`,
		`level=INFO msg="pages leave again" after=15s headline="as it is"`,
	}
	if got := strings.TrimSpace(out.String()); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}
