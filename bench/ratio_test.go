package main

import "testing"

func TestQuantile(t *testing.T) {
	values := []float64{4, 1, 3, 2}
	for _, c := range []struct{ q, want float64 }{{0, 1}, {0.5, 2.5}, {1, 4}, {0.25, 1.75}} {
		if got := quantile(values, c.q); got != c.want {
			t.Errorf("quantile(%v, %v) = %v, want %v", values, c.q, got, c.want)
		}
	}
	if values[0] != 4 {
		t.Errorf("quantile sorted its argument: %v", values)
	}
}

func TestRatiosAreTakenRoundByRound(t *testing.T) {
	got := median(ratiosOf([]float64{1, 20, 3}, []float64{2, 40, 3}))
	if got != 0.5 {
		t.Errorf("median of the ratios = %v, want 0.5", got)
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		goal   goal
		figure float64
		want   string
	}{
		{atMost(0.7), 0.69, "met"},
		{atMost(0.7), 0.7, "met"},
		{atMost(0.7), 0.71, "missed"},
		{atLeast(0.95), 0.94, "missed"},
		{atLeast(0.95), 0.95, "met"},
		{atLeast(0.95), 1.2, "met"},
		{noGoal, 5, ""},
	} {
		if got := c.goal.verdict(c.figure); got != c.want {
			t.Errorf("verdict of %v on %v = %q, want %q", c.goal, c.figure, got, c.want)
		}
	}
}
