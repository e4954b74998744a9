package settings

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containrrr/shoutrrr/internal/keyleak"
)

// What is refused, as it would let keys out, pages go astray, or nothing in.
func TestGuards(t *testing.T) {
	const key = "0123456789abcdef0123456789abcdef"
	listed := "keys:\n  - {alias: a, key: " + key + "}\n"
	for _, c := range []struct{ name, text string }{
		{"web configuration without TLS", "listen: 0.0.0.0:8686\nonly_listed: true\nweb_config: @DIR@/users.yml\n" + listed},
		{"web configuration that names no file", "web_config: @DIR@/broken.yml\n"},
		{"web configuration that is missing", "web_config: @DIR@/none.yml\n"},
		{"upstream is the own front door", "upstream: http://127.0.0.1:8686\n"},
		{"upstream is the own front door by name", "upstream: http://localhost:8686\n"},
		{"upstream of a key is the own front door", "keys:\n  - {alias: a, key: " + key + ", upstream: \"http://127.0.0.1:8686\"}\n"},
		{"PagerDuty in clear by its full name", "upstream: http://events.pagerduty.com.\n"},
		{"/v2/enqueue twice", "upstream: https://events.pagerduty.com/v2/enqueue\n"},
		{"one address for both doors", "listen: 127.0.0.1:8687\n"},
		{"only listed keys, and none is listed", "only_listed: true\n"},
		{"an alias that is a key", "keys:\n  - {alias: " + key + ", key: " + key + "}\n"},
		{"an alias that no URL can hold", "keys:\n  - {alias: a/b, key: " + key + "}\n"},
		{"an alias that is the number of a lane", "keys:\n  - {alias: 17, key: " + key + "}\n"},
		{"an alias that is another key's fingerprint", "keys:\n  - {alias: key-ab12cd34ab12cd34, key: " + key + "}\n"},
		{"a rate below zero", "keys:\n  - {alias: a, key: " + key + ", rate: -1}\n"},
		{"a rate beyond every bound", "keys:\n  - {alias: a, key: " + key + ", rate: 1000000000}\n"},
		{"two pools of one name", "keys:\n" + four + "pools:\n  - {name: p, keys: [a, b]}\n  - {name: p, keys: [c, d]}\n"},
		{"one token for two people", "tokens:\n  - {name: a, role: viewer, file: @DIR@/token}\n  - {name: b, role: viewer, file: @DIR@/token}\n"},
		{"a key file that everyone can change", "keys:\n  - {alias: a, key: \"file:@DIR@/open\"}\n"},
		{"a key file that is a folder", "keys:\n  - {alias: a, key: \"file:@DIR@\"}\n"},
		{"two documents", "rate: 1\n---\nrate: 2\n"},
		{"a setting twice", "rate: 1\nrate: 2\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := files(t, c.text)
			for name, content := range map[string]string{"users.yml": "basic_auth_users: {}\n", "broken.yml": "tls_server_config: {cert_file: no.pem, key_file: no.key}\n", "open": key} {
				if err := os.WriteFile(filepath.Join(filepath.Dir(path), name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(filepath.Join(filepath.Dir(path), "open"), 0o666); err != nil {
				t.Fatal(err)
			}
			_, err := Load(Sources{Getenv: environment(), File: path})
			if err == nil {
				t.Fatal("it was taken")
			}
			keyleak.Check(t, key, keyleak.Text("the error", err.Error()))
		})
	}
}

const four = `  - {alias: a, key: 00000000000000000000000000000001}
  - {alias: b, key: 00000000000000000000000000000002}
  - {alias: c, key: 00000000000000000000000000000003}
  - {alias: d, key: 00000000000000000000000000000004}
`

// A key is not shown however it is written, torn or misplaced.
func TestTornKeys(t *testing.T) {
	for name, text := range map[string]string{
		"over two lines":       "keys:\n  - alias: a\n    key: \"01234567\n      89abcdef\"\n    kee: 1\n",
		"name in quotes":       "keys:\n  - {alias: a, 'key': 01234567-89, kee: 1}\n",
		"mistake before it":    "keys:\n  - {kee: 1, alias: a, 'key': '01234567 89abcdef'}\n",
		"block":                "keys:\n  - alias: a\n    key: |\n      01234567\n      89abcdef\n    kee: 1\n",
		"folded":               "keys:\n  - alias: a\n    kee: 1\n    key: >-\n      01234567\n      89abcdef\n",
		"in the first row":     "key: 01234567 89abcdef\nrat: 1\n",
		"below another name":   "routing_key: 0123456789abcd\n",
		"in place of the list": "keys: 01234567 89abcdef\n",
		"in place of an item":  "keys:\n  - 01234567 89abcdef\n",
		"no YAML":              "keys:\n  - alias: a\n    key: 01234567:89abcdef\n   bad\n",
		"as a path":            "tokens:\n  - {name: a, role: viewer, file: 0123456789abcdef0123456789abcdef}\n",
		"as a key's path":      "keys:\n  - {alias: a, key: 'file:0123456789abcdef0123456789abcdef'}\n",
		"token in clear":       "tokens:\n  - {name: a, role: viewer, token: 0123456789}\n",
		"carriage returns":     "rate: 1\rkeys:\r  - {alias: a, key: 0123456789abcdef, kee: 1}\r",
		"as an alias":          "keys:\n  - {alias: 0123456789abcdef0123456789abcdef, key: x}\n",
		"as a name":            "0123456789abcdef0123456789abcdef: 1\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(Sources{Getenv: environment(), File: files(t, text)})
			if err == nil {
				t.Fatal("it was taken")
			}
			for _, part := range []string{"01234567", "89abcdef"} {
				keyleak.Check(t, part, keyleak.Text("the error", err.Error()))
			}
		})
	}
}

