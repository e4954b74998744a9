package settings

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/access"
)

// What an entry of keys, pools and tokens may say.
var (
	keyNames   = []string{"alias", "formerly", "key", "max", "rate", "region", "retiring", "settle_while_waiting", "upstream"}
	poolNames  = []string{"name", "keys"}
	tokenNames = []string{"name", "role", "file", "expires"}
)

// regions are where accounts of PagerDuty's regions send their events
// (https://support.pagerduty.com/main/docs/service-regions).
var regions = map[string]string{"us": eventsv2.DefaultBaseURL, "eu": "https://events.eu.pagerduty.com"}

// entry is one of a list while it is read.
type entry struct {
	d       *document
	s       *Settings
	name    string // keys[0]
	members map[string]member
}

// takeLists takes keys, pools and tokens over from the file.
func (s *Settings) takeLists(d *document, members map[string]member) {
	each := func(list string, names []string, take func(e entry)) {
		for i, node := range d.items(members[list], list) {
			if d.wrong.full() {
				return
			}
			e := entry{d, s, fmt.Sprintf("%s[%d]", list, i), nil}
			s.origins[e.name] = d.at(node)
			if e.members = d.members(node, e.name, names); e.members != nil {
				take(e)
			}
		}
	}
	each("keys", keyNames, func(e entry) { s.Keys = append(s.Keys, e.key()) })
	each("pools", poolNames, func(e entry) { s.Pools = append(s.Pools, e.pool()) })
	each("tokens", tokenNames, func(e entry) { s.Tokens = append(s.Tokens, e.token()) })
}

// text returns a member's text, "" if there is none.
func (e entry) text(name string) string {
	m, given := e.members[name]
	if !given {
		return ""
	}
	e.s.origins[e.name+"."+name] = m.at
	text, _ := e.d.scalar(m, e.name+"."+name)
	return strings.TrimSpace(text)
}

// wrong tells what is wrong about a member, or about the entry if it has none.
func (e entry) wrong(name, format string, args ...any) {
	at, given := e.members[name]
	if !given {
		e.d.wrong.add(e.s.origins[e.name], e.name, format, args...)
		return
	}
	e.d.wrong.add(at.at, e.name+"."+name, format, args...)
}

func (e entry) key() Key {
	k := Key{Alias: e.text("alias"), Upstream: strings.TrimRight(e.text("upstream"), "/")}
	if err := checkName(k.Alias); err != nil {
		e.wrong("alias", "the name by which people see the key: %w", err)
	} else if numeric.MatchString(k.Alias) {
		e.wrong("alias", "the name by which people see the key: %q would be read as the number of a lane: put a letter into it", shown(k.Alias))
	}
	if rate := e.text("rate"); rate != "" {
		n, err := parseRate(rate)
		if err != nil {
			e.wrong("rate", "%w", err)
		}
		k.Rate = n
	}
	if most := e.text("max"); most != "" {
		n, err := parseMax(most)
		if err != nil {
			e.wrong("max", "%w", err)
		}
		k.Max = n
	}
	if way := e.text("settle_while_waiting"); way != "" {
		word, err := oneOf(way, whileWaiting)
		if err != nil {
			e.wrong("settle_while_waiting", "%w", err)
		}
		k.WhileWaiting = word
	}
	if k.Upstream != "" {
		if err := checkUpstream(k.Upstream); err != nil {
			e.wrong("upstream", "%w", err)
		}
	}
	if region := e.text("region"); region != "" {
		base, known := regions[strings.ToLower(region)]
		switch {
		case !known:
			e.wrong("region", "%q is not one of us, eu", shown(region))
		case k.Upstream != "":
			e.wrong("region", "upstream says where this key's events go; give one of the two")
		default:
			k.Upstream = base
		}
	}
	text := e.text("key")
	var err error
	if k.Key, err = e.secretKey(text); err != nil {
		e.wrong("key", "%w", err)
	}
	k.File = strings.HasPrefix(text, "file:")
	switch text := e.text("retiring"); strings.ToLower(text) {
	case "", "false":
	case "true":
		k.Retiring = true
	default:
		e.wrong("retiring", "%q is not one of true, false", shown(text))
	}
	k.Formerly = e.formerly()
	return k
}

// mostFormerly is more keys than one takes the place of.
const mostFormerly = 16

// formerly reads the keys whose place the entry's key takes.
func (e entry) formerly() (keys []eventsv2.Key) {
	list, _ := e.texts("formerly", "[file:/path of a file that holds a key]")
	if len(list) > mostFormerly {
		e.wrong("formerly", "it has %d keys, at most %d are taken: take out those of which nothing is open or queued", len(list), mostFormerly)
		return nil
	}
	for i, text := range list {
		key, err := e.secretKey(strings.TrimSpace(text))
		if err != nil {
			e.wrong("formerly", "formerly[%d]: %w", i, err)
			continue
		}
		keys = append(keys, key)
	}
	return keys
}

