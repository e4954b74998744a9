package share

import "testing"

func TestClientOf(t *testing.T) {
	same := func(a, b string) bool { return ClientOf(a) == ClientOf(b) }
	for _, tt := range []struct {
		name, a, b string
		want       bool
	}{
		{"another port", "203.0.113.7:1", "203.0.113.7:2", true},
		{"another address", "203.0.113.7:1", "203.0.113.8:1", false},
		{"IPv4 within IPv6", "[::ffff:203.0.113.7]:1", "203.0.113.7:1", true},
		{"the same IPv6 network of 64 bits", "[2001:db8:1:2::1]:1", "[2001:db8:1:2:ffff::9]:1", true},
		{"the next IPv6 network", "[2001:db8:1:2::1]:1", "[2001:db8:1:3::1]:1", false},
		{"neighbors on a link", "[fe80::1%eth0]:1", "[fe80::2%eth0]:1", false},
		{"the two addresses of loopback", "127.0.0.1:1", "[::1]:1", true},
		{"another address of loopback", "127.0.0.1:1", "127.1.2.3:1", true},
		{"loopback within IPv6", "[::ffff:127.0.0.1]:1", "127.0.0.1:1", true},
		{"no address", "pipe", "@", true},
		{"no address and one", "pipe", "203.0.113.7:1", false},
	} {
		if got := same(tt.a, tt.b); got != tt.want {
			t.Errorf("%s: the same client: %v, want %v", tt.name, got, tt.want)
		}
	}
	for remote, want := range map[string]string{
		"203.0.113.7:1": "203.0.113.7", "[2001:db8:1:2::1]:1": "2001:db8:1:2::/64", "127.0.0.9:1": "loopback", "[fe80::1%eth0]:1": "fe80::1", "pipe": "unknown",
	} {
		if got := ClientOf(remote).String(); got != want {
			t.Errorf("%s is called %s, want %s", remote, got, want)
		}
	}
}
