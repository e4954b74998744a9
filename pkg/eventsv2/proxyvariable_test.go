package eventsv2

import (
	"errors"
	"net/url"
	"strings"
	"testing"
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
		{"a space", "http://proxy example:3128", "", "https://events.pagerduty.com", false},
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

func FuzzProxyVariable(f *testing.F) {
	for _, value := range []string{"http://svc:p@ss/w0rd@proxy.example:3128", "proxy:3128", "http://u:50%off@p", `"x"`, "socks5h://[::1]:1", "proxy/path://"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if !isReadableProxy(value) {
			return
		}
		rest := value
		if scheme, behind, found := strings.Cut(value, "://"); found && isProxyScheme(strings.ToLower(scheme)) {
			rest = behind
		}
		host := rest[strings.LastIndexByte(rest, '@')+1:]
		u, err := url.Parse(value)
		if err != nil || !isProxyScheme(u.Scheme) {
			if u, err = url.Parse("http://" + value); err != nil {
				t.Fatal(err)
			}
		}
		if !strings.Contains(strings.ToLower(host), strings.ToLower(u.Hostname())) && !strings.Contains(host, "%") {
			t.Errorf("%q: the host is %q", value, u.Hostname())
		}
	})
}
