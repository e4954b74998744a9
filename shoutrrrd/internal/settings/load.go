package settings

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/goccy/go-yaml/ast"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
)

// Sources is where settings come from.
type Sources struct {
	File    string // path; "" for none
	Getenv  func(string) string
	Flags   map[string]string // by the name of the field, only those that were given
	Sockets map[string]string // listen, admin: where a supervisor has opened the socket already

	// Lookup resolves the host of an address. Defaults to the system's resolver.
	Lookup lookup
	// Proxy finds the proxy of a request to an http upstream, or why the request must
	// not be sent. Defaults to what the relay sends by.
	Proxy func(*http.Request) (*url.URL, error)
	Now   func() time.Time // the wall clock; defaults to time.Now

	// Of a service that is judged from somebody's shell:

	// Locate returns where a file is to be read that the settings name. Defaults to there.
	Locate func(path string) string
	// MadeUp says that the user of the service is made up at its start: it reads what
	// every user may, and what Locate finds elsewhere.
	MadeUp bool
	// QueueOfOwner says that the queue is that of whoever owns its folder.
	QueueOfOwner bool
}

// topNames are the names that may stand in the file.
func topNames() []string {
	names := []string{"keys", "pools", "tokens", "notify"}
	for _, f := range Fields() {
		names = append(names, f.Name)
	}
	return names
}

// Load reads and checks the settings. Its error tells all that is wrong, each with
// its place, and holds no key and no token.
func Load(from Sources) (*Settings, error) {
	if from.Lookup == nil {
		from.Lookup = systemLookup
	}
	if from.Proxy == nil {
		from.Proxy = eventsv2.ProxyFromEnvironment
	}
	if from.Locate == nil {
		from.Locate = func(path string) string { return path }
	}
	s := &Settings{origins: map[string]origin{}, now: from.Now}
	if s.now == nil {
		s.now = time.Now
	}
	var wrong problems
	d := document{path: from.File, wrong: &wrong, from: &from}
	var members map[string]member
	if from.File != "" {
		members = d.read()
	}
	merged := s.layers(from, &d, members)
	refused := map[string]bool{}
	for _, f := range Fields() {
		if err := f.set(s, merged.String(f.Name)); err != nil {
			s.wrong(&wrong, f.Name, "%w", err)
			refused[f.Name] = true
		}
	}
	s.takeLists(&d, members)
	notify, given := members["notify"]
	s.takeNotify(&d, notify, given)
	s.checkRates(&wrong, refused)
	s.checkWhole(&wrong, refused, from)
	s.checkLists(&wrong)
	s.checkNotify(&wrong)
	if len(wrong) > 0 {
		return nil, wrong.err()
	}
	s.index()
	s.forgetText()
	return s, nil
}

// layers puts the sources of the plain values above each other.
func (s *Settings) layers(from Sources, d *document, members map[string]member) *koanf.Koanf {
	standard, file, environment, flags, sockets := map[string]any{}, map[string]any{}, map[string]any{}, map[string]any{}, map[string]any{}
	for _, f := range Fields() {
		standard[f.Name] = f.Default(from.Getenv)
		s.origins[f.Name] = origin{text: "default"}
		if m, inFile := members[f.Name]; inFile {
			if value, given := d.value(f, m); given {
				file[f.Name], s.origins[f.Name] = value, m.at
			}
		}
		if value := unquote(from.Getenv(f.Variable())); value != "" {
			environment[f.Name], s.origins[f.Name] = value, origin{text: "variable " + f.Variable()}
		}
		if value, given := from.Flags[f.Name]; given {
			flags[f.Name], s.origins[f.Name] = value, origin{text: "flag --" + f.Flag()}
		}
		// Above all, as the door is there: what guards it must fit where it is.
		if value, given := from.Sockets[f.Name]; given {
			sockets[f.Name], s.origins[f.Name] = value, origin{text: "systemd's socket"}
		}
	}
	merged := koanf.New(".")
	for _, layer := range []map[string]any{standard, file, environment, flags, sockets} {
		_ = merged.Load(confmap.Provider(layer, "."), nil) // maps of texts always load
	}
	return merged
}

// unquote takes away the quotes around a value: what reads files of variables, such as docker's
// --env-file, does not, as a shell would.
func unquote(value string) string {
	if n := len(value); n > 1 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
		return value[1 : n-1]
	}
	return value
}

// value returns what the file says of a field; a list as it would stand in a
// variable or a flag.
func (d *document) value(f Field, m member) (string, bool) {
	list, isList := m.value.(*ast.SequenceNode)
	if !isList || !f.IsList {
		return d.scalar(m, f.Name)
	}
	var items []string
	for i, node := range list.Values {
		item, _ := d.scalar(member{node, d.at(node)}, fmt.Sprintf("%s[%d]", f.Name, i))
		items = append(items, item)
	}
	return strings.Join(items, ","), true
}

// wrong tells that the value of a name is wrong, where it comes from.
func (s *Settings) wrong(p *problems, name, format string, args ...any) {
	at := s.origins[name]
	if strings.HasPrefix(at.text, "flag ") || strings.HasPrefix(at.text, "variable ") {
		name = ""
	}
	p.add(at, name, format, args...)
}

// forgetText lets the text of the file go: where a value comes from is all that is
// asked of settings that are right.
func (s *Settings) forgetText() {
	for name, at := range s.origins {
		at.file = nil
		s.origins[name] = at
	}
}

// warn tells what works and should not stay as it is.
func (s *Settings) warn(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(s.Warnings, text) {
		s.Warnings = append(s.Warnings, text)
	}
}
