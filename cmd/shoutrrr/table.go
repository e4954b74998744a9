package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/containrrr/shoutrrr/internal/redact"
)

// Colours, as the terminal wants them told.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	dim    = "2"
	bold   = "1"
)

// wordColours are for cells that are one of these words.
var wordColours = map[string]string{
	"critical": red, "error": yellow,
	"refused": red, "expired": red, "waiting": yellow, "delivered": dim, "dropped": dim,
	".": dim,
}

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

// row has a note, which stands behind it or, where the line is too short, below it.
type row struct {
	cells  []string
	colour string // of the cells
	note   string
	mood   string // the colour of the note
}

// table has columns; the last one takes what the others leave of the line.
type table struct {
	heads []string
	right int // bit i: column i holds numbers
	rows  []row
}

// widestCell bounds every column but the last on a terminal. A fingerprint has 20
// characters.
const widestCell = 20

const gap = "  "

// text draws the table.
func (t *table) text(p paper) string {
	all := append([]row{{cells: t.heads, colour: bold}}, t.rows...)
	widths := make([]int, len(t.heads))
	for _, r := range all {
		for i, text := range r.cells {
			widths[i] = max(widths[i], textWidth(singleLine(text)))
			if p.width > 0 && i < len(t.heads)-1 {
				widths[i] = min(widths[i], widestCell)
			}
		}
	}
	var b strings.Builder
	for _, r := range all {
		b.WriteString(noted(p, t.line(r, widths, p), r.note, r.mood) + "\n")
	}
	return b.String()
}

// line draws the cells of a row.
func (t *table) line(r row, widths []int, p paper) string {
	line, used := "", 0
	for i, text := range r.cells {
		text = singleLine(text)
		colour := r.colour
		if colour == "" {
			colour = wordColours[strings.TrimSpace(text)]
		}
		if i > 0 {
			line, used = line+gap, used+len(gap)
		}
		room := widths[i]
		if i == len(widths)-1 {
			room = max(1, p.width-used)
		}
		if p.width > 0 {
			text = clipped(text, room)
		}
		if right := t.right>>i&1 == 1; right || i < len(r.cells)-1 {
			text = padded(text, widths[i], right)
		}
		line, used = line+p.coloured(text, colour), used+textWidth(text)
	}
	return line
}

// noted puts a note behind a line, or below it.
func noted(p paper, line, note, colour string) string {
	const indent = "    "
	note = singleLine(note)
	switch {
	case note == "":
		return strings.TrimRight(line, " ")
	case p.width == 0 || textWidth(line)+len(gap)+textWidth(note) <= p.width:
		return line + gap + p.coloured(note, colour)
	}
	line = strings.TrimRight(line, " ")
	for part := range strings.SplitSeq(folded(note, p.width-len(indent), ""), "\n") {
		line += "\n" + indent + p.coloured(part, colour)
	}
	return line
}

// singleLine makes of a text what can stand in a table: one line that does not
// speak to the terminal. An indent stays.
func singleLine(text string) string {
	line := redact.Line(strings.Join(strings.Fields(text), " "))
	if strings.HasPrefix(text, gap) {
		return gap + line
	}
	return line
}

// short writes a number in at most four characters.
func short(n int) string {
	switch {
	case n < 10_000:
		return strconv.Itoa(n)
	case n < 1_000_000:
		return strconv.Itoa(n/1000) + "k"
	}
	return strconv.Itoa(n/1_000_000) + "M"
}

// age writes a time as one number: 12s, 3m, 4h, 5d.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return strconv.Itoa(int(max(0, d)/time.Second)) + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	}
	return strconv.Itoa(int(d/(24*time.Hour))) + "d"
}

// bound is the same of a time that will not be exceeded: what is begun of a unit counts.
func bound(d time.Duration) string {
	unit := time.Second
	switch {
	case d >= 48*time.Hour:
		unit = 24 * time.Hour
	case d >= time.Hour:
		unit = time.Hour
	case d >= time.Minute:
		unit = time.Minute
	}
	return age((d + unit - 1).Truncate(unit))
}

// ageOf is the age that the relay tells in seconds, "-" for none.
func ageOf(seconds *float64) string {
	if seconds == nil {
		return "-"
	}
	return age(duration(*seconds))
}

// duration reads the relay's seconds. What would not fit is as long as anybody will
// wait.
func duration(seconds float64) time.Duration {
	const longest = 100 * 365 * 24 * 3600
	return time.Duration(min(max(seconds, 0), longest) * float64(time.Second))
}
