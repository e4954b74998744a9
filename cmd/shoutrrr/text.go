package main

import (
	"unicode/utf8"

	"github.com/containrrr/shoutrrr/internal/charset"
)

// text is what an argument or an input says: in UTF-8, whatever the encoding of the locale is,
// and of files that PowerShell has written.
func (s *system) text(given string) string {
	if utf8.ValidString(given) {
		return given
	}
	decoded, _ := charset.Decode([]byte(given), charset.OfLocale(s.locale()))
	return string(decoded)
}

// locale is the one that the encoding of texts comes from, as setlocale(3) chooses it.
func (s *system) locale() string {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := s.getenv(name); value != "" {
			return value
		}
	}
	return ""
}
