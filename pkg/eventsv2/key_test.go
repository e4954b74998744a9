package eventsv2

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const secret = "0123456789abcdef0123456789ABCDEF"

func mustKey(t testing.TB, s string) Key {
	t.Helper()
	k, err := ParseKey(s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestParseKey(t *testing.T) {
	for _, tc := range []struct {
		text string
		ok   bool
	}{
		{secret, true},
		{"R028DIE06SNKNO6V5ACSLRV7Y0TUVG7T", true},
		{"", false},
		{secret[:31], false},
		{secret + "0", false},
		{secret[:31] + "-", false},
		{secret[:31] + " ", false},
		{strings.Repeat("é", 16), false},
	} {
		_, err := ParseKey(tc.text)
		if (err == nil) != tc.ok {
			t.Errorf("ParseKey(%q): err %v, want ok %t", tc.text, err, tc.ok)
		}
		if err != nil && !errors.Is(err, ErrKeyForm) {
			t.Errorf("ParseKey(%q): %v is not ErrKeyForm", tc.text, err)
		}
	}
}

// Whatever prints a key, or a struct with a key in it, prints no key.
func TestKeyNeverShows(t *testing.T) {
	type holder struct {
		Open   Key
		hidden Key
		nested struct{ keys []Key }
	}
	k := mustKey(t, secret)
	h := holder{Open: k, hidden: k}
	h.nested.keys = []Key{k}
	var shown strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%T", "%10.3s"} {
		fmt.Fprintf(&shown, verb+"\n"+verb+"\n"+verb+"\n", k, h, &h)
	}
	marshalled, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	shown.Write(marshalled)
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).Info("key", "key", k, "holder", h)
	}
	shown.Write(log.Bytes())
	func() {
		defer func() { fmt.Fprint(&shown, recover()) }()
		panic(fmt.Sprint(h))
	}()
	text := strings.ToLower(shown.String())
	for _, hint := range []string{strings.ToLower(secret), secret[:8], fmt.Sprintf("%x", secret[:8])} {
		if strings.Contains(text, hint) {
			t.Errorf("%q shows in:\n%s", hint, shown.String())
		}
	}
	if !strings.Contains(text, k.Fingerprint()) {
		t.Errorf("no fingerprint %s in:\n%s", k.Fingerprint(), shown.String())
	}
}

func TestKeyScrub(t *testing.T) {
	k := mustKey(t, secret)
	for _, tc := range []struct{ text, want string }{
		{"", ""},
		{"nothing here", "nothing here"},
		{secret, k.Fingerprint()},
		{"bad key " + strings.ToLower(secret) + ", and " + strings.ToUpper(secret) + "!", "bad key " + k.Fingerprint() + ", and " + k.Fingerprint() + "!"},
		{"İ" + secret + "é", "İ" + k.Fingerprint() + "é"},
		{"\xff\xfe" + secret, "\xff\xfe" + k.Fingerprint()},
		{secret + secret, k.Fingerprint() + k.Fingerprint()},
	} {
		if got := k.Scrub(tc.text); got != tc.want {
			t.Errorf("Scrub(%q) = %q, want %q", tc.text, got, tc.want)
		}
	}
	if got := (Key{}).Scrub(secret); got != secret {
		t.Errorf("the zero key scrubs %q", got)
	}
}

func TestKeyEqualIgnoresCase(t *testing.T) {
	upper, lower := mustKey(t, strings.ToUpper(secret)), mustKey(t, strings.ToLower(secret))
	if !upper.Equal(lower) || upper.Fingerprint() != lower.Fingerprint() {
		t.Error("the case of letters makes two keys of one")
	}
	if upper.Equal(mustKey(t, "R028DIE06SNKNO6V5ACSLRV7Y0TUVG7T")) || upper.Equal(Key{}) {
		t.Error("different keys are equal")
	}
}
