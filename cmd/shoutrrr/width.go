package main

import (
	"strings"
	"unicode"
)

// wide are the characters that take two columns of a terminal, by blocks: East Asian
// ones, the emoji, and those older signs that have become emoji. Within the blocks
// some few are narrow; a line with one is cut a column early.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115F, Stride: 1},
		{Lo: 0x231A, Hi: 0x231B, Stride: 1},
		{Lo: 0x23E9, Hi: 0x23EC, Stride: 1},
		{Lo: 0x23F0, Hi: 0x23F3, Stride: 3},
		{Lo: 0x2614, Hi: 0x2615, Stride: 1},
		{Lo: 0x26A1, Hi: 0x26D4, Stride: 0x33},
		{Lo: 0x26FD, Hi: 0x2705, Stride: 8},
		{Lo: 0x2728, Hi: 0x274C, Stride: 0x24},
		{Lo: 0x2753, Hi: 0x2757, Stride: 1},
		{Lo: 0x2795, Hi: 0x2797, Stride: 1},
		{Lo: 0x2B1B, Hi: 0x2B1C, Stride: 1},
		{Lo: 0x2B50, Hi: 0x2B55, Stride: 5},
		{Lo: 0x2E80, Hi: 0x303E, Stride: 1},
		{Lo: 0x3041, Hi: 0x4DBF, Stride: 1},
		{Lo: 0x4E00, Hi: 0xA4CF, Stride: 1},
		{Lo: 0xA960, Hi: 0xA97F, Stride: 1},
		{Lo: 0xAC00, Hi: 0xD7A3, Stride: 1},
		{Lo: 0xF900, Hi: 0xFAFF, Stride: 1},
		{Lo: 0xFE30, Hi: 0xFE6F, Stride: 1},
		{Lo: 0xFF00, Hi: 0xFF60, Stride: 1},
		{Lo: 0xFFE0, Hi: 0xFFE6, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x16FE0, Hi: 0x18CFF, Stride: 1},
		{Lo: 0x1B000, Hi: 0x1B2FF, Stride: 1},
		{Lo: 0x1F18E, Hi: 0x1F64F, Stride: 1},
		{Lo: 0x1F680, Hi: 0x1F6FF, Stride: 1},
		{Lo: 0x1F7E0, Hi: 0x1F7EB, Stride: 1},
		{Lo: 0x1F90C, Hi: 0x1FAFF, Stride: 1},
		{Lo: 0x20000, Hi: 0x3FFFD, Stride: 1},
	},
}

func runeWidth(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case unicode.Is(wide, r):
		return 2
	}
	return 1
}

// textWidth is how many columns a text takes. The escape sequences that set colours
// take none.
func textWidth(text string) int {
	width, escape := 0, false
	for _, r := range text {
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = r != 'm'
		default:
			width += runeWidth(r)
		}
	}
	return width
}

// clipped cuts a text that takes more than so many columns. Colours that are set in
// it are taken back.
func clipped(text string, width int) string {
	if textWidth(text) <= width {
		return text
	}
	var b strings.Builder
	taken, escape := 0, false
	for _, r := range text {
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = r != 'm'
		case taken+runeWidth(r) > width-1:
			b.WriteString("…")
			if strings.Contains(text, "\x1b") {
				b.WriteString("\x1b[0m")
			}
			return b.String()
		default:
			taken += runeWidth(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}

// padded fills a text up with blanks, before it or behind it.
func padded(text string, width int, right bool) string {
	blanks := strings.Repeat(" ", max(0, width-textWidth(text)))
	if right {
		return blanks + text
	}
	return text + blanks
}

// folded breaks a text at its blanks into lines of at most so many columns, of which
// all but the first are indented; a word that is longer is cut. Width 0 is for no
// limit.
func folded(text string, width int, indent string) string {
	if width <= 0 || textWidth(text) <= width {
		return text
	}
	var b strings.Builder
	used := 0
	for word := range strings.FieldsSeq(text) {
		word = clipped(word, width-len(indent))
		switch {
		case used > 0 && used+1+textWidth(word) > width:
			b.WriteString("\n" + indent)
			used = len(indent)
		case used > 0:
			b.WriteString(" ")
			used++
		}
		b.WriteString(word)
		used += textWidth(word)
	}
	return b.String()
}
