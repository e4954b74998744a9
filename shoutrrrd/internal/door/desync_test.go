package door

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// hidden is the request that somebody has put behind another one.
const hidden = "GET /hidden HTTP/1.1\r\nHost: relay\r\n\r\n"

// post makes a request from header lines and what follows them.
func post(lines, body string) string {
	return "POST /v2/enqueue HTTP/1.1\r\nHost: relay\r\n" + lines + "\r\n" + body
}

// verdict is what has to become of a request: the status of its answer, 0 for
// none, and whether the next one on the connection is answered.
type verdict struct {
	name, request string
	status        int
	open          bool
}

// corpus is what clients, proxies and attackers send.
var corpus = []verdict{
	// What is clear.
	{"a length", post("Content-Length: 2\r\n", "{}"), 202, true},
	{"no body", post("", ""), 202, true},
	{"length 0", post("Content-Length: 0\r\n", ""), 202, true},
	{"length with zeros in front", post("Content-Length: 0002\r\n", "{}"), 202, true},
	{"length without a space", post("Content-Length:2\r\n", "{}"), 202, true},
	{"length between spaces and tabs", post("Content-Length: \t 2 \t\r\n", "{}"), 202, true},
	{"length in lower case", post("content-length: 2\r\n", "{}"), 202, true},
	{"one chunk", post("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"), 202, false},
	{"two chunks", post("Transfer-Encoding: chunked\r\n", "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"), 202, false},
	{"chunked in capitals", post("Transfer-Encoding: CHUNKED\r\n", "2\r\n{}\r\n0\r\n\r\n"), 202, false},
	{"size of a chunk with zeros in front", post("Transfer-Encoding: chunked\r\n", "002\r\n{}\r\n0\r\n\r\n"), 202, false},
	{"size of a chunk in hexadecimal", post("Transfer-Encoding: chunked\r\n", "A\r\n0123456789\r\n0\r\n\r\n"), 202, false},
	{"an extension", post("Transfer-Encoding: chunked\r\n", "2;name=value\r\n{}\r\n0\r\n\r\n"), 202, false},
	{"a trailer", post("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\nX-Sum: 1\r\n\r\n"), 202, false},
	{"HTTP/1.0", "POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}", 202, false},
	{"HTTP/1.0 that stays", "POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}", 202, false},
	{"a request that ends the connection", post("Connection: close\r\nContent-Length: 2\r\n", "{}"), 202, false},
	{"an absolute target with its host", "POST http://relay/v2/enqueue HTTP/1.1\r\nHost: relay\r\nContent-Length: 2\r\n\r\n{}", 400, false},
	{"a value with letters beyond ASCII", post("X-Name: caf\xc3\xa9\r\nContent-Length: 2\r\n", "{}"), 202, true},
	{"an empty value", post("X-Name:\r\nContent-Length: 2\r\n", "{}"), 202, true},
	{"a body that looks like a request", post(fmt.Sprintf("Content-Length: %d\r\n", len(hidden)), hidden), 202, true},
	{"a chunk that looks like an end", post("Transfer-Encoding: chunked\r\n", "5\r\n0\r\n\r\n\r\n0\r\n\r\n"), 202, false},

	// Two lengths.
	{"length and chunked", post("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 202, false},
	{"chunked and length", post("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", "0\r\n\r\n"), 202, false},
	{"length 0 and chunked", post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 202, false},
	{"two lengths", post("Content-Length: 2\r\nContent-Length: 0\r\n", "{}"), 400, false},
	{"the same length twice", post("Content-Length: 2\r\nContent-Length: 2\r\n", "{}"), 202, true},
	{"two lengths in one line", post("Content-Length: 2, 2\r\n", "{}"), 400, false},
	{"two lengths with something between", post("Content-Length: 2\r\nX-A: b\r\ncontent-length: 3\r\n", "{}"), 400, false},

	// A length that is none.
	{"length with a sign", post("Content-Length: +2\r\n", "{}"), 400, false},
	{"a negative length", post("Content-Length: -2\r\n", "{}"), 400, false},
	{"length in hexadecimal", post("Content-Length: 0x2\r\n", "{}"), 400, false},
	{"an empty length", post("Content-Length: \r\n", "{}"), 400, false},
	{"length with a fraction", post("Content-Length: 2.0\r\n", "{}"), 400, false},
	{"length with an underscore", post("Content-Length: 0_2\r\n", "{}"), 400, false},
	{"length beyond 64 bits", post("Content-Length: 18446744073709551618\r\n", "{}"), 400, false},
	{"length with a space within", post("Content-Length: 0 2\r\n", "{}"), 400, false},
	{"length with a form feed", post("Content-Length: \f2\r\n", "{}"), 400, false},
	{"length that does not come", post("Content-Length: 200\r\n", "{}"), 400, false},

	// A transfer encoding that is another one, or hidden.
	{"identity", post("Transfer-Encoding: identity\r\n", ""), 501, false},
	{"gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 501, false},
	{"chunked, identity", post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"), 501, false},
	{"chunked twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 501, false},
	{"chunked twice in a line", post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), 501, false},
	{"chunked and identity", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"), 501, false},
	{"chunked in quotation marks", post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), 501, false},
	{"chunked with a parameter", post("Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n"), 501, false},
	{"xchunked", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), 501, false},
	{"an empty encoding", post("Transfer-Encoding:\r\n", ""), 501, false},
	{"chunked behind a vertical tab", post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"), 400, false},
	{"space before the colon", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), 400, false},
	{"space before the colon of a length", post("Content-Length : 2\r\n", "{}"), 400, false},
	{"a tab before the colon", post("Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n"), 400, false},
	{"HTTP/1.0 with chunked", "POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 202, false},
	{"HTTP/1.0 with chunked and length", "POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}", 202, false},

	// Lines.
	{"a folded line", post("X-A: b\r\n c\r\nContent-Length: 2\r\n", "{}"), 202, true},
	{"a folded encoding", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"), 202, false},
	{"a folded length", post("Content-Length:\r\n\t2\r\n", "{}"), 202, true},
	{"a first line that is folded", "POST / HTTP/1.1\r\n Content-Length: 2\r\nHost: relay\r\n\r\n{}", 400, false},
	// net/http takes LF for CRLF and joins folded lines: docs/adr/0001-one-http-reader.md.
	{"a line that ends in LF", "POST / HTTP/1.1\r\nHost: relay\nContent-Length: 2\r\n\r\n{}", 202, true},
	{"only LF", "POST / HTTP/1.1\nHost: relay\nContent-Length: 2\n\n{}", 202, true},
	{"a head that ends in LF", "POST / HTTP/1.1\r\nHost: relay\r\nContent-Length: 2\r\n\n{}", 202, true},
	{"CR within a line", post("X-A: b\rContent-Length: 2\r\n", ""), 400, false},
	{"CR CR LF", post("Content-Length: 2\r\r\n", "{}"), 400, false},
	{"NUL in a value", post("X-A: b\x00c\r\nContent-Length: 2\r\n", "{}"), 400, false},
	{"NUL in a name", post("X-\x00A: b\r\nContent-Length: 2\r\n", "{}"), 400, false},
	{"no colon", post("Content-Length\r\n", ""), 400, false},
	{"no name", post(": 2\r\n", ""), 400, false},
	{"a name in brackets", post("(X): 2\r\n", ""), 400, false},
	{"a name beyond ASCII", post("X-\xc3\xa9: 2\r\n", ""), 400, false},

	// Chunks.
	{"size of a chunk that is none", post("Transfer-Encoding: chunked\r\n", "x\r\n{}\r\n0\r\n\r\n"), 400, false},
	{"size of a chunk in 0x", post("Transfer-Encoding: chunked\r\n", "0x2\r\n{}\r\n0\r\n\r\n"), 400, false},
	{"size of a chunk with a sign", post("Transfer-Encoding: chunked\r\n", "+2\r\n{}\r\n0\r\n\r\n"), 400, false},
	{"no size of a chunk", post("Transfer-Encoding: chunked\r\n", "\r\n{}\r\n0\r\n\r\n"), 400, false},
	{"space before the size of a chunk", post("Transfer-Encoding: chunked\r\n", " 2\r\n{}\r\n0\r\n\r\n"), 400, false},
	{"size of a chunk beyond 64 bits", post("Transfer-Encoding: chunked\r\n", "10000000000000002\r\n{}\r\n0\r\n\r\n"), 400, false},
	{"a chunk that is longer than it says", post("Transfer-Encoding: chunked\r\n", "1\r\n{}\r\n0\r\n\r\n"), 400, false},
	{"a chunk that is shorter than it says", post("Transfer-Encoding: chunked\r\n", "3\r\n{}\r\n0\r\n\r\n"), 400, false},
	{"a size that ends in LF", post("Transfer-Encoding: chunked\r\n", "2\n{}\r\n0\r\n\r\n"), 400, false},
	{"a chunk that ends in LF", post("Transfer-Encoding: chunked\r\n", "2\r\n{}\n0\r\n\r\n"), 400, false},
	{"an extension that ends in LF", post("Transfer-Encoding: chunked\r\n", "2;a\n{}\r\n0\r\n\r\n"), 400, false},
	{"an extension with CR", post("Transfer-Encoding: chunked\r\n", "2;a\rb\r\n{}\r\n0\r\n\r\n"), 400, false},
	{"a last chunk that ends in LF", post("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\n\n"), 400, false},
	{"a length as a trailer", post("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n"), 202, false},
	{"a trailer without a colon", post("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\nX\r\n\r\n"), 400, false},
	{"chunks that end too early", strings.TrimSuffix(post("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n"), "\r\n"), 400, false},

	// Request lines.
	{"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, false},
	{"PRI in HTTP/1.1", "PRI * HTTP/1.1\r\nHost: relay\r\n\r\n", 400, false},
	{"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: relay\r\n\r\n", 400, false},
	{"an absolute target with another host", "POST http://other/v2/enqueue HTTP/1.1\r\nHost: relay\r\nContent-Length: 2\r\n\r\n{}", 400, false},
	{"an absolute target without a host", "POST http:///v2/enqueue HTTP/1.1\r\nHost: relay\r\n\r\n", 400, false},
	{"an absolute target with a user", "POST http://relay@other/ HTTP/1.1\r\nHost: relay\r\n\r\n", 400, false},
	{"a target for CONNECT", "CONNECT relay:80 HTTP/1.1\r\nHost: relay:80\r\n\r\n", 400, false},
	{"HTTP/1.2", "POST / HTTP/1.2\r\nHost: relay\r\n\r\n", 202, false},
	{"HTTP/0.9", "GET /\r\n\r\n", 400, false},
	{"two spaces", "POST  / HTTP/1.1\r\nHost: relay\r\n\r\n", 400, false},
	{"a space within the target", "POST /a b HTTP/1.1\r\nHost: relay\r\n\r\n", 400, false},
	{"a tab for a space", "POST\t/ HTTP/1.1\r\nHost: relay\r\n\r\n", 400, false},
	{"a target beyond ASCII", "POST /\xc3\xa9 HTTP/1.1\r\nHost: relay\r\n\r\n", 202, true},
	{"a method that is none", "PO(ST / HTTP/1.1\r\nHost: relay\r\n\r\n", 400, false},
	{"a space behind the version", "POST / HTTP/1.1 \r\nHost: relay\r\n\r\n", 400, false},
	{"no host", "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 400, false},
	{"two hosts", "POST / HTTP/1.1\r\nHost: relay\r\nHost: other\r\n\r\n", 400, false},
	{"a head that is too large", post("X-A: "+strings.Repeat("a", 40<<10)+"\r\n", ""), 431, false},
	{"a line without an end", "POST /" + strings.Repeat("a", 40<<10), 431, false},
	{"TLS at a plain door", "\x16\x03\x01\x00\x05hello\r\n\r\n", 400, false},
}

// served remembers what a handler was asked for.
type served struct {
	mu    sync.Mutex
	paths []string
}

// ServeHTTP says 202 only if the body came whole.
func (s *served) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.paths = append(s.paths, r.URL.Path)
	s.mu.Unlock()
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

func (s *served) saw(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.paths {
		if p == path {
			return true
		}
	}
	return false
}

// start serves a door on the loopback until the test ends.
func start(t *testing.T, o Options) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if o.Log == nil {
		o.Log = discard()
	}
	s := New(l, o)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve() }()
	t.Cleanup(func() {
		_ = s.http.Close()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s
}

// talk sends everything and returns the statuses of all answers.
func talk(t *testing.T, c net.Conn, request string) []int {
	t.Helper()
	defer func() { _ = c.Close() }()
	go func() {
		_, _ = io.WriteString(c, request)                    // it may be refused already
		_ = c.(interface{ CloseWrite() error }).CloseWrite() // the answers show how it was read
	}()
	var statuses []int
	for r := bufio.NewReader(c); ; {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return statuses
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatalf("an answer was cut: %v", err)
		}
		statuses = append(statuses, resp.StatusCode)
	}
}

// However a request comes, in plain or over TLS, the one that is hidden behind a bad
// one is not served.
func TestFraming(t *testing.T) {
	if len(corpus) < 60 {
		t.Fatalf("the corpus has %d requests, at least 60 are wanted", len(corpus))
	}
	for _, tt := range corpus {
		t.Run(tt.name, func(t *testing.T) {
			handler := &served{}
			s := start(t, Options{Handler: handler})
			tt.check(t, handler, talk(t, send(t, s.Addr().String(), ""), tt.request+hidden))
		})
	}
	a := newAuthority(t)
	a.issue(t, "door")
	path := a.webConfig(t, "")
	for _, tt := range corpus {
		t.Run(tt.name+" over TLS", func(t *testing.T) {
			handler := &served{}
			s := start(t, Options{Handler: handler, WebConfig: path})
			c, err := tls.Dial("tcp", s.Addr().String(), &tls.Config{RootCAs: a.pool, NextProtos: []string{"http/1.1"}})
			if err != nil {
				t.Fatal(err)
			}
			tt.check(t, handler, talk(t, c, tt.request+hidden))
		})
	}
}

func (want verdict) check(t *testing.T, handler *served, statuses []int) {
	t.Helper()
	if got := first(statuses); got != want.status {
		t.Errorf("status %d, want %d", got, want.status)
	}
	if open := handler.saw("/hidden"); open != want.open {
		t.Errorf("the next request was served: %v, want %v", open, want.open)
	}
	if want.status != 202 && bytes.Contains(fmt.Append(nil, statuses), []byte("202")) {
		t.Errorf("statuses %v: a bad request got a 202", statuses)
	}
}

func first(statuses []int) int {
	if len(statuses) == 0 {
		return 0
	}
	return statuses[0]
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
