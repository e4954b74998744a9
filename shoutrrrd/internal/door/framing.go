package door

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
)

// framing reads along with net/http and stops a connection before a request whose
// end two readers might see in different places. Behind such a request somebody
// may have hidden a second one, in the name of whoever shares the connection (RFC
// 9112, section 11.2). net/http forgives much of it, and has merged the lines when
// a handler could look: Content-Length beside Transfer-Encoding, the same
// Content-Length twice, folded lines, lines that end in LF alone, HTTP/1.0 with
// Transfer-Encoding, an absolute target beside another Host.
//
// It changes no byte. A line is judged before its LF is passed on, so that a
// request is either whole and clear or never complete.
type framing struct {
	at   place
	line []byte // what has come of a line, until it is whole
	left uint64 // bytes of a body or of a chunk

	minor     byte   // of the request's HTTP version
	authority string // of an absolute target
	host      string
	sized     bool
	chunked   bool
	length    uint64
}

// place is what the next byte belongs to.
type place uint8

const (
	inRequestLine place = iota
	inHeader
	inBody
	inChunkSize
	inChunk
	afterChunk // the CRLF
	inTrailer
)

// errFraming ends a connection. net/http answers it with 400 in a head, and hands
// it to whoever reads the body.
var errFraming = errors.New("the request's framing is ambiguous or broken")

// maxLine is more than net/http reads of a whole head.
const maxLine = 64 << 10

// scan looks at the next bytes and returns how many of them may be passed on.
func (f *framing) scan(p []byte) (n int, err error) {
	for n < len(p) {
		switch f.at {
		case inBody, inChunk:
			step := min(f.left, uint64(len(p)-n))
			n += int(step)
			if f.left -= step; f.left == 0 {
				f.endOfData()
			}
		default:
			step, err := f.scanLine(p[n:])
			n += step
			if err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

func (f *framing) endOfData() {
	if f.at == inChunk {
		f.at = afterChunk
		return
	}
	f.next()
}

// next makes ready for another request.
func (f *framing) next() { *f = framing{line: f.line[:0]} }

// scanLine takes a line, or what there is of it.
func (f *framing) scanLine(p []byte) (int, error) {
	end := bytes.IndexByte(p, '\n')
	if end < 0 {
		if len(f.line)+len(p) > maxLine {
			return 0, errFraming
		}
		f.line = append(f.line, p...)
		return len(p), nil
	}
	line := p[:end]
	if len(f.line) > 0 {
		f.line = append(f.line, line...)
		line = f.line
	}
	line, ok := bytes.CutSuffix(line, []byte{'\r'})
	if !ok || !f.take(line) {
		return end, errFraming
	}
	f.line = f.line[:0]
	return end + 1, nil
}

// take judges a whole line.
func (f *framing) take(line []byte) bool {
	switch f.at {
	case inRequestLine:
		f.at = inHeader
		return f.requestLine(line)
	case inHeader:
		if len(line) == 0 {
			return f.endOfHead()
		}
		return f.headerLine(line)
	case inChunkSize:
		return f.chunkSize(line)
	case afterChunk:
		f.at = inChunkSize
		return len(line) == 0
	}
	if len(line) == 0 {
		f.next()
		return true
	}
	name, _, ok := field(line)
	return ok && !is(name, "content-length") && !is(name, "transfer-encoding") && !is(name, "host")
}

// requestLine takes "METHOD target HTTP/1.x", with one space at each place.
func (f *framing) requestLine(line []byte) bool {
	method, rest, _ := bytes.Cut(line, []byte{' '})
	target, version, ok := bytes.Cut(rest, []byte{' '})
	if !ok || len(method) == 0 || len(target) == 0 || !allOf(method, &tokens) || !allOf(target, &visible) {
		return false
	}
	if len(version) != len("HTTP/1.1") || string(version[:7]) != "HTTP/1." || version[7] != '0' && version[7] != '1' {
		return false
	}
	f.minor = version[7] - '0'
	if _, after, absolute := bytes.Cut(target, []byte("://")); absolute && target[0] != '/' {
		authority, _, _ := strings.Cut(string(after), "/")
		authority, _, _ = strings.Cut(authority, "?")
		f.authority = authority
		return authority != "" && !strings.Contains(authority, "@")
	}
	return target[0] == '/' || string(target) == "*" // CONNECT's target is for proxies
}

// field splits a header line. Before the colon stands no space: some readers would
// ignore such a line and others would not.
func field(line []byte) (name, value []byte, ok bool) {
	name, value, ok = bytes.Cut(line, []byte{':'})
	if !ok || len(name) == 0 || !allOf(name, &tokens) || !allOf(value, &texts) {
		return nil, nil, false
	}
	return name, bytes.Trim(value, " \t"), true
}

func (f *framing) headerLine(line []byte) bool {
	name, value, ok := field(line)
	if !ok {
		return false
	}
	switch {
	case is(name, "content-length"):
		if f.sized || len(value) == 0 || len(value) > 18 || !allOf(value, &digits) {
			return false
		}
		f.sized = true
		f.length, _ = strconv.ParseUint(string(value), 10, 64) // at most 18 digits
	case is(name, "transfer-encoding"):
		if f.chunked || f.minor == 0 || !is(value, "chunked") {
			return false
		}
		f.chunked = true
	case is(name, "host") && f.authority != "":
		f.host = string(value)
	}
	return true
}

func (f *framing) endOfHead() bool {
	switch {
	case f.sized && f.chunked:
		return false
	case f.authority != "" && !strings.EqualFold(f.authority, f.host):
		return false
	case f.chunked:
		f.at = inChunkSize
	case f.length > 0:
		f.at, f.left = inBody, f.length
	default:
		f.next()
	}
	return true
}

// chunkSize takes a chunk's size, in hexadecimal. An extension may follow it.
func (f *framing) chunkSize(line []byte) bool {
	size, extension, _ := bytes.Cut(line, []byte{';'})
	size = bytes.TrimRight(size, " \t")
	if len(size) == 0 || len(size) > 15 || !allOf(size, &hexadecimal) || !allOf(extension, &texts) {
		return false
	}
	f.left, _ = strconv.ParseUint(string(size), 16, 64) // at most 15 digits
	f.at = inChunk
	if f.left == 0 {
		f.at = inTrailer
	}
	return true
}

// is compares without case.
func is(text []byte, lower string) bool {
	return len(text) == len(lower) && bytes.EqualFold(text, []byte(lower))
}

// class is a set of bytes.
type class [256]bool

var (
	tokens      = classOf("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	digits      = classOf("0123456789")
	hexadecimal = classOf("0123456789abcdefABCDEF")
	visible     = classFrom('!', '~')
	texts       = func() class { c := classFrom(' ', 255); c['\t'], c[127] = true, false; return c }()
)

func classOf(members string) (c class) {
	for i := range len(members) {
		c[members[i]] = true
	}
	return c
}

func classFrom(first, last int) (c class) {
	for i := first; i <= last; i++ {
		c[i] = true
	}
	return c
}

func allOf(text []byte, c *class) bool {
	for _, b := range text {
		if !c[b] {
			return false
		}
	}
	return true
}
