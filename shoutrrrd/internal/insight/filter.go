package insight

import (
	"fmt"
	"slices"
	"strings"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Words are what a filter such as `lane:db state:refused sev>=error "disk full"`
// asks for.
type Words struct {
	Lane     string        // its name or fingerprint; "" for all
	States   []queue.State // any of these; none for all
	InFlight bool          // only those that are being sent
	DedupKey string        // "" for all
	AtLeast  *queue.Rank   // this severity or a graver one; nil for all
	Exactly  *queue.Rank   // this severity; nil for all
	Text     string        // anywhere in the event; "" for all
}

// ParseWords reads a filter. What is no word with a meaning is text to be looked
// for, in quotation marks if it has a colon or several words that belong together.
func ParseWords(filter string) (Words, error) {
	var words Words
	var texts []string
	rest := strings.TrimSpace(filter)
	for rest != "" {
		var w word
		var err error
		if w, rest, err = nextWord(rest); err != nil {
			return Words{}, err
		}
		if w.name == "" {
			if w.value != "" {
				texts = append(texts, w.value)
			}
			continue
		}
		if err := words.add(w.name, w.operator, w.value); err != nil {
			return Words{}, fmt.Errorf("%q: %w", cut(w.name+w.operator+w.value), err)
		}
	}
	words.Text = strings.Join(texts, " ")
	return words, nil
}

// word is one of a filter; text has no name.
type word struct{ name, operator, value string }

// nextWord takes the first word off a filter that begins with one.
func nextWord(filter string) (word, string, error) {
	if filter[0] == '"' {
		value, rest, err := quoted(filter)
		return word{value: value}, rest, err
	}
	end := strings.IndexAny(filter, " \t\r\n\"")
	if end < 0 {
		end = len(filter)
	}
	head, rest := filter[:end], filter[end:]
	at := strings.IndexAny(head, ":=<>")
	if at <= 0 {
		return word{value: head}, strings.TrimSpace(rest), nil
	}
	w := word{name: strings.ToLower(head[:at]), operator: head[at : at+1]}
	if strings.HasPrefix(head[at:], ">=") {
		w.operator = ">="
	}
	w.value = head[at+len(w.operator):]
	if w.value != "" || !strings.HasPrefix(rest, `"`) {
		return w, strings.TrimSpace(rest), nil
	}
	value, rest, err := quoted(rest)
	w.value = value
	return w, rest, err
}

// quoted takes a text in quotation marks off a filter. A backslash stands before a
// quotation mark or backslash that is meant as such.
func quoted(filter string) (value, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(filter); i++ {
		switch c := filter[i]; {
		case c == '"':
			return b.String(), strings.TrimSpace(filter[i+1:]), nil
		case c == '\\' && i+1 < len(filter) && (filter[i+1] == '"' || filter[i+1] == '\\'):
			i++
			b.WriteByte(filter[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", fmt.Errorf("%q: the quotation mark is not closed", cut(filter))
}

// add takes one word.
func (w *Words) add(name, operator, value string) error {
	switch name {
	case "lane", "state", "dedup", "dedup_key":
		if operator != ":" && operator != "=" {
			return fmt.Errorf("%s takes a colon: %s:VALUE", name, name)
		}
	case "sev", "severity":
	default:
		return fmt.Errorf(`%s is no word of the filter; there are lane:, state:, sev: or sev>=, and dedup:; text with a colon stands in quotation marks`, cut(name))
	}
	if value == "" {
		return fmt.Errorf("the value is missing")
	}
	switch name {
	case "lane":
		return once(&w.Lane, value)
	case "dedup", "dedup_key":
		return once(&w.DedupKey, value)
	case "state":
		return w.addStates(value)
	}
	return w.addSeverity(operator, value)
}

func once(into *string, value string) error {
	if *into != "" && *into != value {
		return fmt.Errorf("it stands twice with two values; one is possible")
	}
	*into = value
	return nil
}

// addStates takes names of states, separated by commas.
func (w *Words) addStates(list string) error {
	for name := range strings.SplitSeq(strings.ToLower(list), ",") {
		switch name = strings.TrimSpace(name); name {
		case "queued":
			w.States = append(w.States, queue.Ready, queue.Blocked, queue.Waiting)
		case "dead":
			w.States = append(w.States, queue.Refused, queue.Expired)
		case "in_flight":
			w.InFlight = true
		default:
			state, ok := queue.ParseState(name)
			if !ok {
				return fmt.Errorf("there is no state %q; there are ready, blocked, in_flight, waiting, delivered, refused, expired, dropped, queued and dead", cut(name))
			}
			w.States = append(w.States, state)
		}
	}
	slices.Sort(w.States)
	w.States = slices.Compact(w.States)
	if w.InFlight && len(w.States) > 0 {
		return fmt.Errorf("in_flight stands alone, as what is in flight is ready too")
	}
	return nil
}

// addSeverity takes "error" or ">=error".
func (w *Words) addSeverity(operator, value string) error {
	if after, ok := strings.CutPrefix(value, ">="); ok && operator != ">=" {
		operator, value = ">=", after
	}
	severity := eventsv2.Severity(strings.ToLower(value))
	if !slices.Contains(eventsv2.Severities(), severity) {
		return fmt.Errorf("there is no severity %q; there are critical, error, warning and info", cut(value))
	}
	rank := queue.RankOf(severity)
	into := &w.Exactly
	switch operator {
	case ">=":
		into = &w.AtLeast
	case ":", "=":
	default:
		return fmt.Errorf("a severity takes sev:error or sev>=error")
	}
	if *into != nil && **into != rank {
		return fmt.Errorf("it stands twice with two values; one is possible")
	}
	*into = &rank
	return nil
}

// cut shortens what is quoted in an error.
func cut(text string) string {
	runes := []rune(strings.ToValidUTF8(text, "?"))
	if len(runes) <= 60 {
		return string(runes)
	}
	return string(runes[:59]) + "…"
}
