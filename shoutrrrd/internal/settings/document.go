package settings

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/containrrr/shoutrrr/internal/redact"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/access"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// origin is where a value comes from.
type origin struct {
	text   string    // "default", "flag --rate", or path:line:column
	line   int       // in the file, 0 for elsewhere
	column int       // in the line
	file   *document // nil for elsewhere
}

// excerpt is the line with a mark below it, fit to be shown.
func (o origin) excerpt() string {
	if o.file == nil {
		return ""
	}
	return o.file.excerpt(o.line, o.column)
}

// problem is something wrong about a setting.
type problem struct {
	at   origin
	name string // "" if at tells it
	err  error
}

func (p problem) Error() string {
	text := p.at.text + ": "
	if p.name != "" {
		text += p.name + ": "
	}
	return text + p.err.Error() + p.at.excerpt()
}

func (p problem) Unwrap() error { return p.err }

// problems collects what is wrong, to tell all of it at once.
type problems []problem

// maxProblems are more than anybody repairs before the next try. A file of another
// kind has one in each line.
const maxProblems = 50

func (p *problems) add(at origin, name, format string, args ...any) {
	if !p.full() {
		*p = append(*p, problem{at, name, fmt.Errorf(format, args...)})
	}
}

// full reports whether what else is wrong is left for the next try.
func (p *problems) full() bool { return len(*p) >= maxProblems }

// err joins them in the order of the file.
func (p problems) err() error {
	slices.SortStableFunc(p, func(a, b problem) int { return cmp.Compare(a.at.line, b.at.line) })
	list := make([]error, len(p))
	for i, one := range p {
		list[i] = one
	}
	if p.full() {
		list = append(list, fmt.Errorf("these are the first %d problems; there may be more", maxProblems))
	}
	return errors.Join(list...)
}

// document is the file while it is read.
type document struct {
	path  string
	lines []string
	wrong *problems
	from  *Sources
}

// member is a name in the file with what stands below it.
type member struct {
	value ast.Node
	at    origin // of the value
}

// read returns what the file holds by name.
func (d *document) read() map[string]member {
	data, err := readFile(d.path, maxFile)
	if err == nil {
		err = access.Changeable(d.path)
	}
	if err == nil {
		err = d.from.readableByService(d.path)
	}
	if err != nil {
		d.wrong.add(origin{text: d.path}, "", "%w", err)
		return nil
	}
	// The YAML reader counts every kind of line end, and so do the excerpts.
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimPrefix(string(data), "\ufeff"))
	d.lines = strings.Split(text, "\n")
	bodies, err := parse(text)
	if err != nil {
		d.wrong.add(d.ofError(err), "", "%w", plainYAML(err))
		return nil
	}
	switch len(bodies) {
	case 0:
		return nil
	case 1:
		return d.members(bodies[0], "", topNames())
	default: // the later would stand above the earlier without a word
		d.wrong.add(d.at(bodies[1]), "", "a second YAML document begins here; settings are one, so take the line of dashes out")
		return nil
	}
}

// withoutPanic is for goccy/go-yaml, which has panicked on texts that are no YAML; at
// a SIGHUP that would end a relay which works.
func withoutPanic(read func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("it cannot be read as YAML")
		}
	}()
	return read()
}

// parse returns the documents that hold something.
func parse(text string) (bodies []ast.Node, err error) {
	tokens, err := bounded(text)
	if err != nil {
		return nil, err
	}
	var tree *ast.File
	if err := withoutPanic(func() (err error) {
		tree, err = parser.Parse(tokens, 0)
		return err
	}); err != nil {
		return nil, err
	}
	for _, doc := range tree.Docs {
		switch doc.Body.(type) {
		case nil, *ast.NullNode, *ast.CommentGroupNode:
		default:
			bodies = append(bodies, doc.Body)
		}
	}
	return bodies, nil
}

// members returns the members of a mapping, and tells of those that are not allowed.
func (d *document) members(node ast.Node, name string, allowed []string) map[string]member {
	var pairs []*ast.MappingValueNode
	switch node := node.(type) {
	case *ast.MappingNode:
		pairs = node.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{node}
	default:
		d.wrong.add(d.at(node), name, "lines of name: value are wanted; the names are %s", strings.Join(allowed, ", "))
		return nil
	}
	found := map[string]member{}
	for _, pair := range pairs {
		if d.wrong.full() {
			break
		}
		key := pair.Key.GetToken().Value
		if !slices.Contains(allowed, key) {
			d.wrong.add(d.at(pair.Key), name, "%q is not known here%s", shown(key), unknownHint(key, name, allowed))
			continue
		}
		at := d.at(pair.Value)
		if slices.Contains(secretNames, key) { // the value may stand on lines of its own
			at = d.at(pair.Key)
		}
		found[key] = member{pair.Value, at}
	}
	return found
}

