package console

import (
	"fmt"
	"html/template"
	"math"
	"net/url"
	"strings"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/insight"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/outlook"

	"github.com/dustin/go-humanize"
)

// functions are what the templates can call.
func (c *Console) functions() template.FuncMap {
	return template.FuncMap{
		"span": span, "leaves": leaves, "mood": mood, "count": count, "events": eventsURL, "lanes": lanesURL, "one": one, "time": c.moment, "age": c.age, "until": c.until,
		"spark": spark, "limits": limits, "deref": func(f *float64) float64 { return *f }, "lower": strings.ToLower, "quote": quoted,
		"add":    func(a, b int64) int64 { return a + b },
		"bytes":  func(n int64) string { return humanize.Bytes(uint64(max(0, n))) },
		"stream": streamURL, "filter": groupFilter, "requeue": c.requeueGroup, "drop": c.dropGroup,
	}
}

// span is a duration in words: 0.2 s, 12 s, 4 min, 3 h 20 min, 2 d 4 h.
func span(seconds float64) string {
	whole := func(n float64, unit string, rest float64, small string) string {
		if rest >= 1 {
			return fmt.Sprintf("%.0f %s %.0f %s", n, unit, rest, small)
		}
		return fmt.Sprintf("%.0f %s", n, unit)
	}
	switch s := max(0, seconds); {
	case s < 0.05:
		return "0 s"
	case s < 10:
		return fmt.Sprintf("%.1f s", s)
	case s < 120:
		return fmt.Sprintf("%.0f s", math.Floor(s))
	case s < 7200:
		return fmt.Sprintf("%.0f min", math.Floor(s/60))
	case s < 48*3600:
		return whole(math.Floor(s/3600), "h", math.Floor(math.Mod(s, 3600)/60), "min")
	default:
		return whole(math.Floor(s/86400), "d", math.Floor(math.Mod(s, 86400)/3600), "h")
	}
}

// leaves says when a critical event would arrive.
func leaves(in float64) string {
	if in < outlook.AtOnce.Seconds() {
		return "at once"
	}
	return "within " + outlook.Bound(time.Duration(in*float64(time.Second)))
}

// mood is the class of a headline.
func mood(h insight.Headline) string {
	return map[outlook.State]string{outlook.NotLeaving: "bad", outlook.Late: "odd"}[h.State]
}

// count groups the digits of a number: 12,345.
func count(n int) string {
	digits := fmt.Sprint(n)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// one puts a number before the right form of a word: 1 event, 2 events.
func one(n int, singular, plural string) string {
	if n == 1 {
		return "1 " + singular
	}
	return count(n) + " " + plural
}

// date is the present one.
func (c *Console) date() time.Time { return c.o.Date(c.o.Now()) }

// moment is a point in time, with its date if that is not today's. The script puts it into
// the zone of whoever looks; without it the page says UTC. The exact one shows on hover.
func (c *Console) moment(s insight.Stamp) template.HTML {
	if s.IsZero() {
		return ""
	}
	at, shown := s.UTC(), "15:04:05 UTC"
	if at.Format(time.DateOnly) != c.date().UTC().Format(time.DateOnly) {
		shown = "2006-01-02 " + shown
	}
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s" data-at>%s</time>`,
		at.Format("2006-01-02T15:04:05.000Z"), at.Format("2006-01-02 15:04:05.000 UTC"), at.Format(shown)))
}

// age is how long ago something was; the script counts it up.
func (c *Console) age(s insight.Stamp) template.HTML {
	if s.IsZero() {
		return ""
	}
	at := s.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s" data-age>%s</time>`,
		at.Format("2006-01-02T15:04:05.000Z"), at.Format("2006-01-02 15:04:05.000 UTC"), span(c.date().Sub(at).Seconds())))
}

// until is how long something is away; the script counts it down.
func (c *Console) until(s insight.Stamp) template.HTML {
	if s.IsZero() {
		return ""
	}
	at := s.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s" data-until>%s</time>`,
		at.Format("2006-01-02T15:04:05.000Z"), at.Format("2006-01-02 15:04:05.000 UTC"), span(at.Sub(c.date()).Seconds())))
}

// eventsURL is the list that a filter makes.
func eventsURL(filter string) string { return "/events?" + url.Values{"q": {filter}}.Encode() }

// lanesURL is the list of lanes that a filter makes.
func lanesURL(filter string) string {
	if filter == "" {
		return "/lanes"
	}
	return "/lanes?" + url.Values{"q": {filter}}.Encode()
}

// streamURL is the live stream of a page.
func streamURL(page string) string { return "/live?" + url.Values{"page": {page}}.Encode() }

// quoted puts a text into a filter.
func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

// shell quotes an argument for a POSIX shell.
func shell(text string) string {
	plain := text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=,") == ""
	if plain {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
