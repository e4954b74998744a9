package settings

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/keyleak"
	"github.com/google/go-cmp/cmp"
)

// way is a file with one way of notify.
func way(members string) string { return "notify:\n  ways:\n    - {name: help, " + members + "}\n" }

const mailWay = "smtp: mail.example.com, from: relay@example.com, to: [oncall@example.com]"

// All that is wrong about notify is told, and nothing of it holds a secret.
func TestNotifyMistakes(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"no ways", "notify: {after: 1m}\n", []string{"notify: it has 0 ways"}},
		{"no mapping", "notify: mail\n", []string{"notify: lines of name: value", "after, ways"}},
		{"misspelt", "notify: {afer: 1m}\n", []string{`"afer" is not known here, did you mean after?`}},
		{"too soon", "notify: {after: 10ms, ways: [{name: a, webhook: 'https://a.example/'}]}\n", []string{":1:17: notify.after", "no duration from 1s to 24h"}},
		{"no kind", "notify: {ways: [{name: a}]}\n", []string{"notify.ways[0]: give one of command, webhook, smtp, pagerduty; it has 0"}},
		{"two kinds", way("webhook: 'https://a.example/', " + mailWay), []string{"it has 2 of them"}},
		{"no name", "notify: {ways: [{webhook: 'https://a.example/'}]}\n", []string{"it is missing"}},
		{"a name twice", "notify: {ways: [{name: a, webhook: 'https://a.example/'}, {name: a, webhook: 'https://b.example/'}]}\n", []string{"notify.ways[1].name", "is the name of notify.ways[0] already"}},
		{"member of another kind", way("webhook: 'https://a.example/', user: ana"), []string{"notify.ways[0].user", "it belongs to smtp, and this way is a webhook"}},
		{"no list", way("command: /bin/sh -c true"), []string{"notify.ways[0].command", "a list is wanted"}},
		{"relative program", way("command: [mail]"), []string{`"mail" is no absolute path`, "no shell"}},
		{"missing program", way("command: [/nowhere/mail]"), []string{"/nowhere/mail", "no such file"}},
		{"no program", way("command: ['@DIR@/token']"), []string{"is no program: chmod +x"}},
		{"no URL", way("webhook: chat"), []string{"notify.ways[0].webhook", "no https or http URL"}},
		{"a user in the URL", way("webhook: 'https://ana:hush-hush@a.example/'"), []string{"a URL with a user"}},
		{"PagerDuty in clear", way("webhook: 'http://events.pagerduty.com/'"), []string{"notify.ways[0].webhook", "https"}},
		{"headers in the file", way("webhook: 'https://a.example/', headers: hush-hush"), []string{"notify.ways[0].headers", "a line is no header"}},
		{"missing headers", way("webhook: 'https://a.example/', headers: 'file:none'"), []string{"notify.ways[0].headers", "no such file"}},
		{"no mail server", way("smtp: 'mail/server', from: a@b.example, to: [a@b.example]"), []string{"is no host such as mail.example.com"}},
		{"no port", way("smtp: 'mail:smtp', from: a@b.example, to: [a@b.example]"), []string{"the port must be a number"}},
		{"another line in an address", way("smtp: mail, from: \"a@b.example\\nBcc: c@d.example\", to: [a@b.example]"), []string{"notify.ways[0].from", "is no address"}},
		{"nobody to write to", way("smtp: mail, from: a@b.example"), []string{"to is missing"}},
		{"no TLS of that name", way(mailWay + ", tls: ssl"), []string{"not one of starttls, implicit, none"}},
		{"password in clear", way(mailWay + ", tls: none, user: ana, password: hush-hush"), []string{"notify.ways[0].tls", "in clear"}},
		{"user without password", way(mailWay + ", user: ana"), []string{"notify.ways[0].user", "go together"}},
		{"the same upstream", way("pagerduty: us, key: " + firstKey), []string{"notify.ways[0].pagerduty", "https://events.pagerduty.com is the upstream of lanes that this way watches", "watches"}},
		{"the same upstream in another spelling", way("pagerduty: 'https://Events.PagerDuty.com.:443/', key: " + firstKey), []string{"is the upstream of lanes that this way watches"}},
		{"the upstream of one key", "keys:\n  - {alias: a, key: " + secondKey + ", region: eu}\n" + way("pagerduty: eu, key: "+firstKey), []string{"https://events.eu.pagerduty.com is the upstream"}},
		{"the upstream that it watches", "keys:\n  - {alias: a, key: " + secondKey + ", region: eu}\n" + way("pagerduty: eu, watches: ['https://events.eu.pagerduty.com'], key: "+firstKey), []string{"is the upstream of lanes that this way watches"}},
		{"an upstream of nobody", way("webhook: 'https://a.example/', watches: ['https://events.eu.pagerduty.com']"), []string{"notify.ways[0].watches", "no lane sends to"}},
		{"this relay", way("pagerduty: 'http://127.0.0.1:8686', key: " + firstKey), []string{"notify.ways[0].pagerduty", "this relay's own events listener"}},
		{"no key", way("pagerduty: eu"), []string{"key is missing"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(Sources{Getenv: environment(), File: files(t, c.text)})
			if err == nil {
				t.Fatal("it is taken")
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("got %q, want %q in it", err, part)
				}
			}
			if strings.Contains(err.Error(), "hush-hush") {
				t.Errorf("it holds a secret: %s", err)
			}
			keyleak.Check(t, firstKey, keyleak.Text("error", err.Error()))
		})
	}
}

