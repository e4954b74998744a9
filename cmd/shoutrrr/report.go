package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/containrrr/shoutrrr/internal/redact"
)

// reporter tells results: what became of the event on standard output, why and
// what else there is to know on standard error. As JSON all goes to standard
// output.
type reporter struct {
	sys     *system
	json    bool
	colours bool
	err     error // the first failure to write
	// keys are those of all URLs: a server may name the key of another one.
	keys *redact.Set
}

func newReporter(sys *system, asJSON bool) *reporter {
	return &reporter{sys: sys, json: asJSON, colours: sys.colourful(sys.stdout)}
}

// early tells an error that comes before any URL is known.
func (p *reporter) early(err error) error {
	if !p.json {
		return err
	}
	r := failed(nil, err)
	p.print(0, 1, r)
	return p.end(r.ExitCode)
}

// end returns the error that gives the exit status. Output that is lost does not
// undo what was accepted, so it is told and does not count.
func (p *reporter) end(status int) error {
	if p.err != nil {
		notifyHidden(p.sys.stderr, "warning: ", "the result cannot be written: "+p.err.Error())
	}
	return told(status)
}

func (p *reporter) print(index, of int, r result) {
	if p.json {
		p.write(p.hide(r, lineJSON(r)))
		return
	}
	about := ""
	if of > 1 {
		about = fmt.Sprintf("URL %d%s: ", index+1, r.place())
	}
	if line := p.line(index, of, r); line != "" {
		p.write(p.hide(r, line) + "\n")
	}
	for _, warning := range r.Warnings {
		notifyHidden(p.sys.stderr, "warning: "+about, p.hide(r, warning))
	}
	if r.Error != "" {
		notifyHidden(p.sys.stderr, about, p.hide(r, r.Error))
	}
}

// hide takes the keys out of a text about a result. Those of a URL that could not
// be read are not known, so that what has their shape is hidden.
func (p *reporter) hide(r result, text string) string {
	if r.config == nil {
		text = redact.Shapes(text)
	}
	return p.keys.Hide(text)
}

func (p *reporter) write(text string) {
	if _, err := fmt.Fprint(p.sys.stdout, text); err != nil && p.err == nil {
		p.err = err
	}
}

// line is the result of one URL; empty if there is nothing to say but the error.
func (p *reporter) line(index, of int, r result) string {
	if r.DedupKey == "" {
		if of == 1 {
			return ""
		}
		return fmt.Sprintf("%s  URL %d%s, nothing was sent", p.word(r.Status), index+1, r.place())
	}
	line := fmt.Sprintf("%s  %s  dedup_key=%s %s", p.word(r.Status), r.Action, redact.Line(r.DedupKey), r.place())
	if r.Request != nil {
		line += fmt.Sprintf("\n%s %s\n%s", r.Request.Method, r.Request.URL, indented(r.Request.Body))
	}
	return line
}

// word is the status in its column and its colour.
func (p *reporter) word(status string) string {
	word := fmt.Sprintf("%-8s", status)
	if !p.colours {
		return word
	}
	colour := map[string]string{statusAccepted: "32", statusFailed: "31", statusDryRun: "36"}[status]
	return "\x1b[" + colour + "m" + word + "\x1b[0m"
}

// place tells where the event went.
func (r *result) place() string {
	if r.config == nil {
		return ""
	}
	parts := []string{r.config.Address(), r.Key}
	if r.Key == "" {
		parts[1] = r.config.Fingerprints()
	}
	if r.Attempts > 1 {
		parts = append(parts, fmt.Sprintf("%d attempts", r.Attempts))
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

func indented(body json.RawMessage) string {
	var b bytes.Buffer
	if err := json.Indent(&b, body, "", "  "); err != nil {
		return redact.Text(string(body))
	}
	return redact.JSON(b.String())
}

// lineJSON is one line. The characters of HTML stay as they are: nobody puts this
// into a page.
func lineJSON(value any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(value) // texts, numbers and bodies that were encoded before: it cannot fail
	return redact.JSON(b.String())
}
