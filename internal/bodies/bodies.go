// Package bodies makes request bodies of any size in which one part stands many
// times: what costs more than its length shows only when there is much of it.
package bodies

import (
	"bytes"
	"strconv"
)

// Most is the size of the largest body that the relay reads.
const Most = 2 << 20

// Shape is a body in which one part stands many times.
type Shape struct {
	Name   string
	Before string
	// Unit is the part that is repeated. Each # in it becomes the number of the
	// repetition, so that names and texts can differ.
	Unit string
	// Inner stands between the units and their Closing.
	Inner string
	// Closing ends a unit that opens something: it is repeated as often.
	Closing string
	After   string
}

// Body returns the largest body of the shape that has at most size bytes.
func (s Shape) Body(size int) []byte {
	fixed := len(s.Before) + len(s.Inner) + len(s.After)
	body := append(make([]byte, 0, size), s.Before...)
	n := 0
	for {
		with := appendUnit(body, []byte(s.Unit), n)
		if fixed+len(with)-len(s.Before)+(n+1)*len(s.Closing) > size {
			break
		}
		body = with
		n++
	}
	body = append(body, s.Inner...)
	for range n {
		body = append(body, s.Closing...)
	}
	return append(body, s.After...)
}

// Seed returns the arguments with which [Grow] makes the shape, but for its
// Closing: the fuzzer starts from them.
func (s Shape) Seed(size int) (body []byte, from, to, times uint16) {
	body = []byte(s.Before + s.Unit + s.Inner + s.Closing + s.After)
	from = uint16(len(s.Before))
	return body, from, from + uint16(len(s.Unit)), uint16(min(size/len(s.Unit), 1<<16-1))
}

// Grow repeats a part of the body that many times more, as long as the whole stays
// below limit, and numbers the copies. A fuzzer that may choose these few numbers
// reaches bodies of hundreds of kilobytes, which it never builds byte by byte.
func Grow(body []byte, from, to, times uint16, limit int) []byte {
	start, end := int(from), min(int(to), len(body))
	if times == 0 || start >= end {
		return body
	}
	unit := body[start:end]
	grown := append(make([]byte, 0, min(limit, len(body)+int(times)*len(unit))), body[:end]...)
	for n := range int(times) {
		if len(grown)+len(unit)+len(body)-end > limit {
			break
		}
		grown = appendUnit(grown, unit, n)
	}
	return append(grown, body[end:]...)
}

func appendUnit(dst, unit []byte, n int) []byte {
	for {
		before, after, found := bytes.Cut(unit, []byte("#"))
		dst = append(dst, before...)
		if !found {
			return dst
		}
		dst = strconv.AppendInt(dst, int64(n), 10)
		unit = after
	}
}
