package settings

import (
	"errors"
	"fmt"
	"net/http"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/access"
	"github.com/goccy/go-yaml/ast"
	"golang.org/x/net/http/httpguts"
)

// Notify says by which ways the relay calls for help when critical events do not leave.
// It is zero if the file gives no way.
type Notify struct {
	After time.Duration // that a critical event may wait
	Ways  []Way
}

// Way is one way to call for help. One of Command, URL, Host and Upstream says which kind
// it is of.
type Way struct {
	Name    string
	Timeout time.Duration // of one attempt
	Watches []string      // upstreams whose outages it tells; nil for all

	Command []string // program and arguments

	URL     Secret   // of a webhook
	Headers []Header // of a webhook

	Host     string // of a mail server
	Port     int
	TLS      string // starttls, implicit, none
	From     string
	To       []string
	User     string
	Password Secret

	Upstream string // PagerDuty's, for another integration key
	Key      eventsv2.Key
}

// Header is one that a webhook gets.
type Header struct {
	Name  string
	Value Secret
}

// Kind is what the way is.
func (w Way) Kind() string {
	switch {
	case len(w.Command) > 0:
		return "command"
	case w.URL.Reveal() != "":
		return "webhook"
	case w.Host != "":
		return "smtp"
	}
	return "pagerduty"
}

var (
	notifyNames = []string{"after", "ways"}
	wayNames    = []string{"name", "timeout", "watches", "command", "webhook", "headers", "smtp", "tls", "from", "to", "user", "password", "pagerduty", "key"}
)

// ofKind says which members belong to a kind alone.
var ofKind = map[string][]string{
	"command": {}, "webhook": {"headers"}, "smtp": {"tls", "from", "to", "user", "password"}, "pagerduty": {"key"},
}

// kinds are those of ofKind in the order in which they are explained.
var kinds = []string{"command", "webhook", "smtp", "pagerduty"}

const (
	// defaultAfter is longer than a limit of PagerDuty's lasts, so that one is not called
	// for.
	defaultAfter = 3 * time.Minute
	minAfter     = time.Second

	defaultTimeout = 30 * time.Second
	maxTimeout     = 10 * time.Minute

	// maxWays: each has a goroutine, and nobody reads more mails than that.
	maxWays = 20
)

// takeNotify takes notify over from the file.
func (s *Settings) takeNotify(d *document, m member, given bool) {
	if !given {
		return
	}
	e := entry{d, s, "notify", nil}
	s.origins[e.name] = m.at
	if e.members = d.members(m.value, e.name, notifyNames); e.members == nil {
		return
	}
	s.origins["notify.after"] = origin{text: "default"}
	s.Notify.After = e.duration("after", defaultAfter, minAfter, 24*time.Hour)
	nodes := d.items(e.members["ways"], "notify.ways")
	if len(nodes) == 0 || len(nodes) > maxWays {
		e.wrong("ways", "it has %d ways, and 1 to %d are taken: take notify out to call nobody", len(nodes), maxWays)
		return
	}
	for i, node := range nodes {
		w := entry{d, s, fmt.Sprintf("notify.ways[%d]", i), nil}
		s.origins[w.name] = d.at(node)
		if w.members = d.members(node, w.name, wayNames); w.members != nil {
			s.Notify.Ways = append(s.Notify.Ways, w.way())
		}
	}
}

