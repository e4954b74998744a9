package eventsv2

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
)

// exchange is what one attempt needs, in one allocation.
type exchange struct {
	trace     httptrace.ClientTrace
	connected atomic.Bool                 // dial, proxy and TLS handshake were done: the event may have left
	got       func(httptrace.GotConnInfo) // hears of each connection that the request is given; nil: nobody does
	url       url.URL
	body      bytes.Reader
}

// request makes a request with a body of its own. GetBody lets the transport
// replay it on another connection when the first one is found dead or the server
// has refused the stream unread (HTTP/2 GOAWAY, REFUSED_STREAM). There is no
// Idempotency-Key: it would let net/http repeat, unseen, also a request that was
// written in full, and whoever counts attempts should see that one.
func (x *exchange) request(ctx context.Context, w *wire, template *http.Request, body []byte) *http.Request {
	x.trace.GotConn = func(got httptrace.GotConnInfo) {
		x.connected.Store(true)
		if x.got != nil {
			x.got(got)
		}
	}
	req := template.WithContext(httptrace.WithClientTrace(ctx, &x.trace))
	if !w.own {
		// A foreign Doer may add its headers, a cookie jar does so too.
		req.Header = newHeader(w.agent)
		x.url = *template.URL
		req.URL = &x.url
	}
	req.ContentLength = int64(len(body))
	// io.NopCloser around a bytes.Reader, as http.NewRequest has it: net/http knows
	// this pair and sends head and body of a small request in one packet.
	x.body.Reset(body)
	req.Body = io.NopCloser(&x.body)
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	return req
}

// The values have no room behind them, so that adding to them copies.
var contentType = []string{"application/json"}

func newHeader(agent []string) http.Header {
	return http.Header{"Content-Type": contentType, "User-Agent": agent}
}

func newTemplate(u *url.URL, agent []string) *http.Request {
	return &http.Request{
		Method:     http.MethodPost,
		URL:        u,
		Host:       u.Host,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     newHeader(agent),
	}
}

// readAnswer reads the answer to its end, so that the connection can be used
// again, but no more than maxAnswerBytes. An answer that breaks off is returned
// as far as it came: its status has said what matters.
func readAnswer(resp *http.Response) []byte {
	if resp.Body == nil { // net/http never does so, a stub may
		return nil
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return nil // the body of a 101 is the bare connection, which has no end
	}
	size := int64(512)
	if resp.ContentLength > 0 {
		size = min(resp.ContentLength, maxAnswerBytes)
	}
	// One byte more than expected shows the end without growing.
	answer := make([]byte, 0, size+1)
	for len(answer) <= maxAnswerBytes {
		if len(answer) == cap(answer) {
			answer = append(answer, 0)[:len(answer)]
		}
		room := answer[len(answer):min(cap(answer), maxAnswerBytes+1)]
		n, err := resp.Body.Read(room)
		answer = answer[:len(answer)+n]
		if err != nil {
			break
		}
	}
	return answer[:min(len(answer), maxAnswerBytes)]
}
