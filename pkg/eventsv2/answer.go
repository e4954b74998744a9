package eventsv2

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"slices"
	"strings"
)

// reasonOf extracts why a server refused, from any of the shapes that PagerDuty,
// relays and the proxies before them are known to use. "" if it says nothing.
func reasonOf(header http.Header, answer []byte, key Key) string {
	if isEncoded(header) {
		return "" // compressed without being asked for
	}
	answer = bytes.ToValidUTF8(trimAnswer(answer), []byte("\ufffd"))
	if len(answer) == 0 {
		return ""
	}
	text := ""
	switch answer[0] {
	case '{', '[', '"':
		text = jsonReason(answer)
	case '<':
		text = htmlReason(string(answer))
	}
	if text == "" {
		text = string(answer)
	}
	return legible(text, key)
}

// isEncoded reports whether an answer is compressed. No request asks for that.
func isEncoded(header http.Header) bool {
	encoding := header.Get("Content-Encoding")
	return encoding != "" && !strings.EqualFold(encoding, "identity")
}

// form is what an answer is that is not PagerDuty's, as an error says it.
type form string

const (
	formUnknown form = "what is not PagerDuty's answer"
	formEmpty   form = "nothing"
	formJSON    form = "JSON that is not PagerDuty's"
	formPage    form = "a web page"
	formText    form = "text that is not PagerDuty's"
)

// formOf looks at the answer before what is said of it: many call JSON a page.
func formOf(header http.Header, answer []byte) form {
	media, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	answer = trimAnswer(answer)
	switch {
	case isEncoded(header):
		return formUnknown
	case len(answer) == 0:
		return formEmpty
	case answer[0] == '{' || answer[0] == '[':
		return formJSON
	case isPage(answer) || media == "text/html":
		return formPage
	}
	return formText
}

func trimAnswer(answer []byte) []byte {
	return bytes.TrimSpace(bytes.TrimPrefix(answer, []byte("\ufeff")))
}

// reason is what a JSON answer says, sorted by how much it tells.
type reason struct {
	details []string // the members of "errors"
	message string   // "message", for all errors of a kind
	err     string   // "error", when it is a text
	status  string   // "status" or "title": the kind
}

func jsonReason(answer []byte) string {
	d := json.NewDecoder(bytes.NewReader(answer))
	d.UseNumber()
	value, _ := readValue(d, 0) // half an answer has half a reason
	var r reason
	r.read(value)
	return r.String()
}

func (r *reason) read(value any) {
	switch v := value.(type) {
	case string:
		setOnce(&r.message, v)
	case []any:
		r.details = append(r.details, texts(v)...)
	case []jsonMember:
		for _, m := range v {
			r.readMember(m)
		}
	}
}

func (r *reason) readMember(m jsonMember) {
	text, isText := m.value.(string)
	switch strings.ToLower(m.name) {
	case "errors":
		r.details = append(r.details, texts(m.value)...)
	case "error":
		if isText {
			setOnce(&r.err, text)
		} else {
			r.read(m.value)
		}
	case "message", "detail":
		if isText {
			setOnce(&r.message, text)
		}
	case "status", "title":
		if isText {
			setOnce(&r.status, text)
		}
	}
}

// String tells the details, and the general message where it adds something.
func (r *reason) String() string {
	details := slices.Compact(slices.DeleteFunc(r.details, isBlank))
	general := r.message
	switch {
	case isBlank(general):
		general = r.err
	case !isBlank(r.err) && r.err != general:
		details = append(details, r.err)
	}
	if len(details) == 0 {
		if isBlank(general) {
			return r.status
		}
		return general
	}
	list := strings.Join(details, "; ")
	// "Event object is invalid" is the heading of every refusal by PagerDuty.
	if isBlank(general) || strings.EqualFold(general, "Event object is invalid") || strings.Contains(list, general) {
		return list
	}
	return strings.TrimRight(general, ". ") + ": " + list
}

// texts flattens an "errors" value: a text, a list, objects with a message, or
// lists of texts by the name of the member that is wrong.
func texts(value any) []string {
	switch v := value.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, e := range v {
			all = append(all, texts(e)...)
		}
		return all
	case []jsonMember:
		var all []string
		for _, m := range v {
			for _, text := range texts(m.value) {
				switch m.name {
				case "message", "detail":
					return []string{text}
				}
				all = append(all, m.name+": "+text)
			}
		}
		return all
	}
	return nil
}

type jsonMember struct {
	name  string
	value any
}

// maxReasonDepth is deeper than any known answer; beyond it nothing is read, as
// 64 KB of brackets would only cost time.
const maxReasonDepth = 8

var errTooDeep = errors.New("too deep")

// readValue reads one JSON value: string, []any or []jsonMember (in their order);
// nil for everything else. When the text breaks off, it returns what came before
// together with the error.
func readValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxReasonDepth {
		return nil, errTooDeep
	}
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case string:
		return t, nil
	case json.Delim:
		if t == '{' {
			return readObject(d, depth)
		}
		return readArray(d, depth)
	}
	return nil, nil
}

func readArray(d *json.Decoder, depth int) (any, error) {
	var list []any
	for d.More() {
		value, err := readValue(d, depth+1)
		if value != nil {
			list = append(list, value)
		}
		if err != nil {
			return list, err
		}
	}
	_, err := d.Token()
	return list, err
}

func readObject(d *json.Decoder, depth int) (any, error) {
	var members []jsonMember
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return members, err
		}
		name, _ := token.(string)
		value, err := readValue(d, depth+1)
		members = append(members, jsonMember{name, value})
		if err != nil {
			return members, err
		}
	}
	_, err := d.Token()
	return members, err
}

func setOnce(to *string, text string) {
	if *to == "" {
		*to = text
	}
}

func isBlank(s string) bool { return strings.TrimSpace(s) == "" }
