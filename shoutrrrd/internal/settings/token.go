package settings

import (
	"fmt"
	"math"
	"strings"
	"time"
)

const (
	// weakToken is the number of bits below which a token is warned of. Sixteen random
	// hexadecimal digits, the least that is taken, count about 43, and less than 28 in
	// one of 200 cases; "passwordpassword" counts 22.
	weakToken = 28

	// expiryNotice is how long before its end a token is warned of: two weeks, so that
	// an operator who is away for one sees it.
	expiryNotice = 14 * 24 * time.Hour
)

// guessBits estimates how many bits an attacker has to guess who knows how people make
// tokens up. A character that repeats the one before it, or is its neighbor, counts
// nothing, nor does a text that is repeated. It is meant to find the worst tokens and
// knows no words.
func guessBits(token string) float64 {
	seen := map[byte]bool{}
	unexpected := 0
	for i := range period(token) {
		seen[token[i]] = true
		if i == 0 || abs(int(token[i])-int(token[i-1])) > 1 {
			unexpected++
		}
	}
	return float64(unexpected) * math.Log2(float64(max(1, len(seen))))
}

// period is the length of the shortest text whose repetition is the token.
func period(token string) int {
	for n := 1; n < len(token); n++ {
		if strings.HasPrefix(token, token[n:]) {
			return n
		}
	}
	return len(token)
}

func abs(n int) int { return max(n, -n) }

// expiry reads when a token expires: at a time, or at the end of a day in UTC.
func expiry(text string) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at.UTC(), nil
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is neither a date such as 2027-01-31 nor a time such as 2027-01-31T12:00:00Z", shown(text))
	}
	return day.AddDate(0, 0, 1), nil
}

// warnOfToken warns of a token that can be guessed, has expired or is about to.
func (e entry) warnOfToken(t Token, path string) {
	if bits := guessBits(t.Secret.Reveal()); bits < weakToken {
		e.s.warn("the token in %s is easy to guess: make one with: openssl rand -hex 32", shown(path))
	}
	if t.Expires.IsZero() {
		return
	}
	switch left := t.Expires.Sub(e.s.now()); {
	case left <= 0:
		e.s.warn("the token of %s expired at %s and is refused: give another one, or take the entry out", shown(t.Name), t.Expires.Format(time.RFC3339))
	case left <= expiryNotice:
		e.s.warn("the token of %s expires at %s: give another one before that", shown(t.Name), t.Expires.Format(time.RFC3339))
	}
}