// secretKey reads a key, or the file that holds it.
func (e entry) secretKey(text string) (eventsv2.Key, error) {
	if text == "" {
		return eventsv2.Key{}, errors.New("key is missing: give the integration key, or file:/path of a file that holds it")
	}
	path, isFile := strings.CutPrefix(text, "file:")
	if !isFile {
		key, err := eventsv2.ParseKey(text)
		if err != nil {
			return key, fmt.Errorf("%w; or give file:/path of a file that holds it", err)
		}
		if access.Readable(e.d.path) {
			e.s.warn("every user of this machine can read %s, which holds integration keys: chmod o-rwx, or give the keys as file:/path", shown(e.d.path))
		}
		return key, nil
	}
	text, err := e.secretFile(path)
	if err != nil {
		return eventsv2.Key{}, err
	}
	key, err := eventsv2.ParseKey(text)
	if err != nil {
		return key, fmt.Errorf("%q holds no key: %w", shown(path), err)
	}
	return key, nil
}

// maxSecret is more than any key or token has.
const maxSecret = 4 << 10

// secretFile reads a file with a secret. A relative path starts where the file of
// settings is: a daemon's own folder is an accident of its start.
func (e entry) secretFile(path string) (string, error) {
	path = strings.TrimSpace(path)
	if path == "" {
		return "", errors.New("a path is wanted")
	}
	named := beside(e.d.path, path)
	path = e.d.from.Locate(named)
	data, err := readFile(path, maxSecret)
	if err != nil {
		return "", missingCredential(path, err)
	}
	if err := e.d.from.readableByService(named); err != nil {
		return "", err
	}
	if err := access.Changeable(path); err != nil {
		return "", fmt.Errorf("%q: %w", shown(path), err)
	}
	if access.Readable(path) {
		e.s.warn("every user of this machine can read %s, which holds a secret: chmod o-rwx", shown(path))
	}
	return strings.TrimSpace(string(data)), nil
}

func (e entry) pool() Pool {
	p := Pool{Name: e.text("name")}
	if err := checkName(p.Name); err != nil {
		e.wrong("name", "the name of the pool: %w", err)
	}
	for i, node := range e.d.items(e.members["keys"], e.name+".keys") {
		name := fmt.Sprintf("%s.keys[%d]", e.name, i)
		m := member{node, e.d.at(node)}
		e.s.origins[name] = m.at
		alias, given := e.d.scalar(m, name)
		if !given {
			continue
		}
		p.Keys = append(p.Keys, strings.TrimSpace(alias))
	}
	return p
}

// minToken is what nobody guesses within the life of a token.
const minToken = 16

func (e entry) token() Token {
	t := Token{Name: e.text("name")}
	if err := checkPerson(t.Name); err != nil {
		e.wrong("name", "whose token it is, for the history of what is done with it: %w", err)
	}
	switch role := e.text("role"); role {
	case "operator":
		t.Operator = true
	case "viewer":
	case "":
		e.wrong("role", "role is missing: viewer may look, operator may act")
	default:
		e.wrong("role", "%q is not one of viewer, operator%s", shown(role), Suggestion(role, []string{"viewer", "operator"}))
	}
	path := e.text("file")
	if path == "" {
		e.wrong("file", "file is missing: the path of the file that holds the token")
		return t
	}
	text, err := e.secretFile(path)
	switch {
	case err != nil:
		e.wrong("file", "%w", err)
	case len(text) < minToken:
		e.wrong("file", "the token in %q has %d characters, at least %d are needed; make one with: openssl rand -hex 32", shown(path), len(text), minToken)
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= unicode.MaxASCII }):
		e.wrong("file", "the token in %q has a character that no HTTP header takes; make one with: openssl rand -hex 32", shown(path))
	}
	t.Secret = NewSecret(text)
	if at := e.text("expires"); at != "" {
		if t.Expires, err = expiry(at); err != nil {
			e.wrong("expires", "%w", err)
		}
	}
	e.warnOfToken(t, path)
	return t
}

// maxName is as wide as a column of a table may be.
const maxName = 64

var (
	plainName = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._-]*$`)
	numeric   = regexp.MustCompile(`^[0-9]+$`)
	printLike = regexp.MustCompile(`^(?i)key-[0-9a-f]{16}$`)
	keyLike   = regexp.MustCompile(`[0-9A-Za-z]{32}|[A-Za-z]*[0-9][0-9A-Za-z]*`)
)

// checkName takes what can stand in a path of the admin API, in a filter and in a
// metric as it is.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("it is missing")
	case len(name) > maxName || !plainName.MatchString(name):
		return fmt.Errorf("%q is none: up to %d letters, digits, dots, dashes and underscores, with a letter or digit first", shown(name), maxName)
	case printLike.MatchString(name):
		return fmt.Errorf("%q could be the fingerprint of another key", shown(name))
	}
	return looksSecret(name)
}

// checkPerson takes a name as people write it.
func checkPerson(name string) error {
	switch {
	case name == "":
		return errors.New("it is missing")
	case len(name) > maxName || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("%q is none: up to %d printable characters", shown(name), maxName)
	}
	return looksSecret(name)
}

// looksSecret refuses a name that may be a key, or half of one: names are shown
// everywhere.
func looksSecret(name string) error {
	for _, run := range keyLike.FindAllString(name, -1) {
		if len(run) >= 16 {
			return errors.New("it looks like a key, and names are shown everywhere: put a dash between letters and digits")
		}
	}
	return nil
}
