package eventsv2

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
)

// Frame types and the error code of RFC 9113 that the test needs.
const (
	frameData         = 0x0
	frameHeaders      = 0x1
	frameRSTStream    = 0x3
	frameSettings     = 0x4
	framePing         = 0x6
	frameGoAway       = 0x7
	frameWindowUpdate = 0x8

	flagEndStream  = 0x1
	flagAck        = 0x1
	flagEndHeaders = 0x4

	codeRefusedStream = 0x7
)

// refusingServer speaks just enough HTTP/2 to refuse the first request in one of
// the two ways that tell the client it was not looked at, and to accept the next.
type refusingServer struct {
	goAway  bool
	body    []byte
	refused atomic.Bool
	served  atomic.Int64
}

// start accepts connections until the function it returns is called.
func (s *refusingServer) start(listener net.Listener) (stop func()) {
	var group sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			group.Go(func() { s.serve(conn) })
		}
	})
	return func() {
		_ = listener.Close()
		mu.Lock()
		for _, conn := range open {
			_ = conn.Close()
		}
		mu.Unlock()
		group.Wait()
	}
}

func (s *refusingServer) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	preface := make([]byte, len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	if _, err := io.ReadFull(conn, preface); err != nil {
		return
	}
	// SETTINGS_INITIAL_WINDOW_SIZE and the window of the connection: 1 MB, so that
	// the body needs no further permission.
	s.write(conn, frameSettings, 0, 0, []byte{0, 4, 0, 16, 0, 0})
	s.write(conn, frameWindowUpdate, 0, 0, []byte{0, 16, 0, 0})
	got := map[uint32][]byte{}
	var refused uint32
	for {
		head := make([]byte, 9)
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		if _, err := io.ReadFull(conn, payload); err != nil {
			return
		}
		kind, flags, stream := head[3], head[4], binary.BigEndian.Uint32(head[5:])
		switch {
		case kind == frameSettings && flags&flagAck == 0:
			s.write(conn, frameSettings, flagAck, 0, nil)
		case kind == framePing && flags&flagAck == 0:
			s.write(conn, framePing, flagAck, 0, payload)
		case kind == frameHeaders && s.refused.CompareAndSwap(false, true):
			refused = stream
			s.refuse(conn, stream)
		case kind == frameData && stream != refused:
			got[stream] = append(got[stream], payload...)
			if flags&flagEndStream != 0 && bytes.Equal(got[stream], s.body) {
				s.served.Add(1)
				// ":status: 202": the name of entry 8 of HPACK's static table.
				s.write(conn, frameHeaders, flagEndHeaders|flagEndStream, stream, []byte("\x08\x03202"))
			}
		}
	}
}

func (s *refusingServer) refuse(conn net.Conn, stream uint32) {
	if s.goAway {
		// The last stream that was looked at is 0: none.
		s.write(conn, frameGoAway, 0, 0, make([]byte, 8))
		return
	}
	s.write(conn, frameRSTStream, 0, stream, []byte{0, 0, 0, codeRefusedStream})
}

func (s *refusingServer) write(conn net.Conn, kind, flags byte, stream uint32, payload []byte) {
	frame := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	frame = binary.BigEndian.AppendUint32(frame, stream)
	_, _ = conn.Write(append(frame, payload...))
}

// TestHTTP2RefusalIsReplayed: what the server has refused unread is sent again
// within the attempt, which takes a GetBody.
func TestHTTP2RefusalIsReplayed(t *testing.T) {
	certificates := httptest.NewUnstartedServer(http.NotFoundHandler())
	certificates.StartTLS()
	defer certificates.Close()
	for _, goAway := range []bool{false, true} {
		for _, size := range []int{200, 300_000} {
			t.Run(fmt.Sprintf("goaway=%v,%d", goAway, size), func(t *testing.T) {
				s := &refusingServer{goAway: goAway, body: testBody(size)}
				config := &tls.Config{Certificates: certificates.TLS.Certificates, NextProtos: []string{"h2"}}
				listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
				if err != nil {
					t.Fatal(err)
				}
				stop := s.start(listener)
				defer stop()
				hc := certificates.Client()
				transport := hc.Transport.(*http.Transport).Clone()
				transport.ForceAttemptHTTP2 = true
				defer transport.CloseIdleConnections()
				c := &Client{BaseURL: "https://" + listener.Addr().String(), HTTP: &http.Client{Transport: transport}}
				receipt, err := c.Post(context.Background(), mustKey(t, testKey), s.body)
				if err != nil || receipt.Status != 202 {
					t.Fatalf("got %+v, %v", receipt, err)
				}
				if !s.refused.Load() || s.served.Load() != 1 {
					t.Errorf("refused %v, served %d", s.refused.Load(), s.served.Load())
				}
			})
		}
	}
}
