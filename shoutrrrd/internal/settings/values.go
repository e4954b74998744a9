package settings

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/containrrr/shoutrrr/internal/redact"
)

// Value is a setting with its origin, for people.
type Value struct{ Name, Value, Origin string }

// Values lists every setting. There is no secret in it.
func (s *Settings) Values() []Value {
	var list []Value
	add := func(name, value string) {
		list = append(list, Value{name, value, s.origins[name].text})
	}
	for _, f := range Fields() {
		add(f.Name, redact.Shapes(f.get(s)))
	}
	for i, k := range s.Keys {
		add(fmt.Sprintf("keys[%d]", i), k.describe())
	}
	for i, p := range s.Pools {
		add(fmt.Sprintf("pools[%d]", i), p.Name+": "+strings.Join(p.Keys, ", "))
	}
	for i, t := range s.Tokens {
		add(fmt.Sprintf("tokens[%d]", i), t.Name+", "+t.describe())
	}
	if len(s.Notify.Ways) > 0 {
		add("notify.after", shortDuration(s.Notify.After))
	}
	for i, w := range s.Notify.Ways {
		add(fmt.Sprintf("notify.ways[%d]", i), redact.Shapes(w.describe()))
	}
	return list
}

func (k Key) describe() string {
	text := k.Alias + " (" + k.Key.Fingerprint() + ")"
	switch {
	case k.Rate > 0:
		text += fmt.Sprintf(", rate %d", k.Rate)
	case k.Rate == autoRate:
		text += ", rate auto"
	}
	if k.Max > 0 {
		text += fmt.Sprintf(", max %d", k.Max)
	}
	if k.WhileWaiting != "" {
		text += ", settle_while_waiting " + k.WhileWaiting
	}
	if k.Upstream != "" {
		text += ", " + k.Upstream
	}
	if k.Retiring {
		text += ", retiring"
	}
	for _, old := range k.Formerly {
		text += ", formerly " + old.Fingerprint()
	}
	return text
}

func (t Token) describe() string {
	if t.Expires.IsZero() {
		return t.role()
	}
	return t.role() + ", expires " + t.Expires.Format(time.RFC3339)
}

func (t Token) role() string {
	if t.Operator {
		return "operator"
	}
	return "viewer"
}

// Diff tells what differs between two configurations, a line each, and which of it
// needs a new start.
func Diff(before, after *Settings) (changes, needStart []string) {
	for _, f := range Fields() {
		if was, is := f.get(before), f.get(after); was != is {
			line := fmt.Sprintf("%s: %s -> %s", f.Name, orNone(was), orNone(is))
			changes = append(changes, line)
			if f.AtStart {
				needStart = append(needStart, line)
			}
		}
	}
	changes = append(changes, difference("key", before.Keys, after.Keys, func(k Key) (string, string) { return k.Alias, k.describe() })...)
	changes = append(changes, difference("pool", before.Pools, after.Pools, func(p Pool) (string, string) { return p.Name, strings.Join(p.Keys, ", ") })...)
	changes = append(changes, difference("token of", before.Tokens, after.Tokens, func(t Token) (string, string) { return t.Name, t.describe() })...)
	for _, t := range after.Tokens {
		if slices.ContainsFunc(before.Tokens, func(old Token) bool { return old.Name == t.Name && old.Secret.Reveal() != t.Secret.Reveal() }) {
			changes = append(changes, fmt.Sprintf("token of %s: replaced by another", t.Name))
		}
	}
	if before.Notify.After != after.Notify.After {
		changes = append(changes, fmt.Sprintf("notify.after: %s -> %s", shortDuration(before.Notify.After), shortDuration(after.Notify.After)))
	}
	changes = append(changes, difference("way of notify", before.Notify.Ways, after.Notify.Ways, func(w Way) (string, string) { return w.Name, redact.Shapes(w.describe()) })...)
	return changes, needStart
}

// difference compares two lists by the names in them: an entry that has moved has
// not changed.
func difference[T any](what string, before, after []T, describe func(T) (name, text string)) (changes []string) {
	was := map[string]string{}
	for _, one := range before {
		name, text := describe(one)
		was[name] = text
	}
	for _, one := range after {
		name, text := describe(one)
		old, known := was[name]
		delete(was, name)
		if !known {
			changes = append(changes, fmt.Sprintf("%s %s: none -> %s", what, name, text))
		} else if old != text {
			changes = append(changes, fmt.Sprintf("%s %s: %s -> %s", what, name, old, text))
		}
	}
	for _, one := range before {
		if name, text := describe(one); was[name] != "" {
			changes = append(changes, fmt.Sprintf("%s %s: %s -> none", what, name, text))
		}
	}
	return changes
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return redact.Shapes(text)
}