// Everything that is missing is told at once.
func TestAllMissingGuardsAtOnce(t *testing.T) {
	_, err := Load(Sources{Getenv: environment(), File: files(t, "listen: 0.0.0.0:8686\nadmin: '[::]:8687'\nadmin_hosts: relay.example\nupstream: http://localhost:8686\nrate: x\n")})
	if err == nil {
		t.Fatal("it was taken")
	}
	for _, part := range []string{"give TLS with web_config", "only_listed: true", ":2:8: admin: other machines reach [::]:8687: give tokens", ":3:14: admin_hosts: ", "go round for ever", "rate: "} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error lacks %q:\n%v", part, err)
		}
	}
	// What is wrong about one address does not keep silent about the other.
	_, err = Load(Sources{Getenv: environment(), File: files(t, "listen: nonsense\nadmin: 0.0.0.0:8687\n")})
	if err == nil || !strings.Contains(err.Error(), "give tokens") || !strings.Contains(err.Error(), "host:port") {
		t.Errorf("got %v", err)
	}
}

// A listener is where its name leads, whatever the name says.
func TestNamesOfListeners(t *testing.T) {
	resolve := func(_ context.Context, host string) ([]netip.Addr, error) {
		switch host {
		case "localhost":
			return []netip.Addr{netip.MustParseAddr("0.0.0.0")}, nil
		case "both":
			return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("2001:db8::1")}, nil
		case "here":
			return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}, nil
		}
		return nil, errors.New("no such host")
	}
	for host, want := range map[string]string{"localhost": "localhost:1 (0.0.0.0)", "both": "both:1 (2001:db8::1)", "here": "", "nowhere": "nowhere:1 (which cannot be resolved here)", "127.0.0.9": "", "[::ffff:127.0.0.1]": "", "0.0.0.0": "0.0.0.0:1", "": ":1"} {
		for _, name := range []string{"listen", "admin"} {
			_, err := Load(Sources{Getenv: environment(), Flags: map[string]string{name: host + ":1"}, Lookup: resolve})
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), "other machines reach "+want+":") && !strings.Contains(err.Error(), "other machines reach "+want+",")) {
				t.Errorf("%s at %q: %v, want %q", name, host, err, want)
			}
		}
	}
}

