package eventsv2

import (
	"net/http"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	tests := []struct {
		name   string
		header http.Header
		status int
		want   time.Duration
	}{
		{"none", http.Header{}, 429, 0},
		{"seconds", http.Header{"Retry-After": {"30"}}, 429, 30 * time.Second},
		{"seconds, 503", http.Header{"Retry-After": {"30"}}, 503, 30 * time.Second},
		{"spaces", http.Header{"Retry-After": {" 7 "}}, 429, 7 * time.Second},
		{"part of a second", http.Header{"Retry-After": {"1.5"}}, 429, 1500 * time.Millisecond},
		{"zero", http.Header{"Retry-After": {"0"}}, 429, 0},
		{"negative", http.Header{"Retry-After": {"-5"}}, 429, 0},
		{"huge", http.Header{"Retry-After": {"86401"}}, 429, 24 * time.Hour},
		{"beyond integers", http.Header{"Retry-After": {"99999999999999999999999999"}}, 429, 24 * time.Hour},
		{"beyond floats", http.Header{"Retry-After": {"9" + string(make9s(400))}}, 429, 24 * time.Hour},
		{"exponent", http.Header{"Retry-After": {"1e3"}}, 429, 0},
		{"hexadecimal", http.Header{"Retry-After": {"0x10"}}, 429, 0},
		{"words", http.Header{"Retry-After": {"soon"}}, 429, 0},
		{"infinite", http.Header{"Retry-After": {"Inf"}}, 429, 0},
		{"not a number", http.Header{"Retry-After": {"NaN"}}, 429, 0},
		{"dots", http.Header{"Retry-After": {"1.2.3"}}, 429, 0},
		{"a dot", http.Header{"Retry-After": {"."}}, 429, 0},
		{"with unit", http.Header{"Retry-After": {"30s"}}, 429, 0},
		{"date", http.Header{"Retry-After": {date(90 * time.Second)}}, 429, 90 * time.Second},
		{"RFC 850 date", http.Header{"Retry-After": {"Tuesday, 24-Nov-26 12:00:10 GMT"}}, 429, 10 * time.Second},
		{"past date", http.Header{"Retry-After": {date(-time.Second)}}, 429, 0},
		{"far date", http.Header{"Retry-After": {date(1000 * time.Hour)}}, 429, 24 * time.Hour},
		{"date of a server whose clock is ahead", http.Header{"Retry-After": {date(time.Hour + 10*time.Second)}, "Date": {date(time.Hour)}}, 429, 10 * time.Second},
		{"ratelimit-reset", http.Header{"Ratelimit-Reset": {"12"}}, 429, 12 * time.Second},
		{"ratelimit-reset, but a fault of the server", http.Header{"Ratelimit-Reset": {"12"}}, 500, 0},
		{"Retry-After counts more", http.Header{"Retry-After": {"3"}, "Ratelimit-Reset": {"12"}}, 429, 3 * time.Second},
		{"garbage, then ratelimit-reset", http.Header{"Retry-After": {"soon"}, "Ratelimit-Reset": {"12"}}, 429, 12 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := retryAfter(tt.header, tt.status, now); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func make9s(n int) []byte {
	nines := make([]byte, n)
	for i := range nines {
		nines[i] = '9'
	}
	return nines
}

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"30", "1.5", "-1", "1e9", "Tue, 24 Nov 2026 12:00:10 GMT", "99999999999999999999", ""} {
		f.Add(seed, seed, "")
	}
	f.Add("Tue, 24 Nov 2026 12:00:10 GMT", "", "Mon, 01 Jan 0001 00:00:00 GMT")
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, after, reset, date string) {
		header := http.Header{"Retry-After": {after}, "Ratelimit-Reset": {reset}, "Date": {date}}
		if got := retryAfter(header, 429, now); got < 0 || got > maxRetryAfter {
			t.Errorf("got %v", got)
		}
	})
}
