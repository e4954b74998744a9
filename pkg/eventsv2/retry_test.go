package eventsv2

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestEveryStatus lists each status that the API's documents, its clients and the
// proxies before it are known to answer with, as it is after the first attempt. The body has
// the form of a rejection.
func TestEveryStatus(t *testing.T) {
	const (
		done  = "done"
		final = "final"
	)
	tests := map[int]string{
		200: done, 201: done, 202: done, 203: done, 204: done, 205: done, 206: done, 299: done,
		400: final, 401: final, 403: final,
		429: "1m0s",
	}
	for _, status := range []int{
		300, 301, 302, 303, 304, 305, 307, 308,
		402, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418,
		421, 422, 423, 424, 425, 426, 428, 431, 444, 451, 499,
		500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511, 520, 521, 522, 523, 524, 525, 530, 599, 600, 999,
	} {
		tests[status] = "1s"
	}
	middle := Retry{Jitter: func() float64 { return 0.5 }}
	for status, want := range tests {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			s := newServer(t, false, answerWith(status, "", invalidEvent))
			receipt, err := newClient(t, s).Post(context.Background(), mustKey(t, testKey), []byte(`{}`))
			got := done
			if err != nil {
				got = final
				if wait, again := middle.Next(err, 1, time.Hour); again {
					got = wait.String()
				}
			}
			if got != want {
				t.Errorf("got %s, want %s (%v)", got, want, err)
			}
			var e *Error
			if err == nil && receipt.Status != status || errors.As(err, &e) && e.Status != status {
				t.Errorf("got status %d, %v", receipt.Status, err)
			}
		})
	}
}

func TestRetryNext(t *testing.T) {
	limited := &Error{Status: 429}
	failing := &Error{Status: 503}
	network := &Error{Err: syscall.ECONNRESET}
	asks := func(status int, d time.Duration) error { return &Error{Status: status, RetryAfter: d} }
	never := time.Duration(-1)
	tests := []struct {
		name    string
		err     error
		attempt int
		left    time.Duration
		jitter  float64
		want    time.Duration
	}{
		{"first back-off", failing, 1, time.Hour, 0.5, time.Second},
		{"wrapped", fmt.Errorf("x: %w", failing), 1, time.Hour, 0.5, time.Second},
		{"network", network, 1, time.Hour, 0.5, time.Second},
		{"doubles", failing, 4, time.Hour, 0.5, 8 * time.Second},
		{"up to a minute", failing, 7, time.Hour, 0.5, time.Minute},
		{"and no more", failing, 1000, time.Hour, 0.5, time.Minute},
		{"attempts beyond counting", failing, math.MaxInt, time.Hour, 0.5, time.Minute},
		{"attempts below counting", failing, math.MinInt, time.Hour, 0.5, time.Second},
		{"spread down", failing, 2, time.Hour, 0, 1500 * time.Millisecond},
		{"limited", limited, 1, time.Hour, 0.5, time.Minute},
		{"limited doubles", limited, 3, time.Hour, 0.5, 4 * time.Minute},
		{"limited up to 15 min", limited, 60, time.Hour, 0.5, 15 * time.Minute},
		{"asked", asks(429, 30*time.Second), 1, time.Hour, 0, 30 * time.Second},
		{"asked with jitter", asks(429, 30*time.Second), 1, time.Hour, 0.5, 31500 * time.Millisecond},
		{"asked, whatever the attempt", asks(503, 2*time.Second), 9, time.Hour, 0, 2 * time.Second},
		{"asked, jitter has no room", asks(429, 30*time.Second), 1, 31 * time.Second, 0.9, 30500 * time.Millisecond},
		{"asked, does not fit", asks(429, 30*time.Second), 1, 30400 * time.Millisecond, 0, never},
		{"asked for ever", asks(429, math.MaxInt64), 1, time.Hour, 0.9, never},
		{"asked for ever, left for ever", asks(429, math.MaxInt64), 1, math.MaxInt64, 0, 24 * time.Hour},
		{"asked by a final answer", &Error{Status: 400, Rejected: true, RetryAfter: time.Second}, 1, time.Hour, 0, never},
		{"shortened", limited, 1, 50 * time.Second, 0.5, 45 * time.Second},
		{"shortened at the least", limited, 1, 10 * time.Second, 0.5, 5 * time.Second},
		{"not worthwhile", limited, 1, 9999 * time.Millisecond, 0.5, never},
		{"small one fits near the end", failing, 1, 2 * time.Second, 0.5, time.Second},
		{"nothing left", failing, 1, 0, 0.5, never},
		{"less than nothing", failing, 1, math.MinInt64, 0.5, never},
		{"final", &Error{Status: 400, Rejected: true}, 1, time.Hour, 0.5, never},
		{"canceled", &Error{Err: context.Canceled}, 1, time.Hour, 0.5, never},
		{"certificate", &Error{Err: http.ErrSchemeMismatch}, 1, time.Hour, 0.5, never},
		{"another error", errors.New("x"), 1, time.Hour, 0.5, never},
		{"no error", nil, 1, time.Hour, 0.5, never},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, again := Retry{Jitter: func() float64 { return tt.jitter }}.Next(tt.err, tt.attempt, tt.left)
			if !again {
				got = never
			}
			if got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func drawTemporary(t *rapid.T) *Error {
	e := &Error{Status: rapid.SampledFrom([]int{0, 408, 429, 500, 502, 503, 504, 599}).Draw(t, "status")}
	if rapid.Bool().Draw(t, "asks") {
		e.RetryAfter = time.Duration(rapid.Int64Min(1).Draw(t, "retryAfter"))
	}
	return e
}

func TestRetryWaitIsWithinBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawTemporary(t)
		attempt := rapid.Int().Draw(t, "attempt")
		left := time.Duration(rapid.Int64().Draw(t, "left"))
		jitter := rapid.Float64Range(0, 0.9999999).Draw(t, "jitter")
		wait, again := Retry{Jitter: func() float64 { return jitter }}.Next(e, attempt, left)
		if !again {
			if wait != 0 {
				t.Fatalf("gives up with a wait of %v", wait)
			}
			return
		}
		if wait <= 0 || wait >= left {
			t.Fatalf("wait %v, left %v", wait, left)
		}
		asked := min(e.RetryAfter, maxRetryAfter)
		switch {
		case asked > 0 && (wait < asked || wait > asked+asked/10+1):
			t.Fatalf("asked for %v, waits %v", asked, wait)
		case asked == 0 && wait > maxLimitedWait*5/4:
			t.Fatalf("waits %v of its own accord", wait)
		}
	})
}

// TestRetryEnds plays a whole delivery on a clock of its own.
func TestRetryEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		budget := time.Duration(rapid.Int64Range(0, int64(48*time.Hour)).Draw(t, "budget"))
		jitter := rapid.Float64Range(0, 0.9999999)
		retry := Retry{Jitter: func() float64 { return jitter.Draw(t, "jitter") }}
		spent := time.Duration(0)
		// A server may ask for next to nothing, and is then asked as often as it wants. Waits of our own are 45 s and more, but for the
		// first six and the one at the end.
		own, most := 0, int(budget/(45*time.Second))+7
		for attempt := 1; ; attempt++ {
			failed := drawTemporary(t)
			wait, again := retry.Next(failed, attempt, budget-spent)
			if !again {
				break
			}
			spent += wait
			if spent >= budget {
				t.Fatalf("attempt %d starts at %v of %v", attempt+1, spent, budget)
			}
			if failed.RetryAfter == 0 {
				own++
			}
			if own > most {
				t.Fatalf("%d waits of its own in %v", own, spent)
			}
		}
	})
}

func TestRetryUsesItsOwnJitter(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 20 {
		wait, again := Retry{}.Next(&Error{Status: 500}, 1, time.Hour)
		if !again || wait < 750*time.Millisecond || wait > 1250*time.Millisecond {
			t.Fatalf("got %v, %v", wait, again)
		}
		seen[wait] = true
	}
	if len(seen) < 2 {
		t.Error("no jitter")
	}
}
