package pagerduty

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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

func setContexts(c *Config, value string, wrong *problems) {
	text := strings.TrimSpace(value)
	if strings.HasPrefix(text, "%") {
		text = strings.TrimSpace(decode(text))
	}
	var objects []json.RawMessage
	if err := json.Unmarshal([]byte(text), &objects); err != nil || text == "null" {
		wrong.add(paramContexts, value, `must be a JSON array such as [{"type":"link","href":"https://example.com","text":"Runbook"}]`)
		return
	}
	var links []eventsv2.Link
	var images []eventsv2.Image
	for i, object := range objects {
		if err := addContext(object, &links, &images); err != nil {
			wrong.add(paramContexts, "", "[%d] %v", i, err)
		}
	}
	c.Links, c.Images = links, images
}

// addContext reads one context object. A link's text stays its text; an image's
// text is its alternative text, which PagerDuty calls alt.
func addContext(object json.RawMessage, links *[]eventsv2.Link, images *[]eventsv2.Image) error {
	members, err := contextMembers(object)
	if err != nil {
		return err
	}
	switch kind := strings.ToLower(members["type"]); kind {
	case "":
		return errors.New(`has no type: it must be "link" or "image"`)
	case contextLink:
		if err := known(members, kind, "href", "text"); err != nil {
			return err
		}
		if strings.TrimSpace(members["href"]) == "" {
			return errors.New("is a link without href")
		}
		*links = append(*links, eventsv2.Link{Href: members["href"], Text: members["text"]})
	case contextImage:
		if err := known(members, kind, "src", "href", "text", "alt"); err != nil {
			return err
		}
		if u, err := url.Parse(members["src"]); err != nil || !strings.EqualFold(u.Scheme, "https") || u.Host == "" {
			return errors.New("is an image whose src is no https URL: PagerDuty shows images that are served by https only")
		}
		alt := members["text"]
		if alt == "" {
			alt = members["alt"]
		}
		*images = append(*images, eventsv2.Image{Src: members["src"], Href: members["href"], Alt: alt})
	default:
		return fmt.Errorf("has the type %q: it must be link or image%s", quotable(kind), suggest(kind, []string{contextLink, contextImage}))
	}
	return nil
}

func contextMembers(object json.RawMessage) (map[string]string, error) {
	details, err := eventsv2.ParseDetails(object)
	if err != nil {
		return nil, err
	}
	members := make(map[string]string, len(details))
	for _, m := range details {
		var text *string
		if err := json.Unmarshal(m.Value, &text); err != nil {
			return nil, fmt.Errorf("has a member %q that is no text", quotable(m.Name))
		}
		if text != nil {
			members[m.Name] = *text
		}
	}
	return members, nil
}

func known(members map[string]string, kind string, names ...string) error {
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if name != "type" && !slices.Contains(names, name) {
			return fmt.Errorf("has a member %q that a context of type %s does not have%s", quotable(name), kind, suggest(name, names))
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
