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
	var err error = &TargetError{URL: "pagerduty", Index: 1, Err: cause}
	if err.Error() != "pagerduty: refused" || !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}
