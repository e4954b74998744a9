package pagerduty

import "strings"

// suggest returns the word of the list that was probably meant, as a question to
// put behind an error, or "".
func suggest(given string, known []string) string {
	given = strings.ToLower(given)
	best, nearest := "", 3
	for _, word := range known {
		if len(given) >= 3 && strings.HasPrefix(word, given) {
			return ", did you mean " + word + "?"
		}
		if d := distance(given, word); d < nearest && d < len(word)/2+1 {
			best, nearest = word, d
		}
	}
	if best == "" {
		return ""
	}
	return ", did you mean " + best + "?"
}

// distance is the number of letters to insert, delete or replace to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
