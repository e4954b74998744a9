package eventsv2

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// A proxy variable that cannot be read is told, without any of it, and never gone past.
func TestProxyVariables(t *testing.T) {
	for _, tt := range []struct {
		name, value, none, to string
		readable              bool
	}{
		{"none", "", "", "https://events.pagerduty.com", true},
		{"plain", "http://proxy.example:3128", "", "https://events.pagerduty.com", true},
		{"without a scheme", "proxy.example:3128", "", "https://events.pagerduty.com", true},
		{"a slash at the end", "http://proxy.example:3128/", "", "https://events.pagerduty.com", true},
		{"user and password", "http://svc:secret@proxy.example:3128", "", "https://events.pagerduty.com", true},
		{"encoded", "http://svc:p%40ss%2Fw0rd@proxy.example:3128", "", "https://events.pagerduty.com", true},
		{"@ alone", "http://svc:p@ss@proxy.example:3128", "", "https://events.pagerduty.com", true},
		{"an address", "http://[2001:db8::5]:3128", "", "https://events.pagerduty.com", true},
		{"another alphabet", "http://прокси.example:3128", "", "https://events.pagerduty.com", true},
		{"socks", "socks5://proxy.example:1080", "", "https://events.pagerduty.com", true},
		{"@ and /", "http://svc:p@ss/w0rd@proxy.example:3128", "", "https://events.pagerduty.com", false},
		{"/", "http://svc:1234/ss@proxy.example:3128", "", "https://events.pagerduty.com", false},
		{"%", "http://user:50%off@proxy.example:3128", "", "https://events.pagerduty.com", false},
		{"#", "http://user:Hash#Pass@proxy.example:3128", "", "https://events.pagerduty.com", false},
		{"# behind digits", "http://user:12#Pass@proxy.example:3128", "", "https://events.pagerduty.com", false},
		{"?", "http://user:12?Pass@proxy.example:3128", "", "https://events.pagerduty.com", false},
		{"quotes", `"http://proxy.example:3128"`, "", "https://events.pagerduty.com", false},
		{"another scheme", "ftp://proxy.example", "", "https://events.pagerduty.com", false},
		{"another scheme in capitals", "HTTP://proxy.example:3128", "", "https://events.pagerduty.com", true},
		{"an unknown scheme", "htp://proxy.example", "", "https://events.pagerduty.com", false},
		{"a scheme behind a path", "proxy.example/http://", "", "https://events.pagerduty.com", false},
		{"a scheme without its colon", "http//proxy.example:3128", "", "https://events.pagerduty.com", false},
		{"a space", "http://proxy example:3128", "", "https://events.pagerduty.com", false},
		{"a space that looks like one", "http://proxy.example\u00a0", "", "https://events.pagerduty.com", false},
		{"a line feed", "http://proxy.example:3128\n", "", "https://events.pagerduty.com", false},
		{"a control character beyond ASCII", "http://proxy.example\u0085", "", "https://events.pagerduty.com", false},
		{"Latin-1", "http://pr\xf3xy.example:3128", "", "https://events.pagerduty.com", false},
		{"Latin-1, encoded", "http://pr%f3xy.example:3128", "", "https://events.pagerduty.com", false},
		{"no host", "http://:3128", "", "https://events.pagerduty.com", false},
		{"the other scheme's", "http://user:50%off@proxy.example:3128", "", "http://relay.example", true},
		{"this machine", "http://user:50%off@proxy.example:3128", "", "https://127.0.0.1:8686", true},
		{"localhost", "http://user:50%off@proxy.example:3128", "", "https://localhost:8686", true},
		{"NO_PROXY", "http://user:50%off@proxy.example:3128", "a.example, relay.example:8686", "https://relay.example:8686", true},
		{"NO_PROXY of a domain", "http://user:50%off@proxy.example:3128", ".example", "https://relay.example", true},
		{"NO_PROXY of a network", "http://user:50%off@proxy.example:3128", "10.0.0.0/8", "https://10.1.2.3", true},
		{"NO_PROXY of all", "http://user:50%off@proxy.example:3128", "*", "https://relay.example", true},
		{"NO_PROXY of another", "http://user:50%off@proxy.example:3128", "lay.example", "https://relay.example", false},
	} {
		v := readProxyVariables(func(name string) string {
			return map[string]string{"HTTPS_PROXY": tt.value, "no_proxy": tt.none}[name]
		})
		to, err := url.Parse(tt.to)
		if err != nil {
			t.Fatal(err)
		}
		err = v.check(to)
		var unreadable *unreadableProxyError
		if (err == nil) != tt.readable || err != nil && !errors.As(err, &unreadable) {
			t.Errorf("%s: got %v", tt.name, err)
		}
		if err == nil {
			continue
		}
		for _, piece := range []string{"ss", "w0rd", "50", "off", "Hash", "Pass", "svc", "12", "example"} {
			if strings.Contains(strings.ReplaceAll(err.Error(), "password", ""), piece) {
				t.Errorf("%s: %q holds %q", tt.name, err, piece)
			}
		}
		if failed := (&Error{Err: err}); failed.Temporary() || !errors.Is(failed, ErrUnreachable) {
			t.Errorf("%s: it is tried again", tt.name)
		}
	}
}

// A value that is held readable is text without control characters. If it holds "://", one of the schemes of a proxy
// stands before it. The host that net/http connects to is the one behind the scheme and the last @.
func FuzzProxyVariable(f *testing.F) {
	for _, value := range []string{"http://svc:p@ss/w0rd@proxy.example:3128", "proxy:3128", "http://u:50%off@p", `"x"`, "socks5h://[::1]:1"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if !isReadableProxy(value) {
			return
		}
		if !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
			t.Errorf("%q is held readable", value)
		}
		scheme, meant, found := strings.Cut(value, "://")
		if !found {
			scheme, meant = "http", value
		}
		if !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, strings.ToLower(scheme)) {
			t.Errorf("%q: the scheme is %q", value, scheme)
		}
		meant = strings.TrimPrefix(meant[strings.LastIndexByte(meant, '@')+1:], "[")
		host := hostOfProxy(t, value)
		if host == "" || !utf8.ValidString(host) || !strings.HasPrefix(meant, host) && !strings.Contains(meant, "%") {
			t.Errorf("%q: the host is %q", value, host)
		}
	})
}

// hostOfProxy returns the host that net/http connects to for the value of a variable.
func hostOfProxy(t *testing.T, value string) string {
	t.Helper()
	u, err := url.Parse(value)
	if err != nil || u.Scheme == "" || u.Host == "" {
		if u, err = url.Parse("http://" + value); err != nil {
			t.Fatal(err)
		}
	}
	return u.Hostname()
}
