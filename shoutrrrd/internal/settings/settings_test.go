package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/keyleak"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

const (
	firstKey  = "0123456789abcdef0123456789abcdef"
	secondKey = "ABCDEFABCDEF00112233445566778899"
	aToken    = "correct-horse-battery-staple"
)

// files writes a configuration with what it names, and returns its path.
func files(t testing.TB, text string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"key": firstKey + "\n", "token": aToken + "\n", "short": "abc\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "shoutrrrd.yaml")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "@DIR@", dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestLayers(t *testing.T) {
	path := files(t, "rate: 100\nmax_age: 24h\nretention: 100h\n")
	s, err := Load(Sources{
		File: path, Getenv: environment("SHOUTRRRD_RATE", "200", "SHOUTRRRD_MAX_AGE", "12h", "HOME", "/home/ana"),
		Flags: map[string]string{"rate": "250"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.Rate != 250 || s.MaxAge != 12*time.Hour || s.Retention != 100*time.Hour || s.Queue != "/home/ana/.local/state/shoutrrr/queue.db" {
		t.Errorf("%+v", s)
	}
	for name, want := range map[string]string{
		"rate": "flag --rate", "max_age": "environment SHOUTRRRD_MAX_AGE", "retention": path + ":3:12", "listen": "default",
	} {
		if s.Origins[name] != want {
			t.Errorf("%s comes from %q, want %q", name, s.Origins[name], want)
		}
	}
}

func TestDefaultQueue(t *testing.T) {
	for _, c := range []struct {
		env  []string
		want string
	}{
		{[]string{"STATE_DIRECTORY", "/var/lib/shoutrrr:/other", "HOME", "/root"}, "/var/lib/shoutrrr/queue.db"},
		{[]string{"XDG_STATE_HOME", "/state", "HOME", "/root"}, "/state/shoutrrr/queue.db"},
	} {
		s, err := Load(Sources{Getenv: environment(c.env...)})
		if err != nil || s.Queue != c.want {
			t.Errorf("%v: %v, queue %q, want %q", c.env, err, s.Queue, c.want)
		}
	}
}

func TestLookup(t *testing.T) {
	s, err := Load(Sources{Getenv: environment(), File: files(t, `
rate: 300
keys:
  - {alias: a, key: "file:@DIR@/key", rate: 120, region: eu}
  - {alias: b, key: `+secondKey+`}
pools:
  - {name: db, keys: [a, b]}
tokens:
  - {name: ana, role: operator, file: @DIR@/token}
`)})
	if err != nil {
		t.Fatal(err)
	}
	key, _ := eventsv2.ParseKey(firstKey)
	if got, want := s.Lookup(key), (Lookup{"a", 120, "https://events.eu.pagerduty.com", "db", true}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	stranger, _ := eventsv2.ParseKey(strings.Repeat("9", 32))
	if got := s.Lookup(stranger); got.Listed || got.Rate != 300 || got.Upstream != eventsv2.DefaultBaseURL || got.Name != stranger.Fingerprint() {
		t.Errorf("%+v", got)
	}
	if keys := s.PoolKeys("db"); len(keys) != 2 || !keys[0].Equal(key) {
		t.Errorf("%v", keys)
	}
	if len(s.Tokens) != 1 || !s.Tokens[0].Operator || s.Tokens[0].Secret.Reveal() != aToken {
		t.Errorf("%+v", s.Tokens)
	}
	var shown strings.Builder
	for _, v := range s.Values() {
		shown.WriteString(v.Name + " " + v.Value + " " + v.Origin + "\n")
	}
	for _, secret := range []string{firstKey, secondKey, aToken} {
		keyleak.Check(t, secret, keyleak.Text("the values", shown.String()))
	}
}

// Every mistake is told with its place and what is allowed, and no key in it.
func TestMistakes(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"misspelt setting", "rat: 300\n", []string{":1:1", "rat", "did you mean rate?", "rat: 300"}},
		{"misspelt member", "keys:\n  - {alias: a, kee: " + firstKey + "}\n", []string{"kee", "did you mean key?"}},
		{"no number", "rate: many\n", []string{":1:7", "no number from 1 to 100000"}},
		{"out of bounds", "rate: 0\n", []string{"no number from 1"}},
		{"no duration", "max_age: 3 days\n", []string{"no duration", "72h"}},
		{"no YAML", "rate: [\n", []string{"shoutrrrd.yaml"}},
		{"a list for a value", "listen: [a]\n", []string{"listen takes one value"}},
		{"no key", "keys:\n  - {alias: a, key: " + firstKey[:20] + "}\n", []string{"keys[0]", ":2:", "32 letters and digits", "file:/path"}},
		{"key file is missing", "keys:\n  - {alias: a, key: \"file:@DIR@/none\"}\n", []string{"keys[0]", "no such file"}},
		{"no alias", "keys:\n  - {key: " + firstKey + "}\n", []string{"alias is missing"}},
		{"key twice", "keys:\n  - {alias: a, key: " + firstKey + "}\n  - {alias: b, key: " + firstKey + "}\n", []string{"the same integration key as keys[0]"}},
		{"region", "keys:\n  - {alias: a, key: " + firstKey + ", region: mars}\n", []string{"not one of us, eu"}},
		{"pool of one", "keys:\n  - {alias: a, key: " + firstKey + "}\npools:\n  - {name: p, keys: [a]}\n", []string{"at least two keys"}},
		{"pool of strangers", "keys:\n  - {alias: abc, key: " + firstKey + "}\npools:\n  - {name: p, keys: [abd, abc]}\n", []string{"no alias of keys, did you mean abc?"}},
		{"role", "tokens:\n  - {name: a, role: boss, file: @DIR@/token}\n", []string{"not one of viewer, operator"}},
		{"short token", "tokens:\n  - {name: a, role: viewer, file: @DIR@/short}\n", []string{"at least 16"}},
		{"open front door", "listen: 0.0.0.0:8686\n", []string{"TLS", "allow_plain", "only_listed"}},
		{"open second door", "admin: 0.0.0.0:8687\n", []string{"give tokens"}},
		{"PagerDuty in clear", "upstream: http://events.pagerduty.com\n", []string{"https"}},
		{"no upstream", "upstream: somewhere\n", []string{"no URL"}},
		{"log level", "log_level: debgu\n", []string{"did you mean debug?"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(Sources{Getenv: environment(), File: files(t, c.text)})
			if err == nil {
				t.Fatal("it was taken")
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error lacks %q:\n%v", part, err)
				}
			}
			for _, secret := range []string{firstKey, firstKey[:20], "abc-token-abc-token"} {
				keyleak.Check(t, secret, keyleak.Text("the error", err.Error()))
			}
		})
	}
}

func TestDiff(t *testing.T) {
	before, err := Load(Sources{Getenv: environment(), File: files(t, "rate: 300\n")})
	if err != nil {
		t.Fatal(err)
	}
	after, err := Load(Sources{Getenv: environment(), File: files(t, "rate: 120\nlisten: 127.0.0.1:1\n")})
	if err != nil {
		t.Fatal(err)
	}
	changes, needStart := Diff(before, after)
	if got := strings.Join(changes, "\n"); got != "listen: 127.0.0.1:8686 -> 127.0.0.1:1\nrate: 300 -> 120" {
		t.Errorf("changes:\n%s", got)
	}
	if len(needStart) != 1 {
		t.Errorf("need a new start: %v", needStart)
	}
}

// Whatever stands in the file: no panic, and no key in what is said about it.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"rate: 300\n", "keys:\n  - {alias: a, key: " + firstKey + "}\n", "keys: " + firstKey, "? " + firstKey, "a: &x [*x]\n", "---\n---\n", "tokens:\n  - 1\n", "keys:\n- key: !!binary x\n",
		firstKey + ": 1\n", "rate: " + firstKey + "\n", "listen: \"" + firstKey + "\"\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Load(Sources{Getenv: environment("HOME", "/home"), File: path})
		if err != nil {
			if strings.Contains(err.Error(), firstKey) {
				t.Errorf("the error holds the key")
			}
			return
		}
		for _, v := range s.Values() {
			if strings.HasPrefix(v.Name, "keys") && strings.Contains(v.Value, firstKey) {
				t.Errorf("the values hold the key")
			}
		}
	})
}
