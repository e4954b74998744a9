package pagerduty

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

// The two types of context that PagerDuty knows.
const (
	contextLink  = "link"
	contextImage = "image"
)

// contexts are the context objects of a value that is being read.
type contexts struct {
	links    []eventsv2.Link
	images   []eventsv2.Image
	warnings []string
}

func setContexts(c *Config, value string, wrong *problems) {
	text := strings.TrimSpace(value)
	if strings.HasPrefix(text, "%") {
		text = strings.TrimSpace(decode(text))
	}
	var read contexts
	if isOldContexts(text) {
		if err := read.addOld(text); err != nil {
			wrong.add(paramContexts, value, "%v", err)
			return
		}
	} else {
		var objects []json.RawMessage
		if err := json.Unmarshal([]byte(text), &objects); err != nil || text == "null" {
			wrong.add(paramContexts, value, "must be %s", contextsForm)
			return
		}
		for i, object := range objects {
			if err := read.add(i, object); err != nil {
				wrong.add(paramContexts, "", "[%d] %v", i, err)
			}
		}
	}
	c.Links, c.Images = read.links, read.images
	for _, warning := range read.warnings {
		c.warn("%s%s", paramContexts, warning)
	}
}

const contextsForm = `a JSON array such as [{"type":"link","href":"https://example.com","text":"Runbook"}]`

// add reads one context object. A link's text stays its text; an image's text is its
// alternative text, which PagerDuty calls alt. What PagerDuty has no place for is left
// out with a warning: it is no reason to lose a page.
func (x *contexts) add(i int, object json.RawMessage) error {
	members, err := eventsv2.ParseDetails(object)
	if err != nil {
		return err
	}
	kind, err := textMember(members, "type")
	if err != nil {
		return err
	}
	switch kind = strings.ToLower(strings.TrimSpace(kind)); kind {
	case "":
		return errors.New(`has no type: it must be "link" or "image"`)
	case contextLink:
		texts, err := x.texts(i, kind, members, "href", "text")
		if err != nil {
			return err
		}
		return x.addLink(texts["href"], texts["text"])
	case contextImage:
		texts, err := x.texts(i, kind, members, "src", "href", "text", "alt")
		if err != nil {
			return err
		}
		alt := texts["text"]
		if alt == "" {
			alt = texts["alt"]
		}
		return x.addImage(fmt.Sprintf("[%d]", i), eventsv2.Image{Src: texts["src"], Href: texts["href"], Alt: alt})
	}
	return fmt.Errorf("has the type %q: it must be link or image%s", quotable(kind), suggest(kind, []string{contextLink, contextImage}))
}

// texts returns the members of these names. Others are left out.
func (x *contexts) texts(i int, kind string, members eventsv2.Details, names ...string) (map[string]string, error) {
	texts := make(map[string]string, len(names))
	for _, m := range members {
		if m.Name == "type" {
			continue
		}
		if !slices.Contains(names, m.Name) {
			x.warn("[%d] has a member %q that a context of type %s does not have%s: it is left out", i, quotable(m.Name), kind, suggest(m.Name, names))
			continue
		}
		text, err := textMember(members, m.Name)
		if err != nil {
			return nil, err
		}
		texts[m.Name] = text
	}
	return texts, nil
}

func textMember(members eventsv2.Details, name string) (string, error) {
	value, found := members.Get(name)
	if !found {
		return "", nil
	}
	var text *string
	if err := json.Unmarshal(value, &text); err != nil {
		return "", fmt.Errorf("has a member %q that is no text", name)
	}
	if text == nil {
		return "", nil
	}
	return *text, nil
}

func (x *contexts) addLink(href, text string) error {
	if strings.TrimSpace(href) == "" {
		return errors.New("is a link without href")
	}
	x.links = append(x.links, eventsv2.Link{Href: href, Text: text})
	return nil
}

// addImage takes an image if PagerDuty can show it. One that is served otherwise
// becomes a link, which still leads there.
func (x *contexts) addImage(at string, image eventsv2.Image) error {
	src := strings.TrimSpace(image.Src)
	if src == "" {
		return errors.New("is an image without src, the https URL that serves it")
	}
	u, err := url.Parse(src)
	switch {
	case err != nil || u.Scheme == "" || u.Host == "":
		x.warn("%s is an image whose src is no https URL: it is left out", at)
	case !strings.EqualFold(u.Scheme, "https"):
		x.warn("%s is an image that is served by %s, and PagerDuty shows those that are served by https only: it is a link now", at, quotable(u.Scheme))
		x.links = append(x.links, eventsv2.Link{Href: src, Text: image.Alt})
	default:
		x.images = append(x.images, image)
		return nil
	}
	if image.Href != "" {
		x.links = append(x.links, eventsv2.Link{Href: image.Href})
	}
	return nil
}

func (x *contexts) warn(format string, args ...any) {
	x.warnings = append(x.warnings, fmt.Sprintf(format, args...))
}

// isOldContexts recognises the form that shoutrrr took before JSON:
// link:https://example.com,text:Runbook,image:https://example.com/a.png
func isOldContexts(text string) bool {
	kind, _, found := strings.Cut(text, ":")
	return found && !strings.ContainsAny(kind, "[{\",")
}

// addOld reads the old form. A text belongs to the link or image before it, and a
// comma may stand in a URL.
func (x *contexts) addOld(text string) error {
	x.warn(": the form type:value is old and has no room for all that a context can have: give %s", contextsForm)
	var kinds, values []string
	for part := range strings.SplitSeq(text, ",") {
		kind, value, found := strings.Cut(part, ":")
		switch {
		case found:
			kinds, values = append(kinds, strings.ToLower(strings.TrimSpace(kind))), append(values, strings.TrimSpace(value))
		case strings.TrimSpace(part) != "": // isOldContexts has seen a first one
			values[len(values)-1] += "," + part
		}
	}
	for i, kind := range kinds {
		if kind == "text" {
			continue
		}
		about := ""
		if i+1 < len(kinds) && kinds[i+1] == "text" {
			about = values[i+1]
		}
		var err error
		switch kind {
		case contextLink:
			err = x.addLink(values[i], about)
		case contextImage:
			err = x.addImage(fmt.Sprintf("[%d]", i), eventsv2.Image{Src: values[i], Alt: about})
		default:
			err = fmt.Errorf("has the type %q: it must be link or image%s", quotable(kind), suggest(kind, []string{contextLink, contextImage}))
		}
		if err != nil {
			return fmt.Errorf("[%d] %w", i, err)
		}
	}
	return nil
}

// contextJSON is a context as it stands in a URL.
type contextJSON struct {
	Type string `json:"type"`
	Src  string `json:"src,omitempty"`
	Href string `json:"href,omitempty"`
	Text string `json:"text,omitempty"`
}

func getContexts(c *Config) string {
	if len(c.Links)+len(c.Images) == 0 {
		return ""
	}
	var contexts []contextJSON
	for _, l := range c.Links {
		contexts = append(contexts, contextJSON{Type: contextLink, Href: l.Href, Text: l.Text})
	}
	for _, m := range c.Images {
		contexts = append(contexts, contextJSON{Type: contextImage, Src: m.Src, Href: m.Href, Text: m.Alt})
	}
	text, _ := json.Marshal(contexts) // strings alone: it cannot fail
	return string(text)
}
