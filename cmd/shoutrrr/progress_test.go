package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/pkg/types"
)

func TestCountdown(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	limited := wait{reason: "429 rate limited", key: "key-c7c2ac49b44a40d7", attempt: 3, until: now.Add(58 * time.Second)}
	broken := wait{reason: "no answer", key: "key-3eb1bd439947eb76", attempt: 2, until: now.Add(time.Second)}
	odd := wait{reason: "511 Network Authentication Required by something in between", key: "key-c7c2ac49b44a40d7", attempt: 10, until: now.Add(time.Hour)}
	tests := []struct {
		waits map[int]wait
		after time.Duration
		want  string
	}{
		{map[int]wait{0: limited}, 0, "429 rate limited, attempt 3 in 58 s"},
		{map[int]wait{0: limited}, 57700 * time.Millisecond, "429 rate limited, attempt 3 in 1 s"},
		{map[int]wait{0: limited}, time.Minute, "429 rate limited, attempt 3 now"},
		{map[int]wait{0: limited, 4: broken}, 0, "no answer, attempt 2 in 1 s (key-3eb1bd439947eb76); 1 more waiting"},
		{map[int]wait{0: limited, 1: limited, 2: limited}, 0, "429 rate limited, attempt 3 in 58 s (key-c7c2ac49b44a40d7); 2 more waiting"},
		{map[int]wait{0: odd, 1: odd}, 0, "511 Network Authentication Required by something in between, attempt 10 in 60 …"},
	}
	for _, tt := range tests {
		got := countdown(tt.waits, now.Add(tt.after))
		if got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
		if n := len([]rune(got)); n > lineWidth {
			t.Errorf("%d columns, which wrap: %q", n, got)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		50 * time.Millisecond:    "1 s",
		1100 * time.Millisecond:  "1 s",
		59600 * time.Millisecond: "60 s",
		119 * time.Second:        "119 s",
		298 * time.Second:        "4 min 58 s",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}

func TestReasonOf(t *testing.T) {
	for want, err := range map[string]error{
		"429 rate limited":        &eventsv2.Error{Status: 429},
		"503 Service Unavailable": &eventsv2.Error{Status: 503},
		"status 599":              &eventsv2.Error{Status: 599},
		"no answer":               &eventsv2.Error{Err: errors.New("connection refused")},
		"certificate not valid yet": &eventsv2.Error{Err: &tls.CertificateVerificationError{
			Err: x509.CertificateInvalidError{Cert: &x509.Certificate{NotAfter: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}, Reason: x509.Expired},
		}},
	} {
		if got := reasonOf(err); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// screen keeps what a terminal of one line would show, and every full line above.
type screen struct {
	mu    sync.Mutex
	lines []string
	line  string
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := strings.ReplaceAll(string(p), "\r\x1b[K", "\x00")
	for _, r := range text {
		switch r {
		case 0:
			s.line = ""
		case '\n':
			s.lines = append(s.lines, s.line)
			s.line = ""
		default:
			s.line += string(r)
		}
	}
	return len(p), nil
}

// On a terminal the countdown never mixes with what is printed, also when several
// URLs wait at the same time, and nothing of it remains.
func TestProgressOnATerminal(t *testing.T) {
	s := &screen{}
	p := newProgress(&system{stderr: s, isTerminal: func(any) bool { return true }}, false, true, time.Minute)
	failed := func(index, number int) types.Attempt {
		return types.Attempt{
			Host: "events.pagerduty.com", Key: "key-c7c2ac49b44a40d7", Number: number, Start: time.Now(),
			Err: &eventsv2.Error{Status: 429}, Wait: time.Duration(60+index) * time.Second,
		}
	}
	p.attempt(0, failed(0, 1))
	if want := "429 rate limited, attempt 2 in 60 s"; s.line != want {
		t.Errorf("the line is %q, want %q", s.line, want)
	}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 20 {
				p.attempt(i, failed(i, n+1))
			}
			p.above(func() { fmt.Fprintf(s, "result of URL %d\n", i) })
			p.done(i)
		})
	}
	all.Wait()
	if s.line != "" {
		t.Errorf("left on the screen: %q", s.line)
	}
	p.attempt(0, failed(0, 1))
	p.close()
	results, first := 0, 0
	for _, line := range s.lines {
		switch {
		case len(line) == len("result of URL 0") && strings.HasPrefix(line, "result of URL "):
			results++
		case strings.HasPrefix(line, "shoutrrr: URL ") && strings.Contains(line, " (events.pagerduty.com, key-c7c2ac49b44a40d7): ") && strings.Contains(line, "; trying until "):
			first++
		default:
			t.Errorf("garbled line %q", line)
		}
	}
	if s.line != "" || results != 8 || first != 10 {
		t.Errorf("%d results, %d first failures and %q, want 8 and 10", results, first, s.line)
	}
}

func TestClockTime(t *testing.T) {
	now := time.Date(2026, 3, 1, 23, 58, 0, 0, time.FixedZone("CET", 3600))
	for d, want := range map[time.Duration]string{time.Minute: "23:59:00 CET", 5 * time.Minute: "2026-03-02 00:03:00 CET"} {
		if got := clockTime(now.Add(d), now); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
