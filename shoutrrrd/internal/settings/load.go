package settings

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
)

// Sources is where settings come from.
type Sources struct {
	File   string // path; "" for none
	Getenv func(string) string
	Flags  map[string]string // by the name of the field, only those that were given
}

// file is the form of the YAML file beside the plain fields.
type file struct {
	Keys []struct {
		Alias    string `yaml:"alias"`
		Key      string `yaml:"key"`
		Rate     int    `yaml:"rate"`
		Region   string `yaml:"region"`
		Upstream string `yaml:"upstream"`
	} `yaml:"keys"`
	Pools []struct {
		Name string   `yaml:"name"`
		Keys []string `yaml:"keys"`
	} `yaml:"pools"`
	Tokens []struct {
		Name string `yaml:"name"`
		Role string `yaml:"role"`
		File string `yaml:"file"`
	} `yaml:"tokens"`
}

// Load reads and checks the settings. Its error tells all that is wrong, with
// file, line and column, and holds no key.
func Load(from Sources) (*Settings, error) {
	s := &Settings{Origins: map[string]string{}, File: from.File}
	merged := koanf.New(".")
	origin := func(layer map[string]any, where func(name string) string) {
		_ = merged.Load(confmap.Provider(layer, "."), nil) // maps of texts always load
		for name := range layer {
			s.Origins[name] = where(name)
		}
	}
	standard, environment, flags := map[string]any{}, map[string]any{}, map[string]any{}
	for _, f := range Fields() {
		standard[f.Name] = f.Default(from.Getenv)
		if value := from.Getenv(f.Variable()); value != "" {
			environment[f.Name] = value
		}
		if value, given := from.Flags[f.Name]; given {
			flags[f.Name] = value
		}
	}
	origin(standard, func(string) string { return "default" })
	d := document{settings: s}
	if from.File != "" {
		values, err := d.read(from.File)
		if err != nil {
			return nil, err
		}
		origin(values, d.where)
	}
	origin(environment, func(name string) string { return "environment " + fieldNamed(name).Variable() })
	origin(flags, func(name string) string { return "flag --" + fieldNamed(name).Flag() })

	var wrong []error
	for _, f := range Fields() {
		if err := f.set(s, merged.String(f.Name)); err != nil {
			wrong = append(wrong, fmt.Errorf("%s (%s): %w", f.Name, s.Origins[f.Name], err))
		}
	}
	wrong = append(wrong, d.takeLists()...)
	if len(wrong) == 0 {
		wrong = s.check()
	}
	return s, errors.Join(wrong...)
}

func fieldNamed(name string) Field {
	for _, f := range Fields() {
		if f.Name == name {
			return f
		}
	}
	return Field{Name: name}
}

// document is the file while it is read.
type document struct {
	settings *Settings
	path     string
	lists    file
	places   map[string]string
}

// read returns the plain values of the file.
func (d *document) read(path string) (values map[string]any, err error) {
	// goccy/go-yaml panics on some files that are no YAML ("keys: ! "); at a SIGHUP
	// that would end a relay which works.
	defer func() {
		if recover() != nil {
			values, err = nil, fmt.Errorf("%s: it cannot be read as YAML", path)
		}
	}()
	d.path, d.places = path, map[string]string{}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	tree, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, d.explain(err)
	}
	values = map[string]any{}
	for _, doc := range tree.Docs {
		if err := d.readBody(doc.Body, values); err != nil {
			return nil, err
		}
	}
	return values, nil
}

func (d *document) readBody(body ast.Node, values map[string]any) error {
	var entries []*ast.MappingValueNode
	switch node := body.(type) {
	case nil, *ast.NullNode, *ast.CommentGroupNode:
		return nil
	case *ast.MappingNode:
		entries = node.Values
	case *ast.MappingValueNode:
		entries = []*ast.MappingValueNode{node}
	default:
		return fmt.Errorf("%s: a configuration is a list of name: value", d.path)
	}
	for _, entry := range entries {
		if err := d.readEntry(entry, values); err != nil {
			return err
		}
	}
	return nil
}

func (d *document) readEntry(entry *ast.MappingValueNode, values map[string]any) error {
	name := entry.Key.GetToken().Value
	d.places[name] = d.place(entry.Key)
	var into any
	switch name {
	case "keys":
		into = &d.lists.Keys
	case "pools":
		into = &d.lists.Pools
	case "tokens":
		into = &d.lists.Tokens
	default:
		return d.readScalar(name, entry, values)
	}
	if list, ok := entry.Value.(*ast.SequenceNode); ok {
		for i, one := range list.Values {
			d.settings.Origins[fmt.Sprintf("%s[%d]", name, i)] = d.place(one)
		}
	}
	if err := yaml.NodeToValue(entry.Value, into, yaml.Strict()); err != nil {
		return d.explain(err)
	}
	return nil
}

func (d *document) readScalar(name string, entry *ast.MappingValueNode, values map[string]any) error {
	if fieldNamed(name).set == nil {
		return fmt.Errorf("%s: %q is no setting%s\n%s", d.places[name], shown(name), suggestion(name, fieldNames()), d.excerpt(entry.Key))
	}
	if _, ok := entry.Value.(ast.ScalarNode); !ok {
		return fmt.Errorf("%s: %s takes one value\n%s", d.places[name], name, d.excerpt(entry.Key))
	}
	var value any
	if err := yaml.NodeToValue(entry.Value, &value); err != nil {
		return d.explain(err)
	}
	if value != nil {
		values[name] = fmt.Sprint(value)
		d.places[name] = d.place(entry.Value)
	}
	return nil
}

