package eventsv2

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/containrrr/shoutrrr/internal/plain"
)

// repairsName is the detail that tells what was repaired.
const repairsName = "relay_repairs"

const (
	// maxLines bounds what is told of one event. A responder reads no more, and a
	// body of 512 KB has room for a hundred thousand broken links.
	maxLines = 20
	// maxLine is the longest line, in characters.
	maxLine = 200
	// maxShown is how much of a value a line quotes: a time with its zone, a
	// severity with what a template has left of it.
	maxShown = 40
	// longestWord is the longest name that is quoted: a longer one may be a key
	// that was pasted into the wrong place. A REST API key has 20 characters.
	longestWord = 19
)

// note adds a line. It is one line whatever names and texts it quotes: stores and
// pages show each line as a statement of the relay.
func (r *repairer) note(format string, args ...any) {
	if len(r.lines) >= maxLines {
		r.untold++
		return
	}
	line := oneLine(fmt.Sprintf(format, args...))
	r.lines = append(r.lines, cutRunes(line, 4*maxLine)) // before the search for pieces of the key, which is slow
}

// mendedTexts tell what was mended in the JSON, in the order of the flags.
var mendedTexts = []string{
	"bytes that were not UTF-8 were read as windows-1252",
	"line ends or control characters stood bare in a text",
	"halves of a character were replaced",
	"a backslash that begins no escape stands for itself",
	"there was a comma too many",
	"what JSON does not know as a number became a text",
	"what was nested too deep became a text",
	"names that stood twice were numbered",
	"control characters were dropped",
}

// told returns the lines.
func (r *repairer) told() []string {
	if r.o.Encoding != "" {
		r.note("the body was not UTF-8: it was read as %s", r.o.Encoding)
		r.o.Encoding = ""
	}
	for i, text := range mendedTexts {
		if flag := mending(1 << i); r.mended&flag != 0 {
			r.mended &^= flag
			r.note("%s", text)
		}
	}
	for i, line := range r.lines {
		r.lines[i] = cutRunes(scrub(line, r.e.RoutingKey), maxLine)
	}
	if r.untold > 0 { // so far: making the event fit can add to them
		return append(r.lines[:len(r.lines):len(r.lines)], fmt.Sprintf("and %d more", r.untold))
	}
	return r.lines
}

// quote quotes a name, or tells its length.
func quote(name string) string {
	if n := utf8.RuneCountInString(name); n > longestWord {
		return fmt.Sprintf("a name of %d characters", n)
	}
	return strconv.Quote(name)
}

// shown is what a line quotes of a value, without any piece of the key: a cut
// leaves pieces.
func (r *repairer) shown(value string) string {
	return cutRunes(scrub(cutRunes(value, 4*maxShown), r.e.RoutingKey), maxShown)
}

// keep keeps a value that has lost its place among the details.
func (r *repairer) keep(name string, value json.RawMessage) {
	if isEmpty(value) {
		return
	}
	m := Member{name, value}
	if r.keptRoom -= m.smallest(); r.keptRoom < 0 {
		r.left.add(m)
		return
	}
	r.kept = append(r.kept, m)
}

func (r *repairer) keepText(name, text string) {
	if text = plain.Text(text); !isBlank(text) {
		r.keep(name, Text(name, text).Value)
	}
}

// isEmpty reports whether a value says nothing.
func isEmpty(value json.RawMessage) bool {
	switch string(value) {
	case "null", `""`, "{}", "[]":
		return true
	}
	return false
}

// unknown keeps a member that PagerDuty would drop without a word, unless it looks
// like a secret: what was dropped unseen so far must not be shown from now on.
func (r *repairer) unknown(name string) {
	value := r.value()
	switch {
	case isEmpty(value), name == "agent": // the mark of PagerDuty's own agents
	case isSecretName(name):
		r.note("%s is no member of an event and looks like a secret: it was left out", quote(name))
	default:
		r.note("%s is no member of an event: it stands in custom_details", quote(name))
		r.keep(name, value)
	}
}

func isSecretName(name string) bool {
	lower := strings.ToLower(name)
	for _, word := range []string{"key", "token", "secret", "passw", "auth", "credential"} {
		if strings.Contains(lower, word) {
			return true
		}
	}
	return false
}

// memberNames are the names of an object's members, each found by itself and by
// what [squeeze] leaves of it.
type memberNames struct{ exact, squeezed map[string]string }

func newMemberNames(all ...string) memberNames {
	m := memberNames{exact: make(map[string]string), squeezed: make(map[string]string)}
	for _, name := range all {
		m.exact[name], m.squeezed[squeeze(name)] = name, name
	}
	return m
}

func (m memberNames) has(name []byte) bool { return m.exact[string(name)] != "" }

// nearest returns the name that differs only in the case of its letters, in
// underscores and in hyphens, "" for none.
func (m memberNames) nearest(name []byte) string {
	if len(name) > 2*longestWord {
		return ""
	}
	return m.squeezed[squeeze(string(name))]
}

func squeeze(name string) string {
	return strings.Map(func(c rune) rune {
		switch c {
		case '_', '-', ' ':
			return -1
		}
		return c
	}, strings.ToLower(name))
}

// scrub replaces the key wherever else it stands in the event: the queue, the
// pages and the responders would show it.
func (r *repairer) scrub() {
	key := r.e.RoutingKey
	if r.mended&(spelledOut|mendedDropped) == 0 && occurrences(key, r.src) < 2 {
		return
	}
	e := &r.e
	hidden := false
	clean := func(text *string) {
		if occurrences(key, *text) > 0 {
			*text, hidden = key.Scrub(*text), true
		}
	}
	p := &e.Payload
	for _, text := range []*string{
		&e.Client, &e.ClientURL, &p.Summary, &p.Source, &p.Component, &p.Group, &p.Class, &p.DetailsText, &r.given.severity,
	} {
		clean(text)
	}
	for i := range e.Links {
		clean(&e.Links[i].Href)
		clean(&e.Links[i].Text)
	}
	for i := range e.Images {
		clean(&e.Images[i].Src)
		clean(&e.Images[i].Href)
		clean(&e.Images[i].Alt)
	}
	all := p.CustomDetails
	p.CustomDetails, r.taken, r.detailsRoom = make(Details, 0, len(all)), names{}, keepRoom
	for _, m := range all {
		clean(&m.Name)
		hidden = scrubValue(&m.Value, key) || hidden
		r.addDetail(m)
	}
	for i := range r.kept {
		clean(&r.kept[i].Name)
		hidden = scrubValue(&r.kept[i].Value, key) || hidden
	}
	if hidden {
		r.note("the integration key stood in other places as well: its fingerprint stands there")
	}
}

// scrubValue replaces the key in JSON and reports whether it was there. Names can
// have become equal and numbers texts by that, so it is read anew.
func scrubValue(value *json.RawMessage, key Key) bool {
	if occurrences(key, *value) == 0 {
		return false
	}
	scrubbed := key.Scrub(string(*value))
	again := newReader(context.Background(), []byte(scrubbed))
	if *value = again.value(); !again.ended() {
		*value = appendString(nil, scrubbed)
	}
	return true
}