// A proxy must not read the keys that go to an http upstream.
func TestUpstreamByProxy(t *testing.T) {
	proxy := func(req *http.Request) (*url.URL, error) {
		if req.URL.Hostname() == "unreadable" {
			return nil, errors.New("HTTPS_PROXY cannot be read: HTTP_PROXY neither")
		}
		if req.URL.Hostname() == "relay" && req.URL.Scheme == "http" {
			return nil, errors.New("the proxy proxy:3128 of HTTP_PROXY would get the integration key in clear")
		}
		return nil, nil
	}
	for text, refused := range map[string]bool{
		"upstream: http://relay:8686\n": true, "upstream: http://127.0.0.1:8685\n": false, "upstream: https://relay\n": false, "upstream: https://unreadable\n": true,
		"keys: [{alias: a, key: 0123456789abcdef0123456789abcdef, upstream: 'http://relay'}]\n": true,
	} {
		_, err := Load(Sources{Getenv: environment(), File: files(t, text), Proxy: proxy})
		if (err != nil) != refused || err != nil && !strings.Contains(err.Error(), "HTTP_PROXY") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Readers of files of variables that are no shell keep the quotes.
func TestQuotedVariable(t *testing.T) {
	for _, value := range []string{`"https://relay.example"`, `'https://relay.example'`, "https://relay.example"} {
		s, err := Load(Sources{Getenv: func(name string) string {
			if name == "SHOUTRRRD_UPSTREAM" {
				return value
			}
			return environment()(name)
		}})
		if err != nil || s.Upstream != "https://relay.example" {
			t.Errorf("%s: %v", value, err)
		}
	}
}

// What guards an open socket cannot be taken away by a reload, and what a reload cannot
// change does not count as a guard.
func TestReloaded(t *testing.T) {
	const (
		tokens = "tokens: [{name: ana, role: operator, file: token}]\n"
		keys   = "keys: [{alias: a, key: 0123456789abcdef0123456789abcdef}]\n"
		open   = "listen: 0.0.0.0:8686\nallow_plain: true\nonly_listed: true\n" + keys
	)
	everywhere, here := &net.TCPAddr{IP: net.IPv4zero, Port: 8686}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8686}
	adminEverywhere, adminHere := &net.TCPAddr{IP: net.IPv6zero, Port: 8687}, &net.TCPAddr{IP: net.IPv6loopback, Port: 8687}
	for _, c := range []struct {
		name, before, after string
		listen, admin       net.Addr
		want                []string // of the error, nil for none
	}{
		{"the same again", open, open, everywhere, adminHere, nil},
		{"another rate", open, open + "rate: 10\n", everywhere, adminHere, nil},
		{"back to the loopback without guards", open, "rate: 10\n", everywhere, adminHere, []string{"allow_plain", "only_listed", "0.0.0.0:8686", "restart"}},
		{"back to the loopback with the guards still there", open, "allow_plain: true\nonly_listed: true\n" + keys, everywhere, adminHere, nil},
		{"the list alone is gone", open, "listen: 0.0.0.0:8686\nallow_plain: true\n" + keys + "only_listed: false\nweb_config: ''\n", everywhere, adminHere, []string{"only_listed"}},
		{"a new TLS does not serve the open socket", open, "listen: 127.0.0.1:8686\nonly_listed: true\nweb_config: ''\n" + keys, everywhere, adminHere, []string{"allow_plain"}},
		{"to everywhere, guarded", "rate: 1\n", open, here, adminHere, nil},
		{"tokens gone", "admin: '[::]:8687'\n" + tokens, "rate: 1\n", here, adminEverywhere, []string{"admin: other machines reach [::]:8687", "give tokens"}},
		{"tokens stay", "admin: '[::]:8687'\n" + tokens, tokens, here, adminEverywhere, nil},
		{"upstream is where the socket still is", "rate: 1\n", "listen: 127.0.0.1:9999\nupstream: http://127.0.0.1:8686\n", here, adminHere, []string{"upstream: ", "round for ever"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := load(t, c.before)
			after, err := Load(Sources{Getenv: environment(), File: files(t, c.after)})
			if err != nil && c.want == nil {
				t.Fatal(err)
			}
			var now *Settings
			if err == nil {
				now, err = after.Reloaded(before, c.listen, c.admin)
			}
			if (err != nil) != (c.want != nil) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error lacks %q:\n%v", part, err)
				}
			}
			if err != nil {
				return
			}
			for _, f := range Fields() {
				if want := f.get(map[bool]*Settings{true: before, false: after}[f.AtStart]); f.get(now) != want {
					t.Errorf("%s is %q, want %q", f.Name, f.get(now), want)
				}
			}
			if len(after.Keys) != len(now.Keys) {
				t.Error("the keys are not those of the new file")
			}
		})
	}
}

// The last word has the socket: a name may have led elsewhere when it was opened.
func TestGuardOfSockets(t *testing.T) {
	s := load(t, "listen: localhost:8686\n")
	here, everywhere := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, &net.TCPAddr{IP: net.IPv4zero, Port: 1}
	if err := s.Guard(here, here); err != nil {
		t.Error(err)
	}
	err := s.Guard(everywhere, everywhere)
	if err == nil || !strings.Contains(err.Error(), "allow_plain") || !strings.Contains(err.Error(), "only_listed") || !strings.Contains(err.Error(), "give tokens") {
		t.Errorf("got %v", err)
	}
}

// Files that hold or name secrets are judged with the folders above them.
func TestOpenFolders(t *testing.T) {
	const key = "0123456789abcdef0123456789abcdef"
	for _, c := range []struct{ name, text string }{
		{"of a key", "keys: [{alias: a, key: 'file:open/key'}]\n"},
		{"of a token", "tokens: [{name: a, role: viewer, file: open/key}]\n"},
		{"of the queue", "queue: '@DIR@/open/queue.db'\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := files(t, c.text)
			open := filepath.Join(filepath.Dir(path), "open")
			if err := os.Mkdir(open, 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(open, "key"), key)
			if _, err := Load(Sources{Getenv: environment(), File: path}); err != nil {
				t.Fatalf("while the folder is closed: %v", err)
			}
			chmod(t, open, 0o777)
			if _, err := Load(Sources{Getenv: environment(), File: path}); err == nil || !strings.Contains(err.Error(), "chmod o-w") {
				t.Errorf("got %v", err)
			}
		})
	}
}
