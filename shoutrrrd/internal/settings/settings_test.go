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
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // else nobody else can read what is in it
		t.Fatal(err)
	}
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

// environment has a home folder unless the pairs say otherwise.
func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		if name == "HOME" {
			return "/nowhere"
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
	path := files(t, "rate: 100\nmax_age: 24h\nretention: 100h\nadmin_hosts:\n  - relay.example\n  - other\ntokens: [{name: ana, role: viewer, file: token}]\n")
	s, err := Load(Sources{
		File: path, Getenv: environment("SHOUTRRRD_RATE", "200", "SHOUTRRRD_MAX_AGE", "12h", "HOME", "/home/ana"),
		Flags: map[string]string{"rate": "250", "allow_plain": "TRUE"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &Settings{
		Listen: "127.0.0.1:8686", Admin: "127.0.0.1:8687", AdminHosts: []string{"relay.example", "other"},
		Queue: "/home/ana/.local/state/shoutrrr/queue.db", Upstream: eventsv2.DefaultBaseURL, Rate: 250, Max: 300, WhileWaiting: "one", MaxAge: 12 * time.Hour, Retention: 100 * time.Hour,
		MaxQueued: 2_000_000, MaxDead: 100_000, MaxDeadBytes: 1 << 30, MaxLanes: 20_000, MaxConnections: 4096, MaxRequestsPerClient: 64, MaxBodyMemory: 64 << 20, LogLevel: "info", LogFormat: "auto", AllowPlain: true, Tokens: s.Tokens,
	}
	if diff := cmp.Diff(want, s, cmpopts.IgnoreUnexported(Settings{}, Secret{})); diff != "" {
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
		{[]string{"SHOUTRRRD_QUEUE", "/q.db", "STATE_DIRECTORY", "/var/lib/shoutrrr"}, "/q.db"},
	} {
		s, err := Load(Sources{Getenv: environment(c.env...)})
		if err != nil || s.Queue != c.want {
			t.Errorf("%v: %v, queue %q, want %q", c.env, err, s.Queue, c.want)
		}
	}
	// Without a folder of its own the queue goes nowhere: a shared one would show the
	// keys to everybody.
	if _, err := Load(Sources{Getenv: environment("HOME", "")}); err == nil || !strings.Contains(err.Error(), "--queue") {
		t.Errorf("without a home folder: %v", err)
	}
}

// Files that say nothing are no mistake, and a value is taken as it is written.
func TestForms(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       func(s *Settings) bool
	}{
		{"empty", "", func(s *Settings) bool { return s.Rate == 0 && s.Max == 300 }},
		{"comment", "# nothing\n", func(s *Settings) bool { return s.Rate == 0 && s.Max == 300 }},
		{"dashes", "---\n", func(s *Settings) bool { return s.Rate == 0 && s.Max == 300 }},
		{"one document between dashes", "---\nrate: 7\n...\n---\n# nothing\n", func(s *Settings) bool { return s.Rate == 7 }},
		{"no value", "rate:\nkeys:\npools: []\n", func(s *Settings) bool { return s.Rate == 0 && s.Max == 300 && s.Keys == nil }},
		{"null", "rate: ~\n", func(s *Settings) bool { return s.Rate == 0 && s.Max == 300 }},
		{"no octal number", "rate: 010\n", func(s *Settings) bool { return s.Rate == 10 }},
		{"underscores", "max_queued: 1_000_000\n", func(s *Settings) bool { return s.MaxQueued == 1_000_000 }},
		{"quotes", "rate: \"20\"\n'max_age': '90m'\n", func(s *Settings) bool { return s.Rate == 20 && s.MaxAge == 90*time.Minute }},
		{"flow", "{rate: 5, log_level: DEBUG}\n", func(s *Settings) bool { return s.Rate == 5 && s.LogLevel == "debug" }},
		{"Windows", "\ufeffrate: 5\r\nlog_format: json\r\n", func(s *Settings) bool { return s.Rate == 5 && s.LogFormat == "json" }},
		{"key of digits", "keys:\n  - alias: 1.5\n    key: 11111111111111111111111111111111\n", func(s *Settings) bool {
			return s.Keys[0].Alias == "1.5" && s.Keys[0].Key.Reveal() == strings.Repeat("1", 32)
		}},
		{"key over two lines", "keys:\n  - alias: a\n    key: >\n      " + firstKey + "\n", func(s *Settings) bool { return s.Keys[0].Key.Reveal() == firstKey }},
		{"hosts by commas", "admin_hosts: a.example, b\ntokens: [{name: ana, role: viewer, file: token}]\n", func(s *Settings) bool { return slices.Equal(s.AdminHosts, []string{"a.example", "b"}) }},
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
  - {alias: a, key: "file:@DIR@/key", rate: 120, region: EU, settle_while_waiting: Note}
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
		{parse(firstKey), Lookup{Name: "a", Rate: 120, Start: 120, Upstream: "https://events.eu.pagerduty.com", Pool: "db", Listed: true, Key: parse(firstKey), Own: true, Alias: "a", WhileWaiting: "note"}},
		{parse(strings.ToLower(secondKey)), Lookup{Name: "b", Rate: 300, Start: 300, Upstream: "https://events.eu.pagerduty.com", Pool: "db", Listed: true, Key: parse(secondKey), Own: true, WhileWaiting: "one"}},
		{parse(thirdKey), Lookup{Name: "c", Rate: 300, Start: 300, Upstream: "http://127.0.0.1:9480", Pool: "", Listed: true, Key: parse(thirdKey), Own: true, WhileWaiting: "one"}},
		{stranger, Lookup{Name: stranger.Fingerprint(), Rate: 300, Start: 300, Upstream: eventsv2.DefaultBaseURL, Pool: "", Listed: false, Key: eventsv2.Key{}, WhileWaiting: "one"}},
	} {
		got := s.Lookup(c.key)
		same := got.Key.Equal(c.want.Key)
		if got.Key = c.want.Key; got != c.want || !same {
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

// What a key may use, and what it begins with.
func TestRates(t *testing.T) {
	const keys = "keys:\n- {alias: a, key: " + firstKey
	for _, c := range []struct {
		text        string
		most, start int
		values      string
	}{
		{"", 300, 120, "auto 300"},
		{"rate: AUTO\n", 300, 120, "auto 300"},
		{"max: 10_000\n", 10_000, 120, "auto 10000"},
		{"max: 120\n", 120, 120, "auto 120"},
		{"rate: 300\n", 300, 300, "300 "},
		{"rate: 60\n", 60, 60, "60 "},
		{keys + "}\n", 300, 120, "auto 300"},
		{keys + ", rate: 60}\n", 60, 60, "auto 300"},
		{keys + ", max: 10000}\n", 10_000, 120, "auto 300"},
		{keys + ", rate: auto, max: 10000}\n", 10_000, 120, "auto 300"},
		{"max: 600\n" + keys + ", rate: auto}\n", 600, 120, "auto 600"},
		{"rate: 60\n" + keys + ", rate: auto, max: 10000}\n", 10_000, 120, "60 "},
		{"rate: 60\n" + keys + ", rate: auto}\n", 300, 120, "60 "},
	} {
		s := load(t, c.text)
		key, err := eventsv2.ParseKey(firstKey)
		if err != nil {
			t.Fatal(err)
		}
		got := s.Lookup(key)
		values := map[string]string{}
		for _, v := range s.Values() {
			values[v.Name] = v.Value
		}
		if text := values["rate"] + " " + values["max"]; got.Rate != c.most || got.Start != c.start || text != c.values {
			t.Errorf("%q: the key begins with %d and may use %d, and %q is shown; want %d, %d and %q", c.text, got.Start, got.Rate, text, c.start, c.most, c.values)
		}
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
	for name, content := range map[string]string{
		"db-oncall.key": firstKey, "db-oncall.old.key": strings.Repeat("7", 32), "db-oncall-2.key": secondKey, "ana.token": aToken, "prometheus.token": another,
		"call": "#!/bin/sh\n", "chat.url": "https://chat.example.com/x", "chat.headers": "X-Team: db\n", "mail.password": aToken, "other-region.key": thirdKey,
	} {
		write(t, filepath.Join(dir, name), content)
	}
	chmod(t, filepath.Join(dir, "call"), 0o700)
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
	if len(s.Keys) != 2 || len(s.Pools) != 1 || len(s.Tokens) != 2 || len(s.Notify.Ways) != 4 {
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