// duration returns a member's time.
func (e entry) duration(name string, standard, low, high time.Duration) time.Duration {
	text := e.text(name)
	if text == "" {
		return standard
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < low || d > high {
		e.wrong(name, "%q is no duration from %s to %s; write it like 30s or 3m", shown(text), shortDuration(low), shortDuration(high))
		return standard
	}
	return d
}

// texts returns a member's list of entries, none if the member is missing. ok is false if
// it is wrong and that has been reported.
func (e entry) texts(name, entries string) (list []string, ok bool) {
	m, given := e.members[name]
	if !given {
		return nil, true
	}
	switch m.value.(type) {
	case nil, *ast.NullNode, *ast.SequenceNode:
	default:
		e.wrong(name, "a list is wanted: %s", entries)
		return nil, false
	}
	e.s.origins[e.name+"."+name] = m.at
	for i, node := range e.d.items(m, e.name+"."+name) {
		text, _ := e.d.scalar(member{node, e.d.at(node)}, fmt.Sprintf("%s.%s[%d]", e.name, name, i))
		list = append(list, text)
	}
	return list, true
}

// secret is a member's value, or what stands in the file that it names. ok is false if
// that is wrong and has been reported.
func (e entry) secret(name string) (value string, ok bool) {
	text := e.text(name)
	path, isFile := strings.CutPrefix(text, "file:")
	if !isFile {
		if text != "" && access.Readable(e.d.path) {
			e.s.warn("every user of this machine can read %s, which holds secrets: chmod o-rwx, or give them as file:/path", shown(e.d.path))
		}
		return text, true
	}
	text, err := e.secretFile(path)
	switch {
	case err != nil:
		e.wrong(name, "%w", err)
	case text == "":
		e.wrong(name, "%q is empty", shown(path))
	default:
		return text, true
	}
	return "", false
}

func (e entry) way() Way {
	w := Way{Name: e.text("name"), Timeout: e.duration("timeout", defaultTimeout, time.Second, maxTimeout)}
	if err := checkName(w.Name); err != nil {
		e.wrong("name", "the name by which the log and notify test call it: %w", err)
	}
	watches, _ := e.texts("watches", "upstreams, such as https://events.pagerduty.com")
	for _, text := range watches {
		w.Watches = append(w.Watches, strings.TrimRight(strings.TrimSpace(text), "/"))
	}
	var given []string
	for _, kind := range kinds {
		if _, is := e.members[kind]; is {
			given = append(given, kind)
		}
	}
	if len(given) != 1 {
		e.wrong("", "give one of %s; it has %d of them", strings.Join(kinds, ", "), len(given))
		return w
	}
	for _, kind := range kinds {
		for _, name := range ofKind[kind] {
			if _, is := e.members[name]; is && kind != given[0] {
				e.wrong(name, "it belongs to %s, and this way is a %s", kind, given[0])
			}
		}
	}
	switch given[0] {
	case "command":
		e.command(&w)
	case "webhook":
		e.webhook(&w)
	case "smtp":
		e.mail(&w)
	case "pagerduty":
		e.pagerduty(&w)
	}
	return w
}

// command takes a program that others can neither change nor replace: it runs as the
// relay does.
func (e entry) command(w *Way) {
	const entries = "the path of the program, then its arguments; there is no shell"
	var ok bool
	if w.Command, ok = e.texts("command", entries); len(w.Command) == 0 {
		if ok {
			e.wrong("command", "a list is wanted: "+entries)
		}
		return
	}
	path := w.Command[0]
	info, err := os.Stat(path)
	switch {
	case !filepath.IsAbs(path):
		e.wrong("command", "%q is no absolute path of a program; there is no shell that would look for it", shown(path))
	case err != nil:
		e.wrong("command", "%w", unreadable(path, err))
	case !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0:
		e.wrong("command", "%q is no program: chmod +x", shown(path))
	default:
		if err := access.Changeable(path); err != nil {
			e.wrong("command", "%q: %w", shown(path), err)
		}
	}
	if slices.ContainsFunc(w.Command, func(arg string) bool { return strings.ContainsRune(arg, 0) }) {
		e.wrong("command", "an argument has a zero byte")
	}
}

// webhook takes an address that may be a secret as a whole, as those of chats are.
func (e entry) webhook(w *Way) {
	text, ok := e.secret("webhook")
	w.URL = NewSecret(text)
	u, err := url.Parse(text)
	switch {
	case !ok:
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		e.wrong("webhook", "it is no https or http URL; give the URL, or file:/path of a file that holds it")
	case u.User != nil:
		e.wrong("webhook", "a URL with a user in it is not taken: give a header Authorization")
	case u.Scheme == "http":
		if isPublic(hostOf(u)) {
			e.s.warn("%s: what is called for goes to %s in clear, with its headers: use https, unless all of the way is trusted", e.name, shown(u.Host))
		}
		if err := eventsv2.CheckPlainHost(u.Hostname()); err != nil {
			e.wrong("webhook", "%w", err)
		}
	}
	headers, _ := e.secret("headers")
	for line := range strings.Lines(headers) {
		name, value, found := strings.Cut(strings.TrimSpace(line), ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		switch {
		case name == "" && !found:
		case !found || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value):
			e.wrong("headers", "a line is no header; write one in each line, such as Authorization: Bearer ...")
		default:
			w.Headers = append(w.Headers, Header{http.CanonicalHeaderKey(name), NewSecret(value)})
		}
	}
}

// defaultPorts are those of a mail server, by tls.
var defaultPorts = map[string]int{"starttls": 587, "implicit": 465, "none": 25}

func (e entry) mail(w *Way) {
	if w.TLS = strings.ToLower(e.text("tls")); w.TLS == "" {
		w.TLS = "starttls"
	}
	if _, known := defaultPorts[w.TLS]; !known {
		e.wrong("tls", "%q is not one of starttls, implicit, none", shown(w.TLS))
	}
	w.Host, w.Port = e.text("smtp"), defaultPorts[w.TLS]
	if host, port, isBoth := strings.Cut(w.Host, ":"); isBoth && !strings.Contains(port, ":") {
		n, err := strconv.Atoi(port)
		if err != nil || n < 1 || n > 65535 {
			e.wrong("smtp", "the port must be a number from 1 to 65535")
		}
		w.Host, w.Port = host, n
	}
	if w.Host == "" || strings.Trim(strings.ToLower(w.Host), "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "" {
		e.wrong("smtp", "%q is no host such as mail.example.com or mail.example.com:587", shown(w.Host))
	}
	if w.From = e.text("from"); w.From == "" {
		e.wrong("from", "from is missing: the address of the sender, such as relay@example.com")
	} else if err := checkMailbox(w.From); err != nil {
		e.wrong("from", "%w", err)
	}
	var ok bool
	if w.To, ok = e.texts("to", "addresses"); ok && len(w.To) == 0 {
		e.wrong("to", "to is missing: a list of addresses")
	}
	for _, to := range w.To {
		if err := checkMailbox(to); err != nil {
			e.wrong("to", "%w", err)
		}
	}
	w.User = e.text("user")
	password, ok := e.secret("password")
	w.Password = NewSecret(password)
	switch {
	case !ok:
	case (w.User == "") != (password == ""):
		e.wrong("user", "user and password go together; give both or none")
	case password != "" && w.TLS == "none":
		e.wrong("tls", "the password would go in clear: give tls: starttls or implicit")
	case w.TLS == "none" && isPublic(strings.ToLower(w.Host)):
		e.s.warn("%s: mails go to %s in clear: give tls: starttls", e.name, shown(w.Host))
	}
}

func checkMailbox(text string) error {
	if _, err := mail.ParseAddress(text); err != nil || strings.ContainsAny(text, "\r\n") {
		return fmt.Errorf("%q is no address such as oncall@example.com", shown(text))
	}
	return nil
}

func (e entry) pagerduty(w *Way) {
	w.Upstream = strings.TrimRight(e.text("pagerduty"), "/")
	if base, known := regions[strings.ToLower(w.Upstream)]; known {
		w.Upstream = base
	}
	if err := checkUpstream(w.Upstream); err != nil {
		e.wrong("pagerduty", "%w; us and eu are PagerDuty's", err)
	}
	var err error
	if w.Key, err = e.secretKey(e.text("key")); err != nil {
		e.wrong("key", "%w", err)
	}
}

// checkNotify looks at what the ways are together with the rest of the settings.
func (s *Settings) checkNotify(wrong *problems) {
	names := map[string]int{}
	for i, w := range s.Notify.Ways {
		name := fmt.Sprintf("notify.ways[%d]", i)
		if j, taken := firstOf(names, w.Name, i, w.Name != ""); taken {
			s.wrong(wrong, name+".name", "%q is the name of notify.ways[%d] already", shown(w.Name), j)
		}
		sent := s.sentTo()
		watched := sent
		if w.Watches != nil {
			watched = w.Watches
		}
		for _, upstream := range w.Watches {
			if !slices.ContainsFunc(sent, func(other string) bool { return sameHost(upstream, other) }) {
				s.wrong(wrong, name+".watches", "no lane sends to %q; the upstreams are %s", shown(upstream), shown(strings.Join(sent, ", ")))
			}
		}
		if w.Upstream == "" {
			continue
		}
		if at := slices.IndexFunc(watched, func(upstream string) bool { return sameHost(upstream, w.Upstream) }); at >= 0 {
			err := fmt.Errorf("%s is the upstream of lanes that this way watches, and would not hear of its own outage: give another upstream, such as PagerDuty's other service region, or say with watches whose outages it tells", shown(w.Upstream))
			s.wrong(wrong, name+".pagerduty", "%w", err)
		}
	}
}

// sentTo are the upstreams that lanes send to.
func (s *Settings) sentTo() []string {
	var all []string
	common := !s.OnlyListed
	for _, k := range s.Keys {
		if k.Upstream == "" {
			common = true
		} else if !slices.Contains(all, k.Upstream) {
			all = append(all, k.Upstream)
		}
	}
	if common && !slices.Contains(all, s.Upstream) {
		all = append(all, s.Upstream)
	}
	return all
}

// sameHost reports whether two upstreams are one server: they fail together.
func sameHost(a, b string) bool {
	first, err := url.Parse(a)
	second, other := url.Parse(b)
	return errors.Join(err, other) == nil && hostOf(first) == hostOf(second) && portOf(first) == portOf(second)
}

func portOf(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	return map[string]string{"http": "80", "https": "443"}[u.Scheme]
}

// Tells reports whether the way tells of the outages of an upstream.
func (w Way) Tells(upstream string) bool {
	return w.Watches == nil || slices.ContainsFunc(w.Watches, func(one string) bool { return sameHost(one, upstream) })
}

// describe is the way for people, without secrets.
func (w Way) describe() string {
	var text string
	switch w.Kind() {
	case "command":
		text = "command " + w.Command[0]
	case "webhook":
		text = "webhook"
		if u, err := url.Parse(w.URL.Reveal()); err == nil {
			text += " at " + u.Host
		}
		if n := len(w.Headers); n > 0 {
			text += fmt.Sprintf(", %d headers", n)
		}
	case "smtp":
		text = fmt.Sprintf("smtp %s:%d (%s) to %s", w.Host, w.Port, w.TLS, strings.Join(w.To, ", "))
	default:
		text = fmt.Sprintf("pagerduty %s (%s)", w.Upstream, w.Key.Fingerprint())
	}
	if w.Watches != nil {
		text += ", watches " + strings.Join(w.Watches, ", ")
	}
	return w.Name + ": " + text
}
