package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/containrrr/shoutrrr/internal/bodies"
	"github.com/containrrr/shoutrrr/internal/keyleak"
	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/google/go-cmp/cmp"
)

// sprintAll prints values in all the ways in which a log might.
func sprintAll(values ...any) string {
	var b strings.Builder
	for _, v := range values {
		fmt.Fprintf(&b, "%v %+v %#v %s %q %x %d\n", v, v, v, v, v, v, v)
		if data, err := json.Marshal(v); err == nil {
			b.Write(data)
		}
	}
	return b.String()
}

const listedKey = "keys:\n  - {alias: a, key: " + firstKey + "}\n"

// mistakes are files with what must be said of them.
var mistakes = []struct {
	name, text string
	want       []string
}{
	{"misspelt setting", "rat: 300\n", []string{":1:1", `"rat" is not known here, did you mean rate?`, "1 | rat: 300"}},
	{"a setting of nobody", "colour: blue\n", []string{`"colour"`, "check --sample"}},
	{"misspelt member", "keys:\n  - {alias: a, kee: " + firstKey + "}\n", []string{":2:16", "kee", "did you mean key?"}},
	{"a member of nobody", listedKey + "pools:\n  - {name: p, colour: blue, keys: [a]}\n", []string{"the names are name, keys"}},
	{"no number", "rate: many\n", []string{":1:7: rate: ", "neither auto nor a number from 1 to 100000"}},
	{"out of bounds", "rate: 0\n", []string{"nor a number from 1"}},
	{"broken number", "rate: 1.5\n", []string{"nor a number from 1"}},
	{"number in words", "rate: 1e3\n", []string{`"1e3" is neither auto`}},
	{"max beside a fixed rate", "rate: 60\nmax: 600\n", []string{":2:6: max: ", "goes with rate: auto", "fixed at 60"}},
	{"max below the start", "max: 100\n", []string{":1:6: max: ", "no number from 120", "auto begins with 120"}},
	{"max of a key beside its rate", "keys:\n- {alias: a, key: " + firstKey + ", rate: 60, max: 600}\n", []string{"keys[0].max: ", "the rate of this key is fixed at 60"}},
	{"max of a key beside the common rate", "rate: 60\nkeys:\n- {alias: a, key: " + firstKey + ", max: 600}\n", []string{"keys[0].max: ", "the common rate is fixed at 60", "give this key rate: auto"}},
	{"max of a key below the start", "keys:\n- {alias: a, key: " + firstKey + ", max: 60}\n", []string{"keys[0].max: ", "no number from 120"}},
	{"no duration", "max_age: 3 days\n", []string{"no duration", "72h"}},
	{"short duration", "max_age: 3s\n", []string{"at least 1m"}},
	{"neither true nor false", "only_listed: yes\n", []string{":1:14", "neither true nor false"}},
	{"no YAML", "rate: [\n", []string{"shoutrrrd.yaml:1:7"}},
	{"a tag for a list", "keys: ! ", []string{":1:7", "tags are not taken"}},
	{"name twice", "rate: 1\nrate: 2\n", []string{":2:1", "rate", "already defined"}},
	{"member twice", "keys:\n  - alias: a\n    alias: b\n", []string{":3:5", "already defined"}},
	{"two documents", "rate: 1\n---\nrate: 2\n", []string{":3:", "second YAML document"}},
	{"a list for all", "- rate: 1\n", []string{"name: value", "listen, admin"}},
	{"a list for a value", "listen: [a]\n", []string{"listen: one value is wanted"}},
	{"names for a value", "listen: {a: b}\n", []string{"listen: one value is wanted"}},
	{"anchor", "listen: &a 127.0.0.1:1\nadmin: *a\n", []string{":1:9", "anchors"}},
	{"alias", "listen: *a\n", []string{":1:9", "aliases"}},
	{"keys are no list", "keys: {alias: a}\n", []string{"keys: a list is wanted"}},
	{"key is no mapping", "keys: [a]\n", []string{"keys[0]: lines of name: value", "alias, formerly, key"}},
	{"no key", "keys:\n  - {alias: a, key: " + firstKey[:20] + "}\n", []string{":2:16: keys[0].key: ", "32 letters and digits", "file:/path"}},
	{"short key", "keys:\n  - alias: a\n    key: abc-token\n", []string{":3:5: keys[0].key: ", "32 letters and digits", "key: *********"}},
	{"key is missing", "keys:\n  - alias: a\n", []string{"keys[0]: key is missing"}},
	{"key's file is missing", "keys:\n  - {alias: a, key: \"file:@DIR@/none\"}\n", []string{"keys[0].key", "no such file"}},
	{"key for a path", "keys:\n  - {alias: a, key: \"file:" + firstKey + "\"}\n", []string{"keys[0].key", "no such file"}},
	{"key's file is empty", "keys:\n  - {alias: a, key: \"file:empty\"}\n", []string{"holds no key"}},
	{"key's file is something else", "keys:\n  - {alias: a, key: \"file:long\"}\n", []string{"larger than 4096 bytes"}},
	{"key's file is a folder", "keys:\n  - {alias: a, key: \"file:.\"}\n", []string{"is a directory"}},
	{"no alias", "keys:\n  - {key: " + firstKey + "}\n", []string{"keys[0]: the name by which people see the key: it is missing"}},
	{"blank in an alias", "keys:\n  - {alias: on call, key: " + firstKey + "}\n", []string{"keys[0].alias", "letters, digits"}},
	{"alias with the key in it", "keys:\n  - {alias: a." + firstKey + ", key: " + firstKey + "}\n", []string{"keys[0].alias", "looks like a key"}},
	{"alias twice", "keys:\n  - {alias: a, key: " + firstKey + "}\n  - {alias: a, key: " + secondKey + "}\n", []string{":3:13", "is the alias of keys[0] already"}},
	{"key twice", "keys:\n  - {alias: a, key: " + firstKey + "}\n  - {alias: b, key: " + strings.ToUpper(firstKey) + "}\n", []string{"keys[1].key", "the same integration key as keys[0] (a)"}},
	{"key's rate", "keys:\n  - {alias: a, key: " + firstKey + ", rate: 0}\n", []string{"keys[0].rate", "nor a number from 1"}},
	{"region", "keys:\n  - {alias: a, key: " + firstKey + ", region: mars}\n", []string{"keys[0].region", "not one of us, eu"}},
	{"region and upstream", "keys:\n  - {alias: a, key: " + firstKey + ", region: eu, upstream: 'http://127.0.0.1:1'}\n", []string{"keys[0].region", "one of the two"}},
	{"key's upstream", "keys:\n  - {alias: a, key: " + firstKey + ", upstream: here}\n", []string{"keys[0].upstream", "no URL"}},
	{"pool without a name", listedKey + "pools:\n  - {keys: [a, a]}\n", []string{"pools[0]: the name of the pool: it is missing"}},
	{"pool of one", listedKey + "pools:\n  - {name: p, keys: [a]}\n", []string{"pools[0]", "at least two keys"}},
	{"pool without keys", listedKey + "pools:\n  - {name: p}\n", []string{"at least two keys"}},
	{"pool of strangers", "keys:\n  - {alias: abc, key: " + firstKey + "}\npools:\n  - {name: p, keys: [abd, abc]}\n", []string{":4:22: pools[0].keys[0]", "no alias of keys, did you mean abc?"}},
	{"key twice in a pool", listedKey + "pools:\n  - {name: p, keys: [a, a]}\n", []string{"pools[0].keys[1]", "belongs to the pool"}},
	{"pool twice", "keys:\n  - {alias: a, key: " + firstKey + "}\n  - {alias: b, key: " + secondKey + "}\npools:\n  - {name: p, keys: [a, b]}\n  - {name: p, keys: [a, b]}\n", []string{"is the name of pools[0] already"}},
	{"pool over two regions", "keys:\n  - {alias: a, key: " + firstKey + "}\n  - {alias: b, key: " + secondKey + ", region: eu}\npools:\n  - {name: p, keys: [a, b]}\n", []string{"another upstream"}},
	{"list in a pool", listedKey + "pools:\n  - {name: p, keys: [a, [a]]}\n", []string{"pools[0].keys[1]", "one value is wanted"}},
	{"key without digits for an alias", "keys:\n  - {alias: " + strings.Repeat("abcd", 8) + ", key: " + firstKey + "}\n", []string{"looks like a key", "alias: ********************************,"}},
	{"bell in a name", "tokens:\n  - {name: \"a\\ab\", role: viewer, file: token}\n", []string{"tokens[0].name", "printable"}},
	{"escape in a value", "log_level: \"\\e[2J\"\n", []string{"not one of", `"\x1b[2J"`}},
	{"endless name", "rate" + strings.Repeat("e", 200) + ": 1\n", []string{"…", "--sample"}},
	{"role", "tokens:\n  - {name: a, role: operater, file: token}\n", []string{"tokens[0].role", "not one of viewer, operator, did you mean operator?"}},
	{"no role", "tokens:\n  - {name: a, file: token}\n", []string{"role is missing"}},
	{"nobody's token", "tokens:\n  - {role: viewer, file: token}\n", []string{"whose token it is"}},
	{"no token", "tokens:\n  - {name: a, role: viewer}\n", []string{"file is missing"}},
	{"token in the file", "tokens:\n  - {name: a, role: viewer, token: abc-token}\n", []string{"a file of its own"}},
	{"short token", "tokens:\n  - {name: a, role: viewer, file: short}\n", []string{"has 9 characters, at least 16"}},
	{"token with blanks", "tokens:\n  - {name: a, role: viewer, file: blank}\n", []string{"no HTTP header takes"}},
	{"token of two", "tokens:\n  - {name: a, role: viewer, file: token}\n  - {name: b, role: viewer, file: same}\n", []string{"the same token as that of tokens[0] (a)"}},
	{"owner twice", "tokens:\n  - {name: a, role: viewer, file: token}\n  - {name: a, role: viewer, file: token2}\n", []string{"is the name of tokens[0] already"}},
	{"no address", "listen: 8686\n", []string{"host:port"}},
	{"no port", "admin: localhost:http\n", []string{"the port must be a number"}},
	{"one address for two", "listen: 127.0.0.1:1\nadmin: 127.0.0.1:1\n", []string{"both listeners"}},
	{"open front door", "listen: 0.0.0.0:8686\n", []string{"TLS", "allow_plain"}},
	{"front door for every key", "listen: 10.1.2.3:8686\nallow_plain: true\n", []string{"only_listed"}},
	{"list without keys", "only_listed: true\n", []string{"every event would be refused"}},
	{"open second door", "admin: 0.0.0.0:8687\n", []string{"give tokens"}},
	{"hosts without tokens", "admin_hosts: relay.example\n", []string{":1:14: admin_hosts: ", "relay.example without a token", "give tokens"}},
	{"no host", "admin_hosts: ['https://relay.example']\n", []string{"no host name"}},
	{"no queue", "queue: ''\n", []string{"no path is given", "--queue"}},
	{"PagerDuty in clear", "upstream: http://Events.PagerDuty.com.:80\n", []string{"https"}},
	{"no upstream", "upstream: somewhere\n", []string{"no URL"}},
	{"upstream of another kind", "upstream: ftp://somewhere\n", []string{"https, or http"}},
	{"upstream with a user", "upstream: https://user:abc-token@relay.example\n", []string{"user in it", "https://**************@relay.example"}},
	{"a key for the upstream's host", "upstream: http://" + firstKey + "\n", []string{"host is an integration key", "keys"}},
	{"a key for the host of a key's upstream", "keys: [{alias: a, key: " + secondKey + ", upstream: 'https://" + strings.ToUpper(firstKey) + ":443/x'}]\n", []string{"keys[0].upstream", "host is an integration key"}},
	{"upstream with the whole path", "upstream: https://events.pagerduty.com/v2/enqueue\n", []string{"leave /v2/enqueue out"}},
	{"upstream with a query", "upstream: https://events.pagerduty.com/?a=b\n", []string{"only scheme, host and path"}},
	{"upstream is the relay", "listen: 127.0.0.1:7000\nupstream: http://localhost:7000\n", []string{":2:11", "own events listener"}},
	{"a key's upstream is the relay", "keys: [{alias: a, key: " + firstKey + ", upstream: 'http://127.0.0.1:8686'}]\n", []string{"keys[0].upstream", "own events listener"}},
	{"log level", "log_level: debgu\n", []string{"did you mean debug?"}},
	{"web configuration is missing", "web_config: /nowhere.yaml\n", []string{"no such file"}},
	{"web configuration without TLS", "web_config: @DIR@/users.yaml\n", []string{"no tls_server_config"}},
	{"web configuration of nothing", "web_config: @DIR@/tag.yaml\n", []string{"web_config: "}},
	{"web configuration is no YAML", "web_config: @DIR@/broken.yaml\n", []string{":1:13: web_config: "}},
	{"certificate is missing", "admin_web_config: @DIR@/tls.yaml\n", []string{"admin_web_config", "none.pem"}},
}

