package main

import (
	"cmp"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const shapeLong = `Show what is queued in a relay, by lane, severity and age, at a glance. A column counts
events that are younger than its head says and not in a column before it. A healthy
queue has its numbers at the left; a lane with numbers at the right is stuck.`

func newQueueShape(sys *system) *cobra.Command {
	var from relayFlags
	cmd := &cobra.Command{
		Use:     "shape",
		Short:   "Show what is queued by lane, severity and age",
		Long:    shapeLong,
		Example: "  shoutrrr queue shape\n  shoutrrr queue shape --json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := from.open(sys)
			if err != nil {
				return err
			}
			var s relayShape
			answer, err := r.get(cmd.Context(), "/api/shape", &s)
			if err != nil {
				return err
			}
			text := oneLine(answer)
			if !from.json {
				text = shapeText(&s, sys.paperFor(sys.stdout))
			}
			_, err = io.WriteString(sys.stdout, text)
			return err
		},
	}
	cmd.ValidArgsFunction = nothing
	from.add(cmd)
	return cmd
}

// relayShape is what the relay tells of its queue's shape.
type relayShape struct {
	Ages     []int       `json:"ages_s"`
	Lanes    []laneShape `json:"lanes"`
	NotShown int         `json:"not_shown"` // lanes with less queued
}

type laneShape struct {
	Name        string           `json:"name"`
	Fingerprint string           `json:"fingerprint"`
	Counts      map[string][]int `json:"counts"`
}

func (l *laneShape) total() int {
	total := 0
	for _, counts := range l.Counts {
		total += sum(counts)
	}
	return total
}

func sum(counts []int) (total int) {
	for _, n := range counts {
		total += n
	}
	return total
}

// longestBar is what is left of 80 columns.
const longestBar = 12

func shapeText(s *relayShape, p paper) string {
	lanes := make([]*laneShape, len(s.Lanes))
	for i := range s.Lanes {
		lanes[i] = &s.Lanes[i]
	}
	slices.SortFunc(lanes, func(a, b *laneShape) int {
		return cmp.Or(cmp.Compare(b.total(), a.total()), cmp.Compare(a.Name, b.Name))
	})
	t := &table{heads: append([]string{"LANE", "ALL"}, ageHeads(s.Ages)...), right: -2}
	largest := 0
	for _, l := range lanes {
		largest = max(largest, l.total())
	}
	if largest == 0 {
		return "Nothing is queued.\n"
	}
	for _, l := range lanes {
		if l.total() > 0 {
			t.rows = append(t.rows, shapeRows(l, len(s.Ages)+1, largest)...)
		}
	}
	text := t.text(p)
	if s.NotShown > 0 {
		text += counted(s.NotShown, "more lane") + " with less queued; shoutrrr queue lanes state:queued lists them.\n"
	}
	return text
}

// ageHeads names the columns: all but the last one end with an age.
func ageHeads(seconds []int) (heads []string) {
	for _, s := range seconds {
		heads = append(heads, "<"+age(time.Duration(s)*time.Second))
	}
	return append(heads, "older")
}

// shapeRows is a lane and, below it, each of its severities that has something
// waiting.
func shapeRows(l *laneShape, columns, largest int) []row {
	sums := make([]int, columns)
	var below []row
	for _, severity := range severities {
		counts := make([]int, columns)
		copy(counts, l.Counts[severity])
		for i, n := range counts {
			sums[i] += n
		}
		if sum(counts) > 0 {
			below = append(below, row{cells: shapeCells(gap+severity, counts)})
		}
	}
	bar := strings.Repeat("#", max(1, l.total()*longestBar/largest))
	return append([]row{{cells: shapeCells(l.Name, sums), colour: bold, note: bar}}, below...)
}

// shapeCells writes nothing as a dot, which lets the numbers stand out.
func shapeCells(name string, counts []int) []string {
	cells := []string{name, short(sum(counts))}
	for _, n := range counts {
		text := "."
		if n > 0 {
			text = short(n)
		}
		cells = append(cells, text)
	}
	return cells
}
