package redact

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// key is a secret of the tests.
type key string

func (k key) Reveal() string { return string(k) }

func (k key) Fingerprint() string {
	sum := sha256.Sum256([]byte(strings.ToLower(string(k))))
	return "key-" + hex.EncodeToString(sum[:8])
}

const (
	one   = key("920223f1560d76d5d8be6be42b77b1c6")
	two   = key("F7B6af6bb2443542f3b7e1a554c835d4")
	wide  = key("R028DIE06SNKNO6V5ACSLRV7Y0TUVG7T")
	other = key("0123456789abcdef0123456789abcdef")
)

func setOf(keys ...key) *Set {
	s := &Set{}
	for _, k := range keys {
		s.Add(k)
	}
	return s
}

func TestHide(t *testing.T) {
	s := setOf(one, two, wide)
	a, b, c := one.Fingerprint(), two.Fingerprint(), wide.Fingerprint()
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", ""},
		{"no key", "disk full on db-1", "disk full on db-1"},
		{"a key that is not known", string(other), string(other)},
		{"alone", string(one), a},
		{"in a URL", "pagerduty:///" + string(one) + "?severity=info", "pagerduty:///" + a + "?severity=info"},
		{"in capitals", strings.ToUpper(string(one)), a},
		{"in lower case", strings.ToLower(string(wide)), c},
		{"two side by side", string(one) + string(two), a + b},
		{"in a longer run", "x" + string(one) + "y", "x" + a + "y"},
		{"in a long run", strings.Repeat("a", 100) + string(two) + strings.Repeat("b", 100), strings.Repeat("a", 100) + b + strings.Repeat("b", 100)},
		{"one that begins within another", string(one)[:20] + string(two), string(one)[:20] + b},
		{"many", "1 " + string(one) + " 2 " + string(two) + " 3 " + string(one) + " 4", "1 " + a + " 2 " + b + " 3 " + a + " 4"},
		{"beside bytes that are not UTF-8", "\xff" + string(one) + "\xfe", "\xff" + a + "\xfe"},
		{"beside letters that are not ASCII", "é" + string(one) + "İ", "é" + a + "İ"},
		{"31 characters", string(one)[:31], string(one)[:31]},
		{"broken by a dash", string(one)[:16] + "-" + string(one)[16:], string(one)[:16] + "-" + string(one)[16:]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := s.Hide(tt.text); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if got := (&Set{}).Hide(string(one)); got != string(one) {
		t.Errorf("an empty set makes %q", got)
	}
}

func TestSetForgets(t *testing.T) {
	s := &Set{}
	s.Add(key(""))
	s.Add(key("too short"))
	s.Remove(one) // never added
	s.Add(one)
	s.Add(key(strings.ToUpper(string(one)))) // the same secret
	s.Remove(one)
	if got := s.Hide(string(one)); got != one.Fingerprint() {
		t.Errorf("added twice and removed once: %q", got)
	}
	s.Remove(one)
	if got := s.Hide(string(one)); got != string(one) {
		t.Errorf("removed as often as added: %q", got)
	}
}

// randomKey has hexadecimal digits, as PagerDuty makes keys today.
func randomKey(r *rand.Rand) key {
	return key(fmt.Sprintf("%016x%016x", r.Uint64(), r.Uint64()))
}

// What the filter and the leaps over text leave out is found by comparing at each place.
func TestHideFindsWhatASimpleSearchFinds(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		keys := make([]key, 1+r.IntN(600)) // the filter grows at 257 and 513
		s := &Set{}
		for i := range keys {
			keys[i] = randomKey(r)
			s.Add(keys[i])
		}
		var text strings.Builder
		for range r.IntN(20) {
			switch k := string(keys[r.IntN(len(keys))]); r.IntN(5) {
			case 0:
				text.WriteString(k)
			case 1:
				text.WriteString(strings.ToUpper(k))
			case 2:
				text.WriteString(k[r.IntN(32):])
			case 3:
				text.WriteString(strings.Repeat(string("ab 0-é"[r.IntN(6)]), r.IntN(70)))
			default:
				text.WriteString(string(randomKey(r)))
			}
		}
		want := simply(text.String(), keys)
		if got := s.Hide(text.String()); got != want {
			t.Fatalf("of %q:\n got %q\nwant %q", text.String(), got, want)
		}
	}
}

// simply takes the first key from the left, again and again.
func simply(text string, keys []key) string {
	out := ""
	for at := 0; at < len(text); {
		found := false
		for _, k := range keys {
			if at+32 <= len(text) && strings.EqualFold(text[at:at+32], string(k)) {
				out += k.Fingerprint()
				at += 32
				found = true
				break
			}
		}
		if !found {
			out += text[at : at+1]
			at++
		}
	}
	return out
}

func TestKey(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{string(wide), wide.Fingerprint()},
		{"x" + strings.ToLower(string(wide)) + string(wide), "x" + wide.Fingerprint() + wide.Fingerprint()},
		{string(one), string(one)},
	} {
		if got := Key(tt.text, wide); got != tt.want {
			t.Errorf("of %q: got %q, want %q", tt.text, got, tt.want)
		}
	}
	if got := Key(string(one), key("")); got != string(one) {
		t.Errorf("no key at all hides %q", got)
	}
}

func TestPieces(t *testing.T) {
	a := one.Fingerprint()
	for _, tt := range []struct{ text, want string }{
		{string(one), a},
		{string(one)[:8], a},
		{"…" + strings.ToUpper(string(one)[20:]) + "…", "…" + a + "…"},
		{string(one)[:16] + "\n" + string(one)[16:], a + "\n" + a},
		{string(one)[:7], string(one)[:7]},
		{"nothing", "nothing"},
	} {
		if got := Pieces(tt.text, one); got != tt.want {
			t.Errorf("of %q: got %q, want %q", tt.text, got, tt.want)
		}
	}
	if got := Pieces("--------", key("--------")); got != "--------" {
		t.Errorf("what no key can be is hidden: %q", got)
	}
}

// Hiding makes nothing on the way but its result: a list of events is long.
func TestHideAllocates(t *testing.T) {
	s := setOf(one, two)
	text := strings.Repeat("A", 240<<10)
	if n := testing.AllocsPerRun(10, func() { s.Hide(text) }); n > 1 {
		t.Errorf("%.0f allocations for a text without a key, want at most 1", n)
	}
}

func BenchmarkHide(b *testing.B) {
	r := rand.New(rand.NewPCG(3, 4))
	many := &Set{}
	for range 10_000 {
		many.Add(randomKey(r))
	}
	var hexadecimal strings.Builder
	for range 240 << 10 / 32 {
		hexadecimal.WriteString(string(randomKey(r)))
	}
	for _, bm := range []struct{ name, text string }{
		{"one letter", strings.Repeat("A", 240<<10)},
		{"hexadecimal digits", hexadecimal.String()},
		{"words", strings.Repeat("the disk of db-1 is full: /var/lib/postgresql has 0 bytes left ", 240<<10/63)},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.SetBytes(int64(len(bm.text)))
			for b.Loop() {
				many.Hide(bm.text)
			}
		})
	}
}
