package settings

import (
	"os"
	"path/filepath"
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
		{"an alias that is another key's fingerprint", "keys:\n  - {alias: key-ab12cd34, key: " + key + "}\n"},
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
