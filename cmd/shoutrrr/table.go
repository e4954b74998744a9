package main

import (
	"strconv"
	"strings"
	"time"
)

// Colours, as the terminal wants them told.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	dim    = "2"
	bold   = "1"
)

// paper is what a text is written for.
type paper struct {
	width   int // of a line; 0 for no limit
	colours bool
}

// paperFor knows the width of a terminal. Elsewhere lines are as long as they are,
// so that a program that looks for a word finds it.
func (s *system) paperFor(stream any) paper {
	p := paper{colours: s.colourful(stream)}
	if s.isTerminal(stream) {
		p.width, _ = screenSize(stream)
	}
	return p
}

func (p paper) coloured(text, colour string) string {
	if !p.colours || colour == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// cell is what stands in one place of a table.
type cell struct{ text, colour string }

// row has a note, which stands behind it or, where the line is too short, below it.
type row struct {
	cells []cell
	note  cell
}

// table has columns; the last one takes what the others leave of the line.
type table struct {
	heads []string
	right []bool // columns of numbers
	rows  []row
}

// widestCell bounds every column but the last on a terminal.
const widestCell = 20

const gap = "  "

// text draws the table.
func (t *table) text(p paper) string {
	widths := t.widths(p)
	var b strings.Builder
	heads := make([]cell, len(t.heads))
	for i, head := range t.heads {
		heads[i] = cell{head, bold}
	}
	t.draw(&b, p, widths, row{cells: heads})
	for _, r := range t.rows {
		t.draw(&b, p, widths, r)
	}
	return b.String()
}

func (t *table) widths(p paper) []int {
	widths := make([]int, len(t.heads))
	for i, head := range t.heads {
		widths[i] = textWidth(head)
		for _, r := range t.rows {
			if i < len(r.cells) {
				widths[i] = max(widths[i], textWidth(singleLine(r.cells[i].text)))
			}
		}
		if p.width > 0 && i < len(t.heads)-1 {
			widths[i] = min(widths[i], widestCell)
		}
	}
	return widths
}

func (t *table) draw(b *strings.Builder, p paper, widths []int, r row) {
	line, used := "", 0
	for i, c := range r.cells {
		text, last := singleLine(c.text), i == len(widths)-1
		room := widths[i]
		if last {
			room = p.width - used
		}
		if p.width > 0 {
			text = clipped(text, max(1, room))
		}
		if i < len(r.cells)-1 || t.right[i] {
			text = padded(text, widths[i], t.right[i])
		}
		line += p.coloured(text, c.colour)
		used += textWidth(text)
		if i < len(r.cells)-1 {
			line += gap
			used += len(gap)
		}
	}
	b.WriteString(strings.TrimRight(line, " "))
	if note := singleLine(r.note.text); note != "" {
		b.WriteString(noted(p, note, r.note.colour, used, widths[len(widths)-1], len(r.cells) == len(widths)))
	}
	b.WriteString("\n")
}

// noted is the note of a row that has taken so many columns.
func noted(p paper, note, colour string, used, last int, full bool) string {
	if p.width == 0 || used+len(gap)+textWidth(note) <= p.width {
		lead := gap
		_ = last
		_ = full
		return lead + p.coloured(note, colour)
	}
	lines := strings.Split(folded(note, p.width-4, ""), "\n")
	for i, line := range lines {
		lines[i] = "    " + p.coloured(clipped(line, p.width-4), colour)
	}
	return "\n" + strings.Join(lines, "\n")
}

// singleLine makes of a text what can stand in a table: one line that does not
// speak to the terminal.
func singleLine(text string) string { return legible(strings.Join(strings.Fields(text), " ")) }

// short writes a number in at most four characters.
func short(n int) string {
	switch {
	case n < 10_000:
		return strconv.Itoa(n)
	case n < 1_000_000:
		return strconv.Itoa(n/1000) + "k"
	case n < 10_000_000:
		return strconv.FormatFloat(float64(n/100_000)/10, 'f', 1, 64) + "M"
	}
	return strconv.Itoa(n/1_000_000) + "M"
}

// age writes a time as one number: 12s, 3m, 4h, 5d.
func age(d time.Duration) string {
	switch {
	case d < time.Second:
		return "0s"
	case d < time.Minute:
		return strconv.Itoa(int(d/time.Second)) + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	}
	return strconv.Itoa(int(d/(24*time.Hour))) + "d"
}

// ageOf is the age that the relay tells in seconds, "-" for none.
func ageOf(seconds *float64) string {
	if seconds == nil {
		return "-"
	}
	return age(duration(*seconds))
}

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }
