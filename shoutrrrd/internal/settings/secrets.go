package settings

import (
	"strings"
	"unicode"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

// Secrets are the integration keys, and whatever else in the settings has the form
// of one: a key may stand in the wrong place, such as the name of a file, and names
// of files are logged.
func (s *Settings) Secrets() []eventsv2.Key {
	var found []eventsv2.Key
	for _, k := range s.Keys {
		found = append(append(found, k.Key), k.Formerly...)
	}
	for _, w := range s.Notify.Ways {
		if !w.Key.IsZero() {
			found = append(found, w.Key)
		}
	}
	look := func(text string) {
		for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
			if key, err := eventsv2.ParseKey(word); err == nil {
				found = append(found, key)
			}
		}
	}
	for _, f := range Fields() {
		look(f.get(s))
	}
	for _, from := range s.origins {
		look(from.text)
	}
	return found
}