// One mistake is reported once: what follows from it is none.
func TestNotifyOneMistake(t *testing.T) {
	for _, c := range []struct{ members, want string }{
		{"command: /bin/sh -c true", "notify.ways[0].command: a list is wanted: the path of the program, then its arguments; there is no shell"},
		{"command: []", "notify.ways[0].command: a list is wanted"},
		{"webhook: 'file:/nowhere/url'", `notify.ways[0].webhook: cannot read "/nowhere/url"`},
		{"webhook: 'file:empty'", `notify.ways[0].webhook: "empty" is empty`},
		{"webhook: ''", "notify.ways[0].webhook: it is no https or http URL"},
		{"smtp: mail, to: [a@b.example]", "notify.ways[0]: from is missing: the address of the sender, such as relay@example.com"},
		{"smtp: mail, from: a@b.example, to: c@d.example", "notify.ways[0].to: a list is wanted: addresses"},
		{"smtp: mail, from: a@b.example", "notify.ways[0]: to is missing: a list of addresses"},
		{mailWay + ", user: ana, password: 'file:/nowhere/password'", `notify.ways[0].password: cannot read "/nowhere/password"`},
		{"webhook: 'https://a.example/', watches: 'https://events.pagerduty.com'", "notify.ways[0].watches: a list is wanted: upstreams"},
	} {
		path := files(t, way(c.members))
		write(t, filepath.Join(filepath.Dir(path), "empty"), "")
		_, err := Load(Sources{Getenv: environment(), File: path})
		if err == nil || strings.Count(err.Error(), "notify.ways[0]") != 1 || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v\nwant alone %s", c.members, err, c.want)
		}
	}
}