// Every mistake is told with its place and what is allowed, and no secret in it.
func TestMistakes(t *testing.T) {
	for _, c := range mistakes {
		t.Run(c.name, func(t *testing.T) {
			path := files(t, c.text)
			s, err := Load(Sources{Getenv: environment(), File: path})
			if err == nil || s != nil {
				t.Fatalf("it was taken: %v", s)
			}
			if !strings.HasPrefix(err.Error(), path+":") {
				t.Errorf("the error does not begin with the place:\n%v", err)
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error lacks %q:\n%v", part, err)
				}
			}
			hides(t, "the error", err.Error())
			keyleak.Check(t, firstKey[:20], keyleak.Text("the error", err.Error()))
		})
	}
}

// What a mistake looks like, all of it.
func TestMistakesInFull(t *testing.T) {
	path := files(t, `# a comment
listne: 127.0.0.1:8686
rate: many
keys:
  - alias: db-oncall
    key: `+firstKey[:31]+`
    rate: 1000000
  - {alias: web, key: `+secondKey+`, regoin: eu}
`)
	_, err := Load(Sources{Getenv: environment("SHOUTRRRD_MAX_AGE", "soon"), File: path, Flags: map[string]string{"log_format": "yaml"}})
	if err == nil {
		t.Fatal("it was taken")
	}
	want := `variable SHOUTRRRD_MAX_AGE: "soon" is no duration of at least 1m; write it like 90m or 72h
flag --log-format: "yaml" is not one of auto, text, json
FILE:2:1: "listne" is not known here, did you mean listen?
    2 | listne: 127.0.0.1:8686
      | ^
FILE:3:7: rate: "many" is neither auto nor a number from 1 to 100000
    3 | rate: many
      |       ^
FILE:6:5: keys[0].key: an integration key has exactly 32 letters and digits; or give file:/path of a file that holds it
    6 |     key: *******************************
      |     ^
FILE:7:11: keys[0].rate: "1000000" is neither auto nor a number from 1 to 100000
    7 |     rate: 1000000
      |           ^
FILE:8:57: keys[1]: "regoin" is not known here, did you mean region?
    8 |   - {alias: web, key: ********************************* ******* ***
      |                                                         ^`
	if diff := cmp.Diff(want, strings.ReplaceAll(err.Error(), path, "FILE")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestWithoutPanic(t *testing.T) {
	if err := withoutPanic(func() error { panic("index out of range") }); err == nil {
		t.Error("a panic is no error")
	}
	if err := withoutPanic(func() error { return fs.ErrNotExist }); err != fs.ErrNotExist {
		t.Errorf("got %v", err)
	}
}

func TestFileIsMissing(t *testing.T) {
	_, err := Load(Sources{Getenv: environment(), File: "/nowhere/shoutrrrd.yaml"})
	if !errors.Is(err, fs.ErrNotExist) || err.Error() != `/nowhere/shoutrrrd.yaml: cannot read "/nowhere/shoutrrrd.yaml": no such file or directory` {
		t.Errorf("%v", err)
	}
}

// A file that anybody may write is refused; secrets that anybody may read, and
// what goes in clear, are warned of.
func TestWarnings(t *testing.T) {
	if runtime.GOOS == "windows" {
		prove.Missing(t, "rights of files, which Windows has not in this form")
	}
	for _, c := range []struct {
		name, text string
		readable   string // file that everybody can read
		want       string // "" for no warning
	}{
		{"all well", listedKey, "", ""},
		{"keys in the file", listedKey, "shoutrrrd.yaml", "holds integration keys"},
		{"keys elsewhere", "keys: [{alias: a, key: 'file:key'}]\n", "shoutrrrd.yaml", ""},
		{"key file", "keys: [{alias: a, key: 'file:key'}]\n", "key", "key, which holds a secret"},
		{"token file", "tokens: [{name: a, role: viewer, file: token}]\n", "token", "token, which holds a secret"},
		{"upstream by name", "upstream: http://relay.example.com:8686\n", "", "in clear"},
		{"upstream by address", "upstream: http://203.0.113.7:8686\n", "", "in clear"},
		{"a key's upstream", "keys: [{alias: a, key: " + firstKey + ", upstream: 'http://relay.example.com'}]\n", "", "keys[0].upstream: events"},
		{"upstream of the house", "upstream: http://10.0.0.7:8686\n", "", ""},
		{"upstream of the cluster", "upstream: http://relay:8686\n", "", ""},
		{"upstream of the house by name", "upstream: http://relay.internal\n", "", ""},
		{"upstream on this machine", "upstream: http://[::ffff:127.0.0.1]:8685\n", "", ""},
		{"tokens in clear", "admin: 0.0.0.0:8687\ntokens: [{name: a, role: viewer, file: token}]\n", "", "tokens in clear"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := files(t, c.text)
			if c.readable != "" {
				chmod(t, filepath.Join(filepath.Dir(path), c.readable), 0o644)
			}
			s, err := Load(Sources{Getenv: environment(), File: path})
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(s.Warnings, "\n")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("got the warnings %q, want %q", got, c.want)
			}
			hides(t, "the warnings", got)
		})
	}
	path := files(t, "rate: 1\n")
	chmod(t, path, 0o606)
	if _, err := Load(Sources{Getenv: environment(), File: path}); err == nil || !strings.Contains(err.Error(), "can write to it") {
		t.Errorf("a file that anybody can write was taken: %v", err)
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// A supervisor may have opened the doors elsewhere than the settings say; the guards
// are those of where the doors are.
func TestSockets(t *testing.T) {
	opened := listedKey + "allow_plain: true\nonly_listed: true\ntokens: [{name: a, role: viewer, file: token}]\n"
	for _, c := range []struct{ name, text, front, admin, want string }{
		{"loopback", "", "127.0.0.1:1", "[::1]:1", ""},
		{"front door", "", "0.0.0.0:1", "127.0.0.1:1", "systemd's socket: listen: other machines reach 0.0.0.0:1"},
		{"second door", "admin: 127.0.0.1:2\n", "127.0.0.1:1", "[::]:1", "systemd's socket: admin: other machines reach [::]:1"},
		{"both as told", opened, "0.0.0.0:1", "0.0.0.0:2", ""},
		{"the settings' own address does not count", "listen: 0.0.0.0:1\n", "127.0.0.1:1", "127.0.0.1:2", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Load(Sources{Getenv: environment(), File: files(t, c.text), Flags: map[string]string{"listen": "127.0.0.1:9"}, Sockets: map[string]string{"listen": c.front, "admin": c.admin}})
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want %q", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if s.Listen != c.front || s.Admin != c.admin {
				t.Errorf("doors at %s and %s", s.Listen, s.Admin)
			}
		})
	}
}