func unknownHint(key, name string, allowed []string) string {
	if strings.HasPrefix(name, "tokens[") && slices.Contains(secretNames, strings.ToLower(key)) {
		return ": a token stands in a file of its own, named by file"
	}
	if meant := Suggestion(key, allowed); meant != "" {
		return meant
	}
	if name == "" {
		return "; shoutrrrd check --sample shows every setting"
	}
	return "; the names are " + strings.Join(allowed, ", ")
}

// items returns the entries of a list.
func (d *document) items(m member, name string) []ast.Node {
	switch node := m.value.(type) {
	case *ast.SequenceNode:
		return node.Values
	case nil, *ast.NullNode:
		return nil
	default:
		d.wrong.add(m.at, name, "a list is wanted: a dash before each entry")
		return nil
	}
}

// scalar returns a value as it was written. YAML would make 8 of 010, and
// something else again of a date.
func (d *document) scalar(m member, name string) (text string, given bool) {
	switch node := m.value.(type) {
	case nil, *ast.NullNode:
		return "", false
	case *ast.StringNode:
		return node.Value, true
	case *ast.LiteralNode:
		return node.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return node.GetToken().Value, true
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		d.wrong.add(m.at, name, "anchors, aliases and tags are not taken; write the value itself")
	default:
		d.wrong.add(m.at, name, "one value is wanted, no list and no names")
	}
	return "", false
}

// at is the place of a node.
func (d *document) at(node ast.Node) origin {
	if node == nil || node.GetToken() == nil {
		return origin{text: d.path}
	}
	return d.place(node.GetToken().Position)
}

func (d *document) place(at *token.Position) origin {
	if at == nil {
		return origin{text: d.path}
	}
	return origin{fmt.Sprintf("%s:%d:%d", d.path, at.Line, at.Column), at.Line, at.Column, d}
}

// maxExcerpt is a line that people can read; to look for secrets in one takes time in
// proportion to its length, once for each problem in it.
const maxExcerpt = 1000

// excerpt is a line with a mark below a column, without secrets. Of a long line it
// is what stands around the column.
func (d *document) excerpt(line, column int) string {
	if line < 1 || line > len(d.lines) || len(d.lines[line-1]) > maxExcerpt {
		return ""
	}
	text := []rune(quotable(d.lines[line-1]))
	column = min(max(column, 1), len(text)+1)
	before := []rune(redact.Line(string(text[:column-1]))) // longer, if the line has escapes
	text = append(before, []rune(redact.Line(string(text[column-1:])))...)
	column = len(before) + 1
	from := max(0, column-80)
	text = text[from:min(from+120, len(text))]
	number := fmt.Sprintf("%5d", line)
	return "\n" + number + " | " + string(text) + "\n" + strings.Repeat(" ", len(number)) + " | " + strings.Repeat(" ", column-1-from) + "^"
}

// ofError is the place that the YAML reader names.
func (d *document) ofError(err error) origin {
	var known yaml.Error
	var bound *boundError
	switch {
	case errors.As(err, &bound):
		return d.place(bound.at)
	case errors.As(err, &known) && known.GetToken() != nil:
		return d.place(known.GetToken().Position)
	}
	return origin{text: d.path}
}

// plainYAML is what the YAML reader says, without its own excerpt of the file.
func plainYAML(err error) error {
	var known yaml.Error
	var bound *boundError
	switch {
	case errors.As(err, &bound):
		return bound
	case errors.As(err, &known):
		return errors.New(shown(known.GetMessage()))
	}
	return errors.New("it cannot be read as YAML")
}

// readFile reads a file. One that is larger than most is no configuration but a
// wrong path, such as that of a device.
func readFile(path string, most int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, most+1))
	if err != nil {
		return nil, unreadable(path, err)
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("%q is larger than %d bytes", shown(path), most)
	}
	return data, nil
}

// readableByService refuses what the one who runs check can read, and the service cannot.
func (from *Sources) readableByService(path string) error {
	if !from.MadeUp || from.Locate(path) != path || access.Readable(path) {
		return nil
	}
	what, right := fmt.Sprintf("cannot read %q", shown(path)), "o+r"
	if folder := access.Closed(path); folder != "" {
		what, right = fmt.Sprintf("%s: it cannot enter the folder %q", what, shown(folder)), "o+x"
	}
	return fmt.Errorf("the user of the service is made up at its start and %s: chmod %s, or give a secret by LoadCredential=", what, right)
}

// credentialFolder is where systemd puts the credentials of a service.
const credentialFolder = "/run/credentials/"

// missingCredential says what to do about a credential that is not there.
func missingCredential(path string, err error) error {
	unit, name, inside := strings.Cut(strings.TrimPrefix(path, credentialFolder), "/")
	if !strings.HasPrefix(path, credentialFolder) || !inside || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return fmt.Errorf("there is no credential %q: the unit %s needs LoadCredential=%s:/path/of/its/file, and systemd makes the copy when it starts the service", shown(name), shown(unit), shown(name))
}

// unreadable tells why, but of the path only what may be shown: somebody may have
// put the key where the path belongs.
func unreadable(path string, err error) error {
	var at *os.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return fmt.Errorf("cannot read %q: %w", shown(path), err)
}