// What is right is taken, shown without secrets, and compared with what was before.
func TestNotify(t *testing.T) {
	const text = `keys:
  - {alias: a, key: ` + secondKey + `, region: eu}
notify:
  ways:
    - {name: phone, command: [/bin/sh, -c, 'true'], timeout: 10s}
    - {name: chat, webhook: 'https://a.example/hush-hush', headers: 'file:headers'}
    - {name: mail, smtp: 'mail.example.com:2525', from: Relay <relay@example.com>, to: [ana@example.com, bo@example.com], user: ana, password: hush-hush}
    - {name: other, pagerduty: eu, key: ` + firstKey + `, watches: ['https://events.pagerduty.com/']}
`
	path := files(t, text)
	write(t, filepath.Join(filepath.Dir(path), "headers"), "Authorization: Bearer hush-hush\nX-Team: db\n\n")
	s, err := Load(Sources{Getenv: environment(), File: path})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range s.Values() {
		if strings.HasPrefix(v.Name, "notify") {
			got = append(got, v.Name+" = "+v.Value+" from "+strings.ReplaceAll(v.Origin, path, "file"))
		}
	}
	want := []string{
		"notify.after = 3m from default",
		"notify.ways[0] = phone: command /bin/sh from file:5:7",
		"notify.ways[1] = chat: webhook at a.example, 2 headers from file:6:7",
		"notify.ways[2] = mail: smtp mail.example.com:2525 (starttls) to ana@example.com, bo@example.com from file:7:7",
		"notify.ways[3] = other: pagerduty https://events.eu.pagerduty.com (key-3eb1bd439947eb76), watches https://events.pagerduty.com from file:8:7",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if all := sprintAll(s, s.Notify, s.Notify.Ways); strings.Contains(all, "hush-hush") {
		t.Error("a secret shows itself")
	}
	keyleak.Check(t, firstKey, keyleak.Text("settings", sprintAll(s, s.Notify.Ways)))
	chat := s.Notify.Ways[1]
	if chat.URL.Reveal() != "https://a.example/hush-hush" || len(chat.Headers) != 2 || chat.Headers[0].Name != "Authorization" || chat.Headers[0].Value.Reveal() != "Bearer hush-hush" {
		t.Errorf("%d headers", len(chat.Headers))
	}
	if w := s.Notify.Ways[0]; w.Timeout != 10*time.Second || chat.Timeout != defaultTimeout || !w.Tells("https://anything") {
		t.Errorf("%s, %s", w.Timeout, chat.Timeout)
	}
	if other := s.Notify.Ways[3]; other.Tells("https://events.eu.pagerduty.com") || !other.Tells("https://events.pagerduty.com") {
		t.Errorf("it watches %q", other.Watches)
	}

	same, err := Load(Sources{Getenv: environment(), File: path})
	if err != nil || !reflect.DeepEqual(s.Notify, same.Notify) {
		t.Errorf("read twice it is not the same: %v", err)
	}
	changes, needStart := Diff(s, load(t, "keys:\n  - {alias: a, key: "+secondKey+", region: eu}\nnotify:\n  after: 1m\n  ways:\n    - {name: mail, "+mailWay+"}\n"))
	wantChanges := []string{
		"notify.after: 3m -> 1m",
		"way of notify mail: mail: smtp mail.example.com:2525 (starttls) to ana@example.com, bo@example.com -> mail: smtp mail.example.com:587 (starttls) to oncall@example.com",
		"way of notify phone: phone: command /bin/sh -> none",
		"way of notify chat: chat: webhook at a.example, 2 headers -> none",
		"way of notify other: other: pagerduty https://events.eu.pagerduty.com (key-3eb1bd439947eb76), watches https://events.pagerduty.com -> none",
	}
	if diff := cmp.Diff(wantChanges, changes); diff != "" || len(needStart) > 0 {
		t.Errorf("-want +got:\n%s\n%q", diff, needStart)
	}
}

// A webhook that others could listen to, and a secret that others can read, are warned of.
func TestNotifyWarnings(t *testing.T) {
	s := load(t, way("webhook: 'http://chat.example.com/'"))
	if len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "goes to chat.example.com in clear") {
		t.Errorf("warnings %q", s.Warnings)
	}
	path := files(t, way(mailWay+", user: ana, password: hush-hush"))
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := Load(Sources{Getenv: environment(), File: path})
	if err != nil || len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "which holds secrets") {
		t.Errorf("%v, warnings %q", err, s.Warnings)
	}
}
