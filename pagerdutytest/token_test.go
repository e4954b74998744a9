package pagerdutytest

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const aToken = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"

func basic(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }

func TestKnowsToken(t *testing.T) {
	for _, tt := range []struct {
		header string
		want   bool
	}{
		{"Bearer " + aToken, true},
		{"bearer  " + aToken + " ", true},
		{basic("sandbox:" + aToken), true},
		{basic(":" + aToken), true},
		{"", false},
		{aToken, false},
		{"Bearer", false},
		{"Bearer " + aToken[1:], false},
		{"Bearer " + strings.ToUpper(aToken), false},
		{"Token " + aToken, false},
		{basic(aToken), false},
		{basic(aToken + ":"), false},
		{"Basic " + aToken, false},
	} {
		if got := knowsToken(tt.header, aToken); got != tt.want {
			t.Errorf("%q: got %v", tt.header, got)
		}
		if !knowsToken(tt.header, "") {
			t.Errorf("%q: without a token somebody is turned away", tt.header)
		}
	}
}

// Without the token neither the proxy nor the TLS listener beside it does anything, not
// even for other hosts; with it all is as without.
func TestProxyToken(t *testing.T) {
	there := NewTLSServer(t)
	e := New(Options{})
	p := startProxy(t, e, ProxyOptions{Token: aToken})
	if got := post(t, through(t, p, true), "https://events.pagerduty.com"+pathAlert, minimal("trigger", "d")); got.status != 202 {
		t.Errorf("with the token: got %d", got.status)
	}
	if got := post(t, through(t, p, false), "http://events.pagerduty.com"+pathAlert, minimal("trigger", "d")); got.status != 202 {
		t.Errorf("with the token, plain: got %d", got.status)
	}
	for _, x := range e.Journal() {
		if x.Header.Get("Proxy-Authorization") != "" {
			t.Error("the token is in the journal")
		}
	}
	entries := len(e.Journal())
	for _, user := range []*url.Userinfo{nil, url.UserPassword("sandbox", aToken[1:])} {
		proxy, _ := url.Parse(p.URL())
		proxy.User = user
		client := clientOf(t, &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: p.CA().Pool()}})
		for _, u := range []string{"https://events.pagerduty.com" + pathAlert, there.URL() + pathAlert} {
			if _, err := try(client, u, minimal("trigger", "e")); err == nil || !strings.Contains(err.Error(), "Proxy Authentication Required") {
				t.Errorf("%s as %v: %v", u, user, err)
			}
		}
		if got := post(t, client, "http://events.pagerduty.com"+pathAlert, minimal("trigger", "e")); got.status != 407 || got.header.Get("Proxy-Authenticate") == "" {
			t.Errorf("plain as %v: got %d", user, got.status)
		}
	}
	for _, greeting := range []string{"", "token " + aToken[1:] + "0\r\n", p.TLSGreeting()} {
		client := clientOf(t, &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: p.CA().Pool()},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, network, p.TLSAddr())
				if err == nil {
					_, err = io.WriteString(c, greeting)
				}
				return c, err
			},
		})
		got, err := try(client, "https://events.pagerduty.com"+pathAlert, minimal("trigger", "d"))
		if right := greeting == p.TLSGreeting(); (err == nil) != right {
			t.Errorf("with the greeting %q: got %v, %v", greeting, got, err)
		}
	}
	if got := len(e.Journal()); got != entries+1 {
		t.Errorf("%d requests came without the token", got-entries-1)
	}
	if len(there.Journal()) != 0 {
		t.Error("a stranger was passed on")
	}
}

// Nobody reads, resets or fills a sandbox without its token, nor with it by a foreign
// name.
func TestServerToken(t *testing.T) {
	s, err := StartServer(New(Options{}), ServerOptions{Token: aToken})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	client := plainClient(t)
	for _, tt := range []struct {
		name   string
		header []string
		want   int
	}{
		{"nobody", nil, 401},
		{"another token", []string{"Authorization", "Bearer " + aToken[1:]}, 401},
		{"a foreign host", []string{"Host", "evil.example"}, 403},
		{"a foreign host that knows the token", []string{"Host", "evil.example", "Authorization", "Bearer " + aToken}, 403},
	} {
		for _, at := range []string{"GET /", "GET /sandbox/journal", "GET /sandbox/incidents", "POST /sandbox/reset", "POST /sandbox/faults", "POST " + pathAlert} {
			method, path, _ := strings.Cut(at, " ")
			if got := do(t, client, method, s.URL()+path, "", tt.header...); got.status != tt.want || tt.want == 401 && got.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s, %s: got %d, want %d", tt.name, at, got.status, tt.want)
			}
		}
	}
	if got := do(t, client, "POST", s.URL()+pathAlert, minimal("trigger", "d"), "Content-Type", "application/json", "Authorization", "Bearer "+aToken); got.status != 202 || len(s.Journal()) != 1 {
		t.Errorf("an event with the token: got %d", got.status)
	}
	if got := do(t, client, "GET", s.TokenURL()+"/sandbox/journal", ""); got.status != 200 || strings.Contains(got.body, aToken) {
		t.Errorf("the journal by the URL with the token: got %d %s", got.status, got.body)
	}
	if got := do(t, client, "POST", s.URL()+"/sandbox/reset", "", "Authorization", basic("sandbox:"+aToken)); got.status != 204 {
		t.Errorf("a reset with the token: got %d", got.status)
	}
}

// A page whose name was made to point to the loopback reads no journal.
func TestReadsAreForThisMachine(t *testing.T) {
	s := NewServer(t, Options{Hosts: []string{"sandbox.test"}})
	for host, want := range map[string]int{"evil.example": 403, "sandbox.test:1": 200, "localhost": 200, "127.0.0.1": 200} {
		for _, path := range []string{"/", "/sandbox/journal"} {
			if got := do(t, plainClient(t), "GET", s.URL()+path, "", "Host", host); got.status != want {
				t.Errorf("%s%s: got %d, want %d", host, path, got.status, want)
			}
		}
	}
}
