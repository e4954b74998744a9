package types

import (
	"errors"
	"testing"
	"time"
)

func TestParams(t *testing.T) {
	p := Params{}
	if _, found := p.Title(); found {
		t.Error("a title before one is set")
	}
	if _, found := p.Level(); found {
		t.Error("a level before one is set")
	}
	p.SetTitle("T")
	p.SetMessage("M")
	p.SetLevel(Warning)
	title, _ := p.Title()
	level, found := p.Level()
	if title != "T" || p[MessageKey] != "M" || level != Warning || !found {
		t.Errorf("got %v", p)
	}
	p[LevelKey] = "loud"
	if _, found := p.Level(); found {
		t.Error("an unknown level is found")
	}
}

func TestMessageLevel(t *testing.T) {
	for _, level := range []MessageLevel{Unknown, Debug, Info, Warning, Error} {
		if got, ok := ParseMessageLevel(level.String()); got != level || !ok {
			t.Errorf("%v reads as %v", level, got)
		}
	}
	if got := MessageLevel(99).String(); got != "Unknown" {
		t.Errorf("level 99 is %s", got)
	}
}

func TestBudget(t *testing.T) {
	for _, tc := range []struct {
		opts SenderOptions
		want time.Duration
	}{
		{SenderOptions{}, 5 * time.Minute},
		{SenderOptions{RetryFor: time.Hour}, time.Hour},
		{SenderOptions{RetryFor: -1}, 0},
		{SenderOptions{RetryFor: 5}, time.Second},
		{SenderOptions{RetryFor: time.Hour, Timeout: time.Second}, time.Second},
	} {
		if got := tc.opts.Budget(); got != tc.want {
			t.Errorf("%+v: %v, want %v", tc.opts, got, tc.want)
		}
	}
}

func TestTargetError(t *testing.T) {
	cause := errors.New("refused")
	for _, tc := range []struct {
		err  TargetError
		want string
	}{
		{TargetError{URL: "pagerduty"}, "pagerduty: refused"},
		{TargetError{URL: "pagerduty", Of: 1}, "pagerduty: refused"},
		{TargetError{URL: "pagerduty", Index: 1}, "pagerduty, URL 2: refused"},
		{TargetError{URL: "pagerduty", Of: 3}, "pagerduty, URL 1 of 3: refused"},
		{TargetError{Index: 2, Of: 3}, "URL 3 of 3: refused"},
		{TargetError{}, "refused"},
	} {
		tc.err.Err = cause
		if tc.err.Error() != tc.want || !errors.Is(&tc.err, cause) {
			t.Errorf("got %v, want %s", &tc.err, tc.want)
		}
	}
}
