package settings

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// check looks at the settings as a whole.
func (s *Settings) check() (wrong []error) {
	say := func(name, format string, args ...any) {
		wrong = append(wrong, fmt.Errorf("%s (%s): %w", name, s.Origins[name], fmt.Errorf(format, args...)))
	}
	for name, address := range map[string]string{"listen": s.Listen, "admin": s.Admin} {
		if err := checkAddress(address); err != nil {
			say(name, "%w", err)
		}
	}
	if err := checkUpstream(s.Upstream); err != nil {
		say("upstream", "%w", err)
	}
	if len(wrong) > 0 {
		return wrong
	}
	if !IsLoopback(s.Listen) {
		if s.WebConfig == "" && !s.AllowPlain {
			say("listen", "other machines reach %s, and integration keys would come in clear: give TLS with web_config, or say allow_plain", s.Listen)
		}
		if !s.OnlyListed || len(s.Keys) == 0 {
			say("listen", "other machines reach %s: list the keys that they may use (keys) and say only_listed: true", s.Listen)
		}
	}
	if !IsLoopback(s.Admin) && len(s.Tokens) == 0 {
		say("admin", "other machines reach %s: give tokens, as whoever gets in can drop and requeue pages", s.Admin)
	}
	return append(wrong, s.checkLists()...)
}

// checkLists looks for what cannot be meant in keys, pools and tokens.
func (s *Settings) checkLists() (wrong []error) {
	say := func(name string, i int, format string, args ...any) {
		at := fmt.Sprintf("%s[%d]", name, i)
		wrong = append(wrong, fmt.Errorf("%s (%s): %w", at, s.Origins[at], fmt.Errorf(format, args...)))
	}
	var aliases []string
	for i, k := range s.Keys {
		if slices.Contains(aliases, k.Alias) {
			say("keys", i, "the alias %q stands twice", k.Alias)
		}
		for j, other := range s.Keys[:i] {
			if other.Key.Equal(k.Key) {
				say("keys", i, "it is the same integration key as keys[%d] (%s)", j, other.Alias)
			}
		}
		if k.Upstream != "" {
			if err := checkUpstream(k.Upstream); err != nil {
				say("keys", i, "%w", err)
			}
		}
		aliases = append(aliases, k.Alias)
	}
	taken := map[string]string{}
	for i, p := range s.Pools {
		if p.Name == "" {
			say("pools", i, "name is missing")
		}
		if len(p.Keys) < 2 {
			say("pools", i, "a pool has at least two keys")
		}
		for _, alias := range p.Keys {
			if !slices.Contains(aliases, alias) {
				say("pools", i, "%q is no alias of keys%s", shown(alias), suggestion(alias, aliases))
			}
			if other, isTaken := taken[alias]; isTaken {
				say("pools", i, "%q belongs to the pool %q already", alias, other)
			}
			taken[alias] = p.Name
		}
	}
	var names []string
	for i, t := range s.Tokens {
		if slices.Contains(names, t.Name) {
			say("tokens", i, "the name %q stands twice", t.Name)
		}
		names = append(names, t.Name)
	}
	return wrong
}

func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is no address: give host:port, such as 127.0.0.1:8686", shown(address))
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%q: the port must be a number from 0 to 65535", shown(address))
	}
	return nil
}

// IsLoopback reports whether only this machine reaches the address.
func IsLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}

// checkUpstream takes http for an emulator or another relay, but never for
// PagerDuty itself, which would get the key in clear.
func checkUpstream(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "":
		return fmt.Errorf("%q is no URL such as https://events.pagerduty.com", shown(text))
	case u.User != nil:
		return errors.New("a URL with a user in it is not taken")
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("%q: the scheme must be https, or http for an emulator or another relay", shown(text))
	case u.Scheme == "http" && strings.HasSuffix(strings.ToLower(u.Hostname()), "pagerduty.com"):
		return errors.New("PagerDuty is reached by https: http would send the key in clear")
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("only scheme, host and path are wanted; /v2/enqueue is added")
	}
	return nil
}

// suggestion is what a misspelt word may have meant.
func suggestion(word string, known []string) string {
	best, least := "", 3
	for _, candidate := range known {
		if d := distance(strings.ToLower(word), candidate); d < least {
			best, least = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return ", did you mean " + best + "?"
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, before+1, row[j]+1)
		}
	}
	return row[len(b)]
}