func fieldNames() []string {
	names := []string{"keys", "pools", "tokens"}
	for _, f := range Fields() {
		names = append(names, f.Name)
	}
	return names
}

func (d *document) where(name string) string { return d.places[name] }

func (d *document) place(node ast.Node) string {
	at := node.GetToken().Position
	return fmt.Sprintf("%s:%d:%d", d.path, at.Line, at.Column)
}

// excerpt shows the lines around a place with a mark below it, without secrets.
func (d *document) excerpt(node ast.Node) string {
	return masked(yaml.FormatError(&yaml.SyntaxError{Message: "here", Token: node.GetToken()}, false, true))
}

var unknownField = regexp.MustCompile(`unknown field "([^"]*)"`)

// explain tells an error of the YAML reader's with place and excerpt, and what may
// have been meant.
func (d *document) explain(err error) error {
	text := yaml.FormatError(err, false, true)
	if found := unknownField.FindStringSubmatch(text); found != nil {
		text = strings.Replace(text, found[0], found[0]+suggestion(found[1], listNames), 1)
	}
	return fmt.Errorf("%s:%s", d.path, masked(strings.TrimPrefix(text, "[")))
}

// listNames are the members of keys, pools and tokens.
var listNames = []string{"alias", "key", "rate", "region", "upstream", "name", "keys", "role", "file"}

var (
	keyValue  = regexp.MustCompile(`(?m)(\bkey"?\s*:\s*).*$`)
	longWords = regexp.MustCompile(`[0-9A-Za-z+_-]*[0-9A-Za-z]{16}[0-9A-Za-z+_-]*`)
)

// masked takes whatever may be a key out of a text that quotes the file.
func masked(text string) string {
	return longWords.ReplaceAllString(keyValue.ReplaceAllString(text, "${1}[redacted]"), "[redacted]")
}

// shown is a value as an error quotes it.
func shown(value string) string {
	if value = masked(value); len(value) > 60 {
		value = value[:60] + "…"
	}
	return value
}

// lists takes keys, pools and tokens over from the file.
func (d *document) takeLists() (wrong []error) {
	say := func(at string, err error) {
		wrong = append(wrong, fmt.Errorf("%s (%s): %w", at, d.settings.Origins[at], err))
	}
	for i, k := range d.lists.Keys {
		key, err := readKey(k.Key)
		upstream := strings.TrimRight(k.Upstream, "/")
		switch strings.ToLower(k.Region) {
		case "", "us":
			if k.Region != "" && upstream == "" {
				upstream = eventsv2.DefaultBaseURL
			}
		case "eu":
			if upstream == "" {
				upstream = euUpstream
			}
		default:
			err = errors.Join(err, fmt.Errorf("region %q is not one of us, eu", shown(k.Region)))
		}
		if k.Alias == "" {
			err = errors.Join(err, errors.New("alias is missing: the name by which people see the key"))
		}
		if k.Rate < 0 {
			err = errors.Join(err, errors.New("rate cannot be negative"))
		}
		if err != nil {
			say(fmt.Sprintf("keys[%d]", i), err)
		}
		d.settings.Keys = append(d.settings.Keys, Key{Alias: k.Alias, Key: key, Rate: k.Rate, Upstream: upstream})
	}
	for _, p := range d.lists.Pools {
		d.settings.Pools = append(d.settings.Pools, Pool{p.Name, p.Keys})
	}
	for i, t := range d.lists.Tokens {
		token, err := readToken(t.Name, t.Role, t.File)
		if err != nil {
			say(fmt.Sprintf("tokens[%d]", i), err)
		}
		d.settings.Tokens = append(d.settings.Tokens, token)
	}
	return wrong
}

// readKey reads a key, or the file that holds it.
func readKey(text string) (eventsv2.Key, error) {
	if path, isFile := strings.CutPrefix(text, "file:"); isFile {
		data, err := os.ReadFile(path)
		if err != nil {
			return eventsv2.Key{}, fmt.Errorf("read the integration key: %w", err)
		}
		text = strings.TrimSpace(string(data))
	}
	key, err := eventsv2.ParseKey(strings.TrimSpace(text))
	if err != nil {
		return key, fmt.Errorf("key: %w; or give file:/path of a file that holds it", err)
	}
	return key, nil
}

func readToken(name, role, path string) (Token, error) {
	token := Token{Name: name, Operator: role == "operator"}
	if name == "" {
		return token, errors.New("name is missing: it stands in the history of what its owner does")
	}
	if !slices.Contains([]string{"viewer", "operator"}, role) {
		return token, fmt.Errorf("role %q is not one of viewer, operator", shown(role))
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return token, fmt.Errorf("read the token: %w", err)
	}
	text := strings.TrimSpace(string(data))
	if len(text) < 16 {
		return token, fmt.Errorf("the token in %s has %d characters, at least 16 are needed; make one with: openssl rand -hex 32", path, len(text))
	}
	token.Secret = NewSecret(text)
	return token, nil
}