// Whatever stands in the file: no panic, no key in what is said about it, and what
// is taken can be shown.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"rate: 300\n", listedKey, "keys: " + firstKey, "? " + firstKey, "a: &x [*x]\n", "---\n---\n", "tokens:\n  - 1\n", "keys:\n- key: !!binary x\n",
		firstKey + ": 1\n", "rate: " + firstKey + "\n", "listen: \"" + firstKey + "\"\n", "keys:\n - alias: a\n   key: |\n     " + firstKey + "\n   rate: x\n",
		"upstream: https://" + firstKey + "@h\n", "keys:\n- {alias: " + firstKey + "}", "pools: [{name: a, keys: [" + firstKey + "]}]", "admin_hosts: [" + firstKey + "]", Sample(),
	} {
		f.Add(seed, uint16(0), uint16(0), uint16(0))
	}
	for _, part := range []string{"[", "{a: ", "- ", "? ", "a#: &b# 1\n", "*b", "  ", "#\n", "\"\\x61"} {
		seed := "rate: " + part + "\n"
		for _, times := range []uint16{1000, 1<<16 - 1} {
			f.Add(seed, uint16(6), uint16(6+len(part)), times)
		}
	}
	f.Fuzz(func(t *testing.T, text string, from, to, times uint16) {
		text = string(bodies.Grow([]byte(text), from, to, times, bodies.Most))
		path := filepath.Join(t.TempDir(), "c.yaml")
		write(t, path, text)
		s, err := Load(Sources{Getenv: environment("HOME", "/home"), File: path})
		said := ""
		if err != nil {
			said = err.Error()
		} else {
			said = sprintValues(s) + strings.Join(s.Warnings, "\n")
		}
		if strings.Contains(strings.ToLower(said), firstKey) {
			t.Error("the key is shown")
		}
	})
}
