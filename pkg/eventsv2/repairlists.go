package eventsv2

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
)

// list reads the elements of an array. What should stand in one and stands alone
// is its only element.
func (r *repairer) list(name string, add func(at place, el element)) {
	if r.peek() != '[' {
		if value := r.value(); !isEmpty(value) {
			r.note("%s was no list", name)
			add(place{name, 0}, elementOf(value))
		}
		return
	}
	r.at++
	for first, i := true, 0; r.more(first, ']'); first, i = false, i+1 {
		value := r.value()
		if isEmpty(value) {
			continue
		}
		at, el := place{name, i}, elementOf(value)
		if value[0] == '{' && el.isBlank() {
			r.note("%s was blank: it was left out", at)
			continue
		}
		add(at, el)
	}
}

// element is a link, an image, or one of v1's contexts.
type element struct {
	raw                        json.RawMessage
	kind, href, text, src, alt string
	extra                      bool // it has what none of them has
}

func (el *element) isBlank() bool {
	return !el.extra && isBlank(el.href+el.text+el.src+el.alt)
}

func elementOf(raw json.RawMessage) element {
	el := element{raw: raw}
	r := reader{src: raw}
	switch raw[0] {
	case '"':
		el.href = strings.TrimSpace(r.text())
		return el
	case '{':
	default:
		return el
	}
	r.at++
	for first := true; r.more(first, '}'); first = false {
		name := string(r.name())
		var field *string
		switch strings.ToLower(name) {
		case "type": // of a context: src or href say it as well
			field = &el.kind
		case "href":
			field = &el.href
		case "text":
			field = &el.text
		case "src":
			field = &el.src
		case "alt":
			field = &el.alt
		}
		quoted := r.peek() == '"'
		value := r.value()
		if field == nil {
			el.extra = el.extra || !isEmpty(value)
		} else if quoted {
			said := reader{src: value}
			*field = said.text()
		} else if !isEmpty(value) {
			*field = string(value)
		}
	}
	el.href, el.src = strings.TrimSpace(el.href), strings.TrimSpace(el.src)
	return el
}

// addLink takes a link if it leads anywhere. What is left of it stands in the
// details.
func (r *repairer) addLink(at place, el element) {
	if !isURL(el.href) {
		r.note("%s had no usable href: it stands in custom_details", at)
		r.keepAt(at, el.raw)
		return
	}
	r.e.Links = append(r.e.Links, Link{Href: el.href, Text: el.text})
	switch {
	case el.raw[0] == '"':
		r.note("%s was no object", at)
	case el.extra || el.src != "" || el.alt != "":
		r.keepWhole(at, el)
	}
}

// keepWhole keeps in the details what no link or image has.
func (r *repairer) keepWhole(at place, el element) {
	r.note("%s has parts that PagerDuty would drop: the whole stands in custom_details", at)
	r.keepAt(at, el.raw)
}

// addImage takes an image if PagerDuty can show it. One that is served by http
// becomes a link: that still leads there.
func (r *repairer) addImage(at place, el element) {
	if el.raw[0] == '"' {
		r.note("%s was no object", at)
		el.src, el.href = el.href, ""
	}
	if el.alt == "" && el.text != "" {
		r.note("%s: text became alt", at)
		el.alt, el.text = el.text, ""
	}
	extra := el.extra || el.text != ""
	if el.href != "" && !isURL(el.href) {
		el.href, extra = "", true
	}
	switch {
	case isHTTPS(el.src):
		r.e.Images = append(r.e.Images, Image{Src: el.src, Href: el.href, Alt: el.alt})
	case isURL(el.src):
		r.note("%s was not served by https: it became a link", at)
		r.e.Links = append(r.e.Links, Link{Href: el.src, Text: el.alt})
		extra = extra || el.href != ""
	default:
		r.note("%s had no usable src: it stands in custom_details", at)
		r.keepAt(at, el.raw)
		return
	}
	if extra {
		r.keepWhole(at, el)
	}
}

// addContext reads what Events API v1 has for links and images.
func (r *repairer) addContext(at place, el element) {
	switch {
	case isURL(el.src):
		r.note("%s became an image", at)
		r.addImage(at, el)
	case isURL(el.href):
		r.note("%s became a link", at)
		r.addLink(at, el)
	default:
		r.note("%s is neither a link nor an image: it stands in custom_details", at)
		r.keepAt(at, el.raw)
	}
}

// place is where an element stands in its list.
type place struct {
	list string
	at   int
}

// String writes the place as people write it: links[3].
func (p place) String() string { return p.list + "[" + strconv.Itoa(p.at) + "]" }

// keepAt keeps an element that has lost its place. A body has room for a million
// of them.
func (r *repairer) keepAt(at place, value json.RawMessage) {
	if r.keptRoom < 0 && !isEmpty(value) {
		r.left.add(Member{Value: value})
		return
	}
	r.keep(at.list+"_"+strconv.Itoa(at.at), value)
}

// isURL reports whether a text is what PagerDuty documents as format url.
func isURL(text string) bool {
	if !strings.Contains(text, "://") {
		return false // and no memory is spent on it
	}
	u, err := url.Parse(text)
	return err == nil && u.Scheme != "" && u.Host != ""
}
