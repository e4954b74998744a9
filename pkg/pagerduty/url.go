package pagerduty

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

// Scheme is the scheme of the service's URLs.
const Scheme = "pagerduty"

// DefaultHost is where events go unless the URL names another host.
const DefaultHost = "events.pagerduty.com"

const (
	defaultPort      = 443
	defaultPlainPort = 80 // with disabletls=yes
)

const urlForm = "pagerduty://[host[:port]]/integration-key[?parameters]"

// location is a URL in its parts. net/url cannot take it apart: it ends the query
// at a #, which raw JSON may hold, and it puts the whole URL into its errors.
type location struct {
	host  string // "" for the default
	port  int    // 0 for the default
	keys  []eventsv2.Key
	query string

	warnings []string
}

func parseLocation(raw string, wrong *problems) (loc location) {
	scheme, rest, _ := strings.Cut(Unquote(raw), ":")
	if !strings.EqualFold(scheme, Scheme) {
		wrong.add("url", "", "must begin with pagerduty://")
		return loc
	}
	rest, ok := strings.CutPrefix(rest, "//")
	if !ok {
		wrong.add("url", "", "must have the form %s", urlForm)
		return loc
	}
	rest, loc.query, _ = strings.Cut(rest, "?")
	authority, path, hasPath := strings.Cut(rest, "/")
	if !hasPath && looksLikeKeys(authority) {
		wrong.add(partKey, "", "it stands where the host belongs: write three slashes, pagerduty:///integration-key")
		return loc
	}
	loc.host, loc.port = parseAuthority(authority, wrong)
	loc.keys, loc.warnings = parseKeys(strings.TrimSuffix(path, "/"), wrong)
	return loc
}

// Unquote takes away the quotes around a text, and the white space. A shell does so; what else
// reads files of variables, such as docker's --env-file, does not.
func Unquote(text string) string {
	text = strings.TrimSpace(text)
	if n := len(text); n > 1 && (text[0] == '"' || text[0] == '\'') && text[n-1] == text[0] {
		return strings.TrimSpace(text[1 : n-1])
	}
	return text
}

func parseAuthority(authority string, wrong *problems) (host string, port int) {
	if strings.Contains(authority, "@") {
		wrong.add("host", "", "a user name or password has no place in the URL: the integration key stands behind the host")
		return "", 0
	}
	host, portText, hasPort := authority, "", false
	if end := strings.LastIndexByte(authority, ']'); end >= 0 {
		host, portText = authority[:end+1], authority[end+1:]
		portText, hasPort = strings.CutPrefix(portText, ":")
		if !hasPort && portText != "" {
			wrong.add("host", authority, "only a port may stand behind the bracket")
			return "", 0
		}
	} else {
		host, portText, hasPort = strings.Cut(authority, ":")
	}
	if holdsKey(host) {
		wrong.add(partKey, "", "it stands where the host belongs: write three slashes, pagerduty:///integration-key")
		return "", 0
	}
	if !validHost(host) && (host != "" || hasPort) {
		wrong.add("host", host, "is not a host name or address; an IPv6 address stands in brackets")
	}
	if !hasPort {
		return host, 0
	}
	port, err := strconv.Atoi(portText)
	if err != nil || port < 1 || port > 65535 || portText[0] == '+' {
		wrong.add("port", portText, "must be a number from 1 to 65535")
		return host, 0
	}
	return host, port
}

// holdsKey reports whether a label of the host is a key: no real host has such a
// one, and the name server must not learn it.
func holdsKey(host string) bool {
	return slices.ContainsFunc(strings.Split(host, "."), isHexKey)
}

func validHost(host string) bool {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		return err == nil && addr.Is6()
	}
	for i := range len(host) {
		c := host[i]
		if c != '-' && c != '.' && c != '_' && !isAlphanumeric(c) && c < 0x80 {
			return false
		}
	}
	// Names of other alphabets are fine; what cannot be seen is not.
	hidden := func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }
	return host != "" && !strings.ContainsFunc(host, hidden)
}

func isAlphanumeric(c byte) bool {
	return isHex(c) || c >= 'g' && c <= 'z' || c >= 'G' && c <= 'Z'
}

// parseKeys reads the keys. One that stands twice is one key.
func parseKeys(path string, wrong *problems) (keys []eventsv2.Key, warnings []string) {
	if path == "" {
		wrong.add(partKey, "", "it is missing: the URL has the form %s", urlForm)
		return nil, nil
	}
	texts := strings.Split(path, ",")
	for i, text := range texts {
		key, reason := parseKey(text)
		if reason != "" {
			which := ""
			if len(texts) > 1 {
				which = "number " + strconv.Itoa(i+1) + " of " + strconv.Itoa(len(texts)) + ": "
			}
			wrong.add(partKey, "", "%s%s", which, reason)
			continue
		}
		if slices.ContainsFunc(keys, key.Equal) {
			warnings = append(warnings, fmt.Sprintf("integration key number %d of %d is named twice: it counts once", i+1, len(texts)))
			continue
		}
		keys = append(keys, key)
	}
	return keys, warnings
}

// parseKey tells why a text is no integration key, without quoting it.
func parseKey(text string) (key eventsv2.Key, reason string) {
	const want = "it must be 32 hexadecimal characters"
	trimmed := strings.TrimSpace(decode(text))
	switch {
	case text == "":
		return key, "it is empty; " + want
	case strings.Contains(strings.ToLower(text), Scheme+":"):
		return key, "several URLs stand in one: give each by itself"
	case isHexKey(text):
		key, err := eventsv2.ParseKey(text)
		if err != nil {
			return key, err.Error()
		}
		return key, ""
	case looksLikeRESTKey(text):
		return key, want + "; this looks like a REST API key: take the integration key of an \"Events API v2\" integration on the service's Integrations tab"
	case trimmed != text && isHexKey(trimmed):
		return key, want + "; there is white space around it"
	case len(text) != 32:
		return key, want + ", and it has " + strconv.Itoa(len([]rune(text)))
	case text[0] == 'R':
		return key, want + "; this looks like the key of an event orchestration, and only the keys of service integrations are supported"
	}
	return key, want + ", and it has others"
}

func isHexKey(text string) bool {
	for i := range len(text) {
		if !isHex(text[i]) {
			return false
		}
	}
	return len(text) == 32
}

// looksLikeRESTKey knows the form of PagerDuty's REST API keys, such as
// "e+23rschqsESqk9Q6_-g": 20 characters.
func looksLikeRESTKey(text string) bool {
	for i := range len(text) {
		if c := text[i]; c != '+' && c != '_' && c != '-' && !isAlphanumeric(c) {
			return false
		}
	}
	return len(text) == 20
}

func looksLikeKeys(authority string) bool {
	for _, text := range strings.Split(authority, ",") {
		if !isHexKey(text) {
			return false
		}
	}
	return true
}
