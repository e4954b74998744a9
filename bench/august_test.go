package main

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestAugustDay(t *testing.T) {
	s := setting{peak: 30 * time.Minute, then: 30 * time.Minute, seed: 7}
	day := newAugustDay(s)
	if again := newAugustDay(s); !reflect.DeepEqual(day, again) {
		t.Error("a seed gives two days")
	}
	if n := len(day.events); n < 17_000 || n > 19_000 {
		t.Errorf("%d events in an hour, want about 300 a minute", n)
	}
	critical, keys := 0, map[string]bool{}
	for _, e := range day.events {
		if keys[e.key] = true; e.severity == "critical" {
			critical++
		}
	}
	if len(keys) != augustKeys || critical < 700 || critical > 1100 {
		t.Errorf("%d keys, %d of %d events are critical", len(keys), critical, len(day.events))
	}
}

// What PagerDuty never got counts as later than all else.
func TestLostIsNever(t *testing.T) {
	day := augustDay{}
	start := time.Now()
	w := &way{taken: map[string]time.Time{}, dedup: func(e augustEvent) string { return e.dedup }}
	for n, took := range []time.Duration{-1, 3 * time.Second, 20 * time.Millisecond, time.Second} {
		e := augustEvent{at: time.Duration(n) * time.Second, dedup: strings.Repeat("x", n+1), severity: "critical"}
		if day.events = append(day.events, e); took >= 0 {
			w.taken[e.dedup] = start.Add(e.at + took)
		}
	}
	want := []time.Duration{20 * time.Millisecond, time.Second, 3 * time.Second, -1}
	if waits := day.waits(w, start, 0, time.Minute); !reflect.DeepEqual(waits, want) {
		t.Errorf("%v, want %v", waits, want)
	}
	if text := spread(want); text != "3.0 s\tnever\tnever\tnever\t" {
		t.Errorf("%q", text)
	}
	if waits := day.waits(w, start, time.Minute, time.Hour); len(waits) != 0 || spread(waits) != "-\t-\t-\t-\t" {
		t.Errorf("%v", waits)
	}
}
