package eventsv2

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// startProxy answers CONNECT with the status, and opens the tunnel with a 200.
func startProxy(t *testing.T, status int) *url.URL {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go tunnel(conn, status)
		}
	}()
	return &url.URL{Scheme: "http", Host: listener.Addr().String()}
}

func tunnel(conn net.Conn, status int) {
	defer func() { _ = conn.Close() }()
	req, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil || req.Method != http.MethodConnect {
		return
	}
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\n\r\n", status, http.StatusText(status))
	if status != http.StatusOK {
		return
	}
	target, err := net.Dial("tcp", req.Host)
	if err != nil {
		return
	}
	defer func() { _ = target.Close() }()
	go func() { _, _ = io.Copy(target, conn); _ = target.Close() }()
	_, _ = io.Copy(conn, target)
}

func TestProxy(t *testing.T) {
	ca := newCA(t, "in the bundle")
	s := newTLSServer(t, ca.issue(t, "127.0.0.1", time.Now().Add(time.Hour)))
	tests := []struct {
		status    int
		temporary bool
		want      string
	}{
		{407, false, "opens no tunnel (407 Proxy Authentication Required); give user and password in HTTPS_PROXY"},
		{403, true, "opens no tunnel (403 Forbidden); check HTTPS_PROXY and NO_PROXY"},
		{502, true, "opens no tunnel (502 Bad Gateway); check HTTPS_PROXY and NO_PROXY"},
		{204, true, "opens no tunnel (204 No Content)"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.status), func(t *testing.T) {
			lazy := lazyWith(pemFile(t, ca.cert))
			lazy.bundle.Proxy = http.ProxyURL(startProxy(t, tt.status))
			_, err := clientOver(t, lazy, s.URL).Post(context.Background(), mustKey(t, testKey), rootsBody)
			var e *Error
			if !errors.As(err, &e) || e.Temporary() != tt.temporary || e.Sent || errors.Is(err, ErrUnreachable) == tt.temporary {
				t.Fatalf("got %#v", err)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q, want it to say %q", err, tt.want)
			}
		})
	}
	t.Run("200", func(t *testing.T) {
		lazy := lazyWith(pemFile(t, ca.cert))
		lazy.bundle.Proxy = http.ProxyURL(startProxy(t, 200))
		if _, err := clientOver(t, lazy, s.URL).Post(context.Background(), mustKey(t, testKey), rootsBody); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("unreachable", func(t *testing.T) {
		closed, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_ = closed.Close()
		lazy := lazyWith(pemFile(t, ca.cert))
		lazy.bundle.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: closed.Addr().String()})
		_, err = clientOver(t, lazy, s.URL).Post(context.Background(), mustKey(t, testKey), rootsBody)
		var e *Error
		if !errors.As(err, &e) || !e.Temporary() || e.Sent || !strings.Contains(err.Error(), "proxy: connection refused") {
			t.Errorf("got %v", err)
		}
	})
}
