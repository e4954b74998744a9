package settings

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

var (
	// A run of 16 letters and digits may be half a key, whatever it stands in, unless
	// it is a word; one of 32 may be a key.
	wholeKey = regexp.MustCompile(`[0-9A-Za-z]{32,}`)
	longWord = regexp.MustCompile(`[0-9A-Za-z+_-]*[0-9A-Za-z]{16}[0-9A-Za-z+_-]*`)
	userInfo = regexp.MustCompile(`//[^/@\s]*@`)
	nameOf   = regexp.MustCompile(`([A-Za-z_][0-9A-Za-z_-]*)["']?\s*:(?:\s|$)`)
	// Half a key stands where names of people's choice do, if somebody has torn it.
	shortWord = regexp.MustCompile(`[0-9A-Za-z]*[0-9][0-9A-Za-z]*`)
	fileRef   = regexp.MustCompile(`^["']?\s*:\s+["']?file:`)
)

// secretNames are what people call a secret. A value below such a name, or one that
// is nearer to it than to a setting, is not shown.
var secretNames = []string{"key", "formerly", "token", "tokens", "routing_key", "integration_key", "secret", "password", "webhook", "headers"}

// fileNames are secrets that may stand in a file of their own.
var fileNames = []string{"key", "formerly", "password", "webhook", "headers"}

// hidden puts a star for each character, so that columns stay where they were.
func hidden(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return r
		}
		return '*'
	}, text)
}

// withoutSecrets hides whatever may be a secret by its look.
func withoutSecrets(text string) string {
	text = longWord.ReplaceAllStringFunc(text, func(word string) string {
		if strings.ContainsAny(word, "0123456789") || wholeKey.MatchString(word) {
			return hidden(word)
		}
		return word
	})
	return userInfo.ReplaceAllStringFunc(text, func(found string) string {
		return "//" + hidden(found[2:len(found)-1]) + "@"
	})
}

// quotable is a line of the file as an error may quote it. A text is a secret by
// its look or by the name that it stands below; what stands below no name may go on
// from the line before it and is hidden as well, except for its punctuation.
func quotable(line string) string {
	names := nameOf.FindAllStringSubmatchIndex(line, -1)
	if len(names) == 0 {
		return hiddenWords(line)
	}
	var b strings.Builder
	b.WriteString(hiddenWords(line[:names[0][0]]))
	for i, at := range names {
		end := len(line)
		if i+1 < len(names) {
			end = names[i+1][0]
		}
		name, rest := line[at[2]:at[3]], line[at[3]:end]
		if harmless(name) || slices.Contains(fileNames, name) && fileRef.MatchString(rest) {
			if slices.Contains([]string{"keys", "alias", "name", "pools"}, name) {
				rest = shortWord.ReplaceAllStringFunc(rest, func(word string) string {
					if len(word) < 8 {
						return word
					}
					return hidden(word)
				})
			}
			b.WriteString(withoutSecrets(name + rest))
			continue
		}
		colon := strings.Index(rest, ":") + 1
		// All that follows: what looks like the next name may be of this value.
		return b.String() + withoutSecrets(name) + rest[:colon] + hidden(line[at[3]+colon:])
	}
	return b.String()
}

func hiddenWords(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return '*'
		}
		return r
	}, text)
}

// harmless reports whether the name is that of a setting without secrets, or a
// misspelt one.
func harmless(name string) bool {
	known := slices.DeleteFunc(slices.Concat(topNames(), keyNames, poolNames, tokenNames, notifyNames, wayNames), func(known string) bool {
		return slices.Contains(secretNames, known)
	})
	best, least := nearest(name, known)
	_, secret := nearest(name, secretNames)
	return best != "" && least < secret
}

// shown is a value as an error quotes it. What acts on a terminal is left to the
// place that prints the error.
func shown(value string) string {
	const enough = 1000 // of which 60 characters are shown
	runes := []rune(withoutSecrets(value[:min(len(value), enough)]))
	if len(runes) > 60 {
		return string(runes[:60]) + "…"
	}
	return string(runes)
}

// tooFar is more wrong letters than a slip has.
const tooFar = 3

// Suggestion is what a misspelt word may have meant.
func Suggestion(word string, known []string) string {
	best, _ := nearest(word, known)
	if best == "" {
		return ""
	}
	return ", did you mean " + best + "?"
}

// nearest returns the most similar word and by how many letters it differs, "" and
// tooFar if none is near.
func nearest(word string, known []string) (best string, least int) {
	least = tooFar
	if len(word) > 40 { // nobody means a name of ours by that, and distance is quadratic
		return "", least
	}
	for _, candidate := range known {
		if d := distance(strings.ToLower(word), candidate); d < least {
			best, least = candidate, d
		}
	}
	return best, least
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, before+1, row[j]+1)
		}
	}
	return row[len(b)]
}
