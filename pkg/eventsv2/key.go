package eventsv2

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/containrrr/shoutrrr/internal/redact"
)

// keyLength is the length of every integration key: the server answers "Length
// of 'routing_key' is incorrect (should be 32 characters)" to any other.
const keyLength = 32

// ErrKeyForm is returned by [ParseKey] for a text that no integration key can be.
var ErrKeyForm = errors.New("an integration key has exactly 32 letters and digits")

// Key is an integration key (routing key). It is a secret: whoever has it can
// page the people on call, or silence their pages.
//
// A Key shows its fingerprint in every format of package fmt, in slog, in JSON
// and in text encodings. The characters themselves sit behind a pointer, so that
// even printing a struct that hides a Key in an unexported field, which fmt does
// without asking the Key's methods, shows an address and not the secret. Only
// [Key.Reveal] gives them out. The zero Key is no key at all.
type Key struct {
	secret *string
}

// ParseKey accepts what PagerDuty accepts: 32 letters and digits, case kept.
// Its error is [ErrKeyForm] and never quotes s.
func ParseKey(s string) (Key, error) {
	if len(s) != keyLength {
		return Key{}, ErrKeyForm
	}
	for i := range len(s) {
		if !isAlphanumeric(s[i]) {
			return Key{}, ErrKeyForm
		}
	}
	return Key{secret: &s}, nil
}

// Reveal returns the characters of the key, "" for the zero Key. Its only place
// is the request that PagerDuty gets.
func (k Key) Reveal() string {
	if k.secret == nil {
		return ""
	}
	return *k.secret
}

// Fingerprint is what stands for the key wherever people look: "key-" and the
// first 16 hexadecimal digits of the SHA-256 of the key in lower case. Of a million
// keys no two share one, but for one chance in 37 million.
func (k Key) Fingerprint() string {
	if k.secret == nil {
		return "key-none"
	}
	sum := sha256.Sum256([]byte(strings.ToLower(*k.secret)))
	return "key-" + hex.EncodeToString(sum[:8])
}

// IsZero reports whether k is no key at all.
func (k Key) IsZero() bool { return k.secret == nil }

// Equal reports whether both are the same key, whatever the case of its letters.
func (k Key) Equal(other Key) bool { return strings.EqualFold(k.Reveal(), other.Reveal()) }

// String returns the fingerprint.
func (k Key) String() string { return k.Fingerprint() }

// GoString returns the fingerprint, for %#v.
func (k Key) GoString() string { return k.Fingerprint() }

// Format writes the fingerprint for every verb, %x and %d included.
func (k Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, k.Fingerprint()) }

// LogValue gives slog the fingerprint.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.Fingerprint()) }

// MarshalText gives encoders the fingerprint, so that a struct with a Key in it
// can be dumped as JSON. The wire does not go through it.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.Fingerprint()), nil }

// Scrub replaces every occurrence of the key in text, in any case of letters, by
// the fingerprint: servers and proxies echo what they were sent.
func (k Key) Scrub(text string) string { return redact.Key(text, k) }

// occurrences counts the places of text where the key stands, in any case of letters.
// A key is a run of 32 letters and digits, so that looking at every 32nd character
// finds each run that can hold one.
func occurrences[T ~string | ~[]byte](k Key, text T) (n int) {
	for at := keyLength - 1; at < len(text); at += keyLength {
		if k.secret == nil || !isAlphanumeric(text[at]) {
			continue
		}
		from, end := at, at+1
		for from > 0 && isAlphanumeric(text[from-1]) {
			from--
		}
		for end < len(text) && isAlphanumeric(text[end]) {
			end++
		}
		for ; from+keyLength <= end; from++ {
			if strings.EqualFold(string(text[from:from+keyLength]), *k.secret) {
				n++
			}
		}
		at = end
	}
	return n
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
