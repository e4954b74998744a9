// Package redact makes text fit to be shown: without the integration keys that are known, without what has the
// shape of a key, and without characters that act on a terminal instead of being read. Logs, errors, pages, answers
// and metrics of both commands go through it, so that the rule stands in one place.
package redact

import (
	"math/bits"
	"strings"
	"sync"
)

// keyLength is the length of every integration key: 32 letters and digits.
const keyLength = 32

// Secret is an integration key: what may not be shown, and what is shown in its place.
type Secret interface {
	Reveal() string
	Fingerprint() string
}

// Set hides the secrets that were added to it, wherever they stand in a text and in any case of letters. The time
// that takes grows with the text and not with the number of secrets. The zero value is an empty set, and a nil
// one hides nothing. Its methods are safe for concurrent use.
type Set struct {
	mu    sync.RWMutex
	known map[folded]entry
	// ends has a bit for each hash of the last eight characters of a secret. Nearly every place of a text where a
	// secret could end is ruled out by it, without a look into the map. A bit stays when a secret is removed.
	ends []uint64
	// shift leaves as many bits of a hash as number the bits of ends.
	shift int
}

// folded is a secret in lower case.
type folded [keyLength]byte

// entry is a secret of a set.
type entry struct {
	fingerprint string
	users       int // how many times it was added and not yet removed
}

// bitsEach is the least number of bits of ends for each secret: at most every 16th place is looked up in vain.
const bitsEach = 16

// Add makes the set hide the secret. What is no integration key, the zero key among it, is left out. A secret that is
// added twice has to be removed twice: it is configured, say, and has a lane.
func (s *Set) Add(secret Secret) {
	key, ok := fold(secret.Reveal())
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e, again := s.known[key]
	if !again {
		e.fingerprint = secret.Fingerprint()
	}
	e.users++
	if s.known == nil {
		s.known = map[folded]entry{}
	}
	s.known[key] = e
	switch {
	case again:
	case len(s.known)*bitsEach > 64*len(s.ends):
		s.grow()
	default:
		s.mark(key)
	}
}

// Remove takes back one Add.
func (s *Set) Remove(secret Secret) {
	key, ok := fold(secret.Reveal())
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.known[key]
	if e.users--; ok && e.users > 0 {
		s.known[key] = e
		return
	}
	delete(s.known, key)
}

// grow makes room in ends for twice the secrets that are known, and drops the bits of those that were removed.
func (s *Set) grow() {
	words := 64 // 512 bytes: enough for 256 secrets
	for 64*words < 2*bitsEach*len(s.known) {
		words *= 2
	}
	s.ends, s.shift = make([]uint64, words), 64-bits.Len(uint(64*words-1))
	for key := range s.known {
		s.mark(key)
	}
}

func (s *Set) mark(key folded) {
	bit := hash(endOf(string(key[:]))) >> s.shift
	s.ends[bit/64] |= 1 << (bit % 64)
}

// Hide puts fingerprints in the place of the set's secrets.
func (s *Set) Hide(text string) string {
	if s == nil || len(text) < keyLength {
		return text
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.known) == 0 {
		return text
	}
	return replace(text, func(end uint64, candidate string) string {
		bit := hash(end) >> s.shift
		if s.ends[bit/64]&(1<<(bit%64)) == 0 {
			return ""
		}
		key, _ := fold(candidate)
		return s.known[key].fingerprint
	})
}

// Key puts the fingerprint in the place of one secret.
func Key(text string, secret Secret) string {
	key, ok := fold(secret.Reveal())
	if !ok || len(text) < keyLength {
		return text
	}
	own := endOf(string(key[:]))
	return replace(text, func(end uint64, candidate string) string {
		if end == own && strings.EqualFold(candidate, string(key[:])) {
			return secret.Fingerprint()
		}
		return ""
	})
}

// replace asks for each place where keyLength letters and digits stand in a row what is to stand there instead, "" for
// what stands there now. It gets the last eight of these characters, in lower case, and all of them as they are. Every
// byte is looked at twice at most, and in text with blanks only one of 32.
func replace(text string, by func(end uint64, candidate string) string) string {
	var out strings.Builder
	done := 0 // what is before this place has been written
	for from := 0; from+keyLength <= len(text); {
		// A key can only begin behind the last character that no key has.
		odd := from + keyLength - 1
		for odd >= from && lower[text[odd]] != 0 {
			odd--
		}
		if odd >= from {
			from = odd + 1
			continue
		}
		to := from + keyLength
		for end := endOf(text[from:to]); ; {
			if instead := by(end, text[to-keyLength:to]); instead != "" {
				out.WriteString(text[done : to-keyLength])
				out.WriteString(instead)
				done = to
				break
			}
			if to == len(text) || lower[text[to]] == 0 {
				break
			}
			end = end<<8 | uint64(lower[text[to]])
			to++
		}
		from = to
	}
	if done == 0 {
		return text
	}
	out.WriteString(text[done:])
	return out.String()
}

// endOf packs the last eight characters into a number, in lower case.
func endOf(key string) (end uint64) {
	for i := len(key) - 8; i < len(key); i++ {
		end = end<<8 | uint64(lower[key[i]])
	}
	return end
}

// hash spreads over the upper bits (Fibonacci hashing: the multiplier is 2^64 divided by the golden ratio).
func hash(end uint64) uint64 { return end * 0x9E3779B97F4A7C15 }

// fold reports whether text has the form of an integration key.
func fold(text string) (key folded, ok bool) {
	if len(text) != keyLength {
		return key, false
	}
	for i := range keyLength {
		if key[i] = lower[text[i]]; key[i] == 0 {
			return key, false
		}
	}
	return key, true
}

// lower gives letters and digits in lower case, and 0 for all other bytes.
var lower = func() (table [256]byte) {
	for c := range table {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z':
			table[c] = byte(c)
		case c >= 'A' && c <= 'Z':
			table[c] = byte(c) + 'a' - 'A'
		}
	}
	return table
}()

// minPiece is how many characters of a secret in a row are taken for a piece of it. By chance eight hexadecimal digits
// agree once in four billion.
const minPiece = 8

// Pieces puts the fingerprint in the place of the secret and of every piece of it that has eight characters or more,
// in any case of letters: a text that was cut or wrapped shows a key in pieces. It takes some 50 steps a byte, and is
// for texts of bounded length.
func Pieces(text string, secret Secret) string {
	whole := secret.Reveal()
	var out strings.Builder
	done := 0
	for at := 0; at+minPiece <= len(text); {
		n := pieceAt(text[at:], whole)
		if n == 0 {
			at++
			continue
		}
		out.WriteString(text[done:at])
		out.WriteString(secret.Fingerprint())
		at += n
		done = at
	}
	if done == 0 {
		return text
	}
	out.WriteString(text[done:])
	return out.String()
}

// pieceAt returns the length of the longest piece of the secret with which text begins, 0 if that is too short.
func pieceAt(text, whole string) int {
	longest := 0
	for j := 0; j+minPiece <= len(whole); j++ {
		n := 0
		for n < len(text) && j+n < len(whole) && lower[text[n]] != 0 && lower[text[n]] == lower[whole[j+n]] {
			n++
		}
		longest = max(longest, n)
	}
	if longest < minPiece {
		return 0
	}
	return longest
}
