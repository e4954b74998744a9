package pagerdutytest

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func startProxy(t *testing.T, e *Emulator, o ProxyOptions) *Proxy {
	t.Helper()
	p, err := StartProxy(e, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// through is a client that has the proxy and its CA from the environment.
func through(t *testing.T, p *Proxy, h2 bool) *http.Client {
	t.Helper()
	proxy, err := url.Parse(p.URL())
	if err != nil {
		t.Fatal(err)
	}
	return clientOf(t, &http.Transport{
		Proxy:             http.ProxyURL(proxy),
		TLSClientConfig:   &tls.Config{RootCAs: p.CA().Pool()},
		ForceAttemptHTTP2: h2,
	})
}

func TestProxyStandsForPagerDuty(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprint("h2 ", h2), func(t *testing.T) {
			e := New(Options{})
			client := through(t, startProxy(t, e, ProxyOptions{}), h2)
			for _, u := range []string{"https://events.pagerduty.com", "https://events.eu.pagerduty.com", "https://events.pagerduty.com:8443", "https://EVENTS.pagerduty.com"} {
				if got := post(t, client, u+pathAlert, minimal("trigger", "d")); got.status != 202 {
					t.Errorf("%s: got %d %s", u, got.status, got.body)
				}
			}
			e.WantIncident(t, "d").Triggered()
			var targets []string
			for _, x := range e.Journal() {
				targets = append(targets, x.Target)
				if (x.Proto == "HTTP/2.0") != h2 {
					t.Errorf("got %s", x.Proto)
				}
			}
			want := "events.pagerduty.com:443 events.eu.pagerduty.com:443 events.pagerduty.com:8443 EVENTS.pagerduty.com:443"
			if got := strings.Join(targets, " "); !strings.EqualFold(got, want) {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// TestProxyTargetIsTheTunnels: what counts is where the connection was to go.
func TestProxyTargetIsTheTunnels(t *testing.T) {
	e := New(Options{})
	client := through(t, startProxy(t, e, ProxyOptions{}), false)
	do(t, client, "POST", "https://events.pagerduty.com:8443"+pathAlert, "{}", "Host", "other.example")
	if got := e.Journal()[0].Target; got != "events.pagerduty.com:8443" {
		t.Errorf("got target %s", got)
	}
}

func TestProxyStandsForAll(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		e := New(Options{})
		client := through(t, startProxy(t, e, ProxyOptions{All: true}), h2)
		for _, host := range []string{"relay.example.test:443", "[2001:db8::5]:8443", "192.0.2.9:443", "[::1]:9999"} {
			if got := post(t, client, "https://"+host+pathAlert, minimal("trigger", "d")); got.status != 202 {
				t.Errorf("%s: got %d %s", host, got.status, got.body)
			}
			journal := e.Journal()
			if got := journal[len(journal)-1].Target; got != host {
				t.Errorf("got target %s, want %s", got, host)
			}
		}
	}
}

// TestProxyFaults: what cuts a connection cuts it in the tunnel as well.
func TestProxyFaults(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		for _, fault := range []string{FaultResetBefore, FaultResetAfter, FaultHalfBody} {
			e := New(Options{})
			client := through(t, startProxy(t, e, ProxyOptions{}), h2)
			e.Inject(Fault{Name: fault})
			if got, err := try(client, "https://events.pagerduty.com"+pathAlert, minimal("trigger", "d")); err == nil {
				t.Errorf("h2 %v, %s: got %d %s", h2, fault, got.status, got.body)
			}
			if got := post(t, client, "https://events.pagerduty.com"+pathAlert, minimal("trigger", "d")); got.status != 202 {
				t.Errorf("h2 %v, after %s: got %d", h2, fault, got.status)
			}
		}
	}
}

// TestProxyHidesTheSecondDoor: to a program that thinks it speaks with PagerDuty
// there is none.
func TestProxyHidesTheSecondDoor(t *testing.T) {
	e := New(Options{})
	client := through(t, startProxy(t, e, ProxyOptions{}), true)
	for _, path := range []string{"/", "/sandbox/journal", "/sandbox/reset"} {
		if got := post(t, client, "https://events.pagerduty.com"+path, ""); got.status != 404 {
			t.Errorf("%s: got %d", path, got.status)
		}
	}
	if got := do(t, client, "GET", "https://events.pagerduty.com/sandbox/journal", ""); got.status != 404 || len(e.Journal()) != 4 {
		t.Errorf("got %d, %d entries", got.status, len(e.Journal()))
	}
}

// TestProxyPassesOthersOn: another host's TLS is untouched, so its certificate
// is its own.
func TestProxyPassesOthersOn(t *testing.T) {
	there := NewTLSServer(t)
	e := New(Options{})
	p := startProxy(t, e, ProxyOptions{})
	proxy, _ := url.Parse(p.URL())
	client := clientOf(t, &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: there.CertPool()}, ForceAttemptHTTP2: true})
	if got := post(t, client, there.URL()+pathAlert, minimal("trigger", "d")); got.status != 202 {
		t.Errorf("got %d", got.status)
	}
	if len(e.Journal()) != 0 || len(there.Journal()) != 1 {
		t.Errorf("got %d entries here and %d there", len(e.Journal()), len(there.Journal()))
	}
}

// TestTunnelCarriesEachDirectionToItsEnd: bytes that are no TLS, an end of one
// side that leaves the other open, and early bytes.
func TestTunnelCarriesEachDirectionToItsEnd(t *testing.T) {
	l := listen(t)
	p := startProxy(t, New(Options{}), ProxyOptions{})
	far := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			far <- err
			return
		}
		got, err := io.ReadAll(c) // ends when the near side has said all
		if err == nil {
			_, err = fmt.Fprintf(c, "heard %s", got)
		}
		_ = c.Close()
		far <- err
	}()
	c, err := net.Dial("tcp", strings.TrimPrefix(p.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// The first bytes come in one piece with the CONNECT.
	if _, err := fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\nearly ", l.Addr(), l.Addr()); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("got %v, %v", resp, err)
	}
	if _, err := io.WriteString(c, "and late"); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil || string(got) != "heard early and late" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := <-far; err != nil {
		t.Error(err)
	}
}

