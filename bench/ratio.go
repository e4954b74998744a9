package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// ratios are what ours cost in terms of theirs, one for each round.
type ratios []float64

// ratiosOf divides round by round: what disturbed one half of a round mostly
// disturbed the other.
func ratiosOf(ours, theirs []float64) ratios {
	r := make(ratios, min(len(ours), len(theirs)))
	for i := range r {
		r[i] = ours[i] / theirs[i]
	}
	return r
}

// quantile returns the value below which the share q of the values lies.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	low := int(at)
	if low+1 == len(sorted) {
		return sorted[low]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}

func median(values []float64) float64 { return quantile(values, 0.5) }

// goal is the most or the least that a ratio should be.
type goal struct {
	limit   float64
	atLeast bool
	none    bool // there is none, the figure is for information
}

func atMost(limit float64) goal  { return goal{limit: limit} }
func atLeast(limit float64) goal { return goal{limit: limit, atLeast: true} }

var noGoal = goal{none: true}

func (g goal) String() string {
	switch {
	case g.none:
		return "-"
	case g.atLeast:
		return fmt.Sprintf(">= %.2f", g.limit)
	}
	return fmt.Sprintf("<= %.2f", g.limit)
}

func (g goal) verdict(figure float64) string {
	switch {
	case g.none:
		return ""
	case g.atLeast == (figure >= g.limit), figure == g.limit:
		return "met"
	}
	return "missed"
}

// table prints rows of ratios.
type table struct{ w *tabwriter.Writer }

func newTable(out io.Writer, title string) table {
	fmt.Fprintf(out, "\n%s\n", title)
	t := table{tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	fmt.Fprintln(t.w, "  what\tratio\tmiddle half\tgoal\t\tmedians")
	return t
}

// row prints the median of the ratios and where the middle half of them lies;
// scale tells the size of what was divided.
func (t table) row(what string, r ratios, g goal, scale string) {
	m := median(r)
	spread := "-"
	if len(r) > 1 {
		spread = fmt.Sprintf("%.2f-%.2f", quantile(r, 0.25), quantile(r, 0.75))
	}
	fmt.Fprintf(t.w, "  %s\t%.2f\t%s\t%s\t%s\t%s\n", what, m, spread, g, g.verdict(m), scale)
}

func (t table) flush() { _ = t.w.Flush() }
