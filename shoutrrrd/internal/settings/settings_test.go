package settings

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/keyleak"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const (
	firstKey  = "0123456789abcdef0123456789abcdef"
	secondKey = "ABCDEFABCDEF00112233445566778899"
	thirdKey  = "fedcba98765432100f1e2d3c4b5a6978"
	aToken    = "correct-horse-battery-staple"
	another   = "staple-battery-horse-correct"
)

// files writes a configuration with what it names, and returns its path.
func files(t testing.TB, text string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"key": firstKey + "\n", "token": aToken + "\n", "token2": another + "\n", "same": aToken, "short": "abc-token\n", "blank": "a token with blanks in it\n", "empty": "", "long": strings.Repeat("x", 5000),
		"tls.yaml": "tls_server_config:\n  cert_file: none.pem\n  key_file: none.key\n", "users.yaml": "basic_auth_users: {}\n", "broken.yaml": "tls_server_config: [\n", "tag.yaml": "tls_server_config: ! ",
	} {
		write(t, filepath.Join(dir, name), content)
	}
	path := filepath.Join(dir, "shoutrrrd.yaml")
	write(t, path, strings.ReplaceAll(text, "@DIR@", dir))
	return path
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
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

func load(t testing.TB, text string) *Settings {
	t.Helper()
	s, err := Load(Sources{Getenv: environment(), File: files(t, text)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLayers(t *testing.T) {
	path := files(t, "rate: 100\nmax_age: 24h\nretention: 100h\nadmin_hosts:\n  - relay.example\n  - other\n")
	s, err := Load(Sources{
		File: path, Getenv: environment("SHOUTRRRD_RATE", "200", "SHOUTRRRD_MAX_AGE", "12h", "HOME", "/home/ana"),
		Flags: map[string]string{"rate": "250", "allow_plain": "TRUE"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &Settings{
		Listen: "127.0.0.1:8686", Admin: "127.0.0.1:8687", AdminHosts: []string{"relay.example", "other"},
		Queue: "/home/ana/.local/state/shoutrrr/queue.db", Upstream: eventsv2.DefaultBaseURL, Rate: 250, MaxAge: 12 * time.Hour, Retention: 100 * time.Hour,
		MaxQueued: 2_000_000, MaxConnections: 4096, LogLevel: "info", LogFormat: "auto", AllowPlain: true,
	}
	if diff := cmp.Diff(want, s, cmpopts.IgnoreUnexported(Settings{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	origins := map[string]string{}
	for _, v := range s.Values() {
		origins[v.Name] = v.Origin
	}
	for name, want := range map[string]string{
		"rate": "flag --rate", "allow_plain": "flag --allow-plain", "max_age": "variable SHOUTRRRD_MAX_AGE", "retention": path + ":3:12", "listen": "default",
	} {
		if origins[name] != want {
			t.Errorf("%s comes from %q, want %q", name, origins[name], want)
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
		{[]string{"HOME", "/root"}, "/root/.local/state/shoutrrr/queue.db"},
		{nil, filepath.Join(os.TempDir(), ".local/state/shoutrrr/queue.db")},
		{[]string{"SHOUTRRRD_QUEUE", "/q.db", "STATE_DIRECTORY", "/var/lib/shoutrrr"}, "/q.db"},
	} {
		s, err := Load(Sources{Getenv: environment(c.env...)})
		if err != nil || s.Queue != c.want {
			t.Errorf("%v: %v, queue %q, want %q", c.env, err, s.Queue, c.want)
		}
	}
}

// Files that say nothing are no mistake, and a value is taken as it is written.
func TestForms(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       func(s *Settings) bool
	}{
		{"empty", "", func(s *Settings) bool { return s.Rate == 300 }},
		{"comment", "# nothing\n", func(s *Settings) bool { return s.Rate == 300 }},
		{"dashes", "---\n", func(s *Settings) bool { return s.Rate == 300 }},
		{"one document between dashes", "---\nrate: 7\n...\n---\n# nothing\n", func(s *Settings) bool { return s.Rate == 7 }},
		{"no value", "rate:\nkeys:\npools: []\n", func(s *Settings) bool { return s.Rate == 300 && s.Keys == nil }},
		{"null", "rate: ~\n", func(s *Settings) bool { return s.Rate == 300 }},
		{"no octal number", "rate: 010\n", func(s *Settings) bool { return s.Rate == 10 }},
		{"underscores", "max_queued: 1_000_000\n", func(s *Settings) bool { return s.MaxQueued == 1_000_000 }},
		{"quotes", "rate: \"20\"\n'max_age': '90m'\n", func(s *Settings) bool { return s.Rate == 20 && s.MaxAge == 90*time.Minute }},
		{"flow", "{rate: 5, log_level: DEBUG}\n", func(s *Settings) bool { return s.Rate == 5 && s.LogLevel == "debug" }},
		{"Windows", "\ufeffrate: 5\r\nlog_format: json\r\n", func(s *Settings) bool { return s.Rate == 5 && s.LogFormat == "json" }},
		{"key of digits", "keys:\n  - alias: 7\n    key: 11111111111111111111111111111111\n", func(s *Settings) bool {
			return s.Keys[0].Alias == "7" && s.Keys[0].Key.Reveal() == strings.Repeat("1", 32)
		}},
		{"key over two lines", "keys:\n  - alias: a\n    key: >\n      " + firstKey + "\n", func(s *Settings) bool { return s.Keys[0].Key.Reveal() == firstKey }},
		{"hosts by commas", "admin_hosts: a.example, b\n", func(s *Settings) bool { return slices.Equal(s.AdminHosts, []string{"a.example", "b"}) }},
		{"slash behind the upstream", "keys: [{alias: a, key: " + firstKey + ", upstream: 'http://127.0.0.1:1/'}]\n", func(s *Settings) bool { return s.Keys[0].Upstream == "http://127.0.0.1:1" }},
		{"open doors", "listen: :8686\nallow_plain: true\nonly_listed: true\nadmin: '[::]:8687'\nkeys: [{alias: a, key: " + firstKey + "}]\ntokens: [{name: Ana Lima, role: viewer, file: token}]\n", func(s *Settings) bool {
			return s.Tokens[0].Name == "Ana Lima" && s.Tokens[0].Secret.Reveal() == aToken
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if s := load(t, c.text); !c.want(s) {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestLookup(t *testing.T) {
	s := load(t, `
rate: 300
keys:
  - {alias: a, key: "file:@DIR@/key", rate: 120, region: EU}
  - {alias: b, key: `+secondKey+`, region: eu}
  - {alias: c, key: `+thirdKey+`, upstream: "http://127.0.0.1:9480"}
pools:
  - {name: db, keys: [a, b]}
tokens:
  - {name: ana, role: operator, file: @DIR@/token}
`)
	parse := func(text string) eventsv2.Key {
		key, err := eventsv2.ParseKey(text)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	stranger := parse(strings.Repeat("9", 32))
	for _, c := range []struct {
		key  eventsv2.Key
		want Lookup
	}{
		{parse(firstKey), Lookup{"a", 120, "https://events.eu.pagerduty.com", "db", true}},
		{parse(strings.ToLower(secondKey)), Lookup{"b", 300, "https://events.eu.pagerduty.com", "db", true}},
		{parse(thirdKey), Lookup{"c", 300, "http://127.0.0.1:9480", "", true}},
		{stranger, Lookup{stranger.Fingerprint(), 300, eventsv2.DefaultBaseURL, "", false}},
	} {
		if got := s.Lookup(c.key); got != c.want {
			t.Errorf("got %+v, want %+v", got, c.want)
		}
	}
	if keys := s.PoolKeys("db"); len(keys) != 2 || !keys[0].Equal(parse(firstKey)) || !keys[1].Equal(parse(secondKey)) {
		t.Errorf("the pool has %v", keys)
	}
	if keys := s.PoolKeys("web"); keys != nil {
		t.Errorf("no pool has %v", keys)
	}
	if len(s.Tokens) != 1 || !s.Tokens[0].Operator || s.Tokens[0].Secret.Reveal() != aToken {
		t.Errorf("%+v", s.Tokens)
	}
	hides(t, "the values", sprintValues(s))
}

func sprintValues(s *Settings) string {
	var b strings.Builder
	for _, v := range s.Values() {
		b.WriteString(v.Name + "=" + v.Value + "  " + v.Origin + "\n")
	}
	return b.String()
}

// hides fails if a text holds one of the secrets of these tests.
func hides(t testing.TB, what, text string) {
	t.Helper()
	for _, secret := range []string{firstKey, secondKey, thirdKey, aToken, another, "abc-token"} {
		keyleak.Check(t, secret, keyleak.Text(what, text))
	}
}

// A key's file is read anew by each Load, which is how a key is replaced.
func TestKeyFileIsReadAnew(t *testing.T) {
	path := files(t, "keys: [{alias: a, key: 'file:key'}]\ntokens: [{name: ana, role: viewer, file: token}]\n")
	from := Sources{Getenv: environment(), File: path}
	before, err := Load(from)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(filepath.Dir(path), "key"), secondKey)
	write(t, filepath.Join(filepath.Dir(path), "token"), another)
	after, err := Load(from)
	if err != nil {
		t.Fatal(err)
	}
	if after.Keys[0].Key.Reveal() != secondKey || after.Tokens[0].Secret.Reveal() != another {
		t.Error("the old secrets have stayed")
	}
	changes, _ := Diff(before, after)
	want := []string{
		"key a: a (" + before.Keys[0].Key.Fingerprint() + ") -> a (" + after.Keys[0].Key.Fingerprint() + ")",
		"token of ana: replaced by another",
	}
	if diff := cmp.Diff(want, changes); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestDiff(t *testing.T) {
	before := load(t, `
rate: 300
admin_hosts: old.example
keys:
  - {alias: a, key: `+firstKey+`}
  - {alias: b, key: `+secondKey+`}
  - {alias: gone, key: `+thirdKey+`}
pools:
  - {name: p, keys: [a, b]}
tokens:
  - {name: ana, role: viewer, file: token}
`)
	after := load(t, `
rate: 120
listen: 127.0.0.1:1
keys:
  - {alias: b, key: `+secondKey+`}
  - {alias: a, key: `+firstKey+`, rate: 60}
tokens:
  - {name: ana, role: operator, file: token}
  - {name: bo, role: viewer, file: token2}
`)
	changes, needStart := Diff(before, after)
	prints := map[string]string{}
	for _, k := range before.Keys {
		prints[k.Alias] = k.Key.Fingerprint()
	}
	want := []string{
		"listen: 127.0.0.1:8686 -> 127.0.0.1:1",
		"admin_hosts: old.example -> none",
		"rate: 300 -> 120",
		"key a: a (" + prints["a"] + ") -> a (" + prints["a"] + "), rate 60",
		"key gone: gone (" + prints["gone"] + ") -> none",
		"pool p: a, b -> none",
		"token of ana: viewer -> operator",
		"token of bo: none -> viewer",
	}
	if diff := cmp.Diff(want, changes); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(want[:1], needStart); diff != "" {
		t.Errorf("what needs a new start, -want +got:\n%s", diff)
	}
	if changes, needStart := Diff(before, before); len(changes)+len(needStart) > 0 {
		t.Errorf("of the same settings %v %v differ", changes, needStart)
	}
	hides(t, "the changes", strings.Join(changes, "\n"))
}

// The sample is taken as it is, and so is each line of it without its "#".
func TestSample(t *testing.T) {
	sample := Sample()
	if diff := cmp.Diff(sprintValues(load(t, "")), sprintValues(load(t, sample))); diff != "" {
		t.Errorf("the sample changes something:\n%s", diff)
	}
	var b strings.Builder
	for line := range strings.Lines(sample) {
		if plain, off := strings.CutPrefix(line, "#"); off && (!strings.HasPrefix(plain, " ") || strings.HasPrefix(plain, "  ")) {
			line = plain
		}
		b.WriteString(line)
	}
	text := b.String()
	path := files(t, "")
	dir := filepath.Dir(path)
	for name, content := range map[string]string{"db-oncall.key": firstKey, "db-oncall-2.key": secondKey, "ana.token": aToken, "prometheus.token": another} {
		write(t, filepath.Join(dir, name), content)
	}
	text = strings.ReplaceAll(strings.ReplaceAll(text, "/etc/shoutrrr/web.yaml", `""`), "/etc/shoutrrr", dir)
	write(t, path, text)
	s, err := Load(Sources{File: path, Getenv: environment()})
	if err != nil {
		t.Fatal(err)
	}
	defaults := load(t, "")
	for _, f := range Fields() {
		if !strings.Contains(sample, "\n#"+f.Name+": ") {
			t.Errorf("%s is missing", f.Name)
		}
		if got, want := f.get(s), f.get(defaults); got != want && f.Name != "queue" && f.Name != "admin_hosts" {
			t.Errorf("%s is %q in the sample and %q by default", f.Name, got, want)
		}
	}
	if len(s.Keys) != 2 || len(s.Pools) != 1 || len(s.Tokens) != 2 {
		t.Errorf("%s", sprintValues(s))
	}
}

func TestSecretHidesItself(t *testing.T) {
	s := load(t, "keys: [{alias: a, key: 'file:key'}]\ntokens: [{name: ana, role: viewer, file: token}]\n")
	hides(t, "the tokens", sprintAll(s.Tokens[0], s.Tokens[0].Secret, s.Keys[0]))
	if (Secret{}).Reveal() != "" {
		t.Error("no secret has a text")
	}
}