func TestProxyRefuses(t *testing.T) {
	nobody := listen(t)
	gone := nobody.Addr().String()
	_ = nobody.Close()
	p := startProxy(t, New(Options{}), ProxyOptions{})
	for _, tt := range []struct {
		request string
		want    int
	}{
		{"CONNECT " + gone + " HTTP/1.1\r\nHost: x\r\n\r\n", 502},
		{"CONNECT events.pagerduty.com HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"GET http://elsewhere.example/ HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n", 501},
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 501},
	} {
		c, err := net.Dial("tcp", strings.TrimPrefix(p.URL(), "http://"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, tt.request); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != tt.want {
			t.Errorf("%q: got %v, %v, want %d", tt.request, resp, err, tt.want)
		}
		_ = c.Close()
	}
}

// TestProxyTakesPlainHTTP: a URL without TLS comes to the proxy as it is.
func TestProxyTakesPlainHTTP(t *testing.T) {
	e := New(Options{})
	client := through(t, startProxy(t, e, ProxyOptions{}), false)
	if got := post(t, client, "http://events.pagerduty.com"+pathAlert, minimal("trigger", "d")); got.status != 202 {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if got := e.Journal()[0].Target; got != "events.pagerduty.com:80" {
		t.Errorf("got target %s", got)
	}
}

// TestProxyTLSAddr: a client that knows no proxy but can be sent elsewhere.
func TestProxyTLSAddr(t *testing.T) {
	e := New(Options{})
	p := startProxy(t, e, ProxyOptions{})
	client := clientOf(t, &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: p.CA().Pool()},
		ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, p.TLSAddr())
		},
	})
	for _, tt := range []struct{ base, target string }{
		{"https://events.pagerduty.com", "events.pagerduty.com:443"},
		{"https://other.example:8443", "other.example:8443"},
		{"https://" + p.TLSAddr(), p.TLSAddr()},
	} {
		if got := post(t, client, tt.base+pathAlert, minimal("trigger", "d")); got.status != 202 || got.proto != "HTTP/2.0" {
			t.Errorf("%s: got %d over %s", tt.base, got.status, got.proto)
		}
		journal := e.Journal()
		if got := journal[len(journal)-1].Target; got != tt.target {
			t.Errorf("got target %s, want %s", got, tt.target)
		}
	}
}

// TestProxyCloseEndsEverything: an intercepted connection, one that hangs, and a
// tunnel that nobody uses.
func TestProxyCloseEndsEverything(t *testing.T) {
	before := goleak.IgnoreCurrent()
	e := New(Options{})
	p := startProxy(t, e, ProxyOptions{})
	e.Inject(Fault{Name: FaultHang, Action: "resolve"})
	client := through(t, p, true)
	post(t, client, "https://events.pagerduty.com"+pathAlert, minimal("trigger", "d"))
	hung := make(chan error, 1)
	go func() {
		_, err := try(client, "https://events.pagerduty.com"+pathAlert, minimal("resolve", "d"))
		hung <- err
	}()
	until(t, e, func() bool { x := e.Journal(); return len(x) == 2 && x[1].Fault == FaultHang })
	l := listen(t)
	idle, err := net.Dial("tcp", strings.TrimPrefix(p.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	if _, err := fmt.Fprintf(idle, "CONNECT %s HTTP/1.1\r\nHost: x\r\n\r\n", l.Addr()); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(idle, make([]byte, len(established))); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-hung; err == nil {
		t.Error("got an answer to what hung")
	}
	if _, err := idle.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && err == nil {
		t.Errorf("the tunnel lives: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
	if _, err := net.Dial("tcp", p.TLSAddr()); err == nil {
		t.Error("the TLS listener lives")
	}
	client.CloseIdleConnections()
	goleak.VerifyNone(t, before)
}

func TestStartProxyOnATakenAddress(t *testing.T) {
	l := listen(t)
	if _, err := StartProxy(New(Options{}), ProxyOptions{Listen: l.Addr().String()}); err == nil || !strings.Contains(err.Error(), "start the proxy") {
		t.Errorf("got %v", err)
	}
}
