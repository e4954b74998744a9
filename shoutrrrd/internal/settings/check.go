package settings

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/exporter-toolkit/web"
)

// checkWhole looks at what the plain settings are together. What has been refused
// already is left alone.
func (s *Settings) checkWhole(wrong *problems, refused map[string]bool) {
	for _, file := range []struct{ name, path string }{{"web_config", s.WebConfig}, {"admin_web_config", s.AdminWebConfig}} {
		if err := checkWebConfig(file.path); err != nil {
			s.wrong(wrong, file.name, "%w", err)
		}
	}
	if s.OnlyListed && len(s.Keys) == 0 {
		s.wrong(wrong, "only_listed", "no keys are listed, so that every event would be refused: give keys")
	}
	if refused["listen"] || refused["admin"] {
		return
	}
	for _, name := range []string{"listen", "admin"} {
		if err := s.doorMayOpen(name, map[string]string{"listen": s.Listen, "admin": s.Admin}[name]); err != nil {
			s.wrong(wrong, name, "%w", err)
		}
	}
	if _, port, _ := net.SplitHostPort(s.Admin); s.Admin == s.Listen && port != "0" {
		s.wrong(wrong, "admin", "both doors cannot be at %s", s.Admin)
	}
	if refused["upstream"] {
		return
	}
	s.checkRoute(wrong, "upstream", s.Upstream)
	for i, k := range s.Keys {
		if k.Upstream != "" && checkUpstream(k.Upstream) == nil {
			s.checkRoute(wrong, fmt.Sprintf("keys[%d].upstream", i), k.Upstream)
		}
	}
}

// doorMayOpen reports why a door, "listen" or "admin", may not be open at an address.
func (s *Settings) doorMayOpen(name, address string) error {
	if IsLoopback(address) {
		return nil
	}
	if name == "admin" {
		if len(s.Tokens) == 0 {
			return fmt.Errorf("other machines reach %s: give tokens, as whoever gets in can drop and requeue pages", address)
		}
		if s.AdminWebConfig == "" {
			s.warn("other machines reach the second door at %s and send their tokens in clear: give TLS with admin_web_config", address)
		}
		return nil
	}
	if s.WebConfig == "" && !s.AllowPlain {
		return fmt.Errorf("other machines reach %s, and integration keys would come in clear: give TLS with web_config, or say allow_plain", address)
	}
	if !s.OnlyListed || len(s.Keys) == 0 {
		return fmt.Errorf("other machines reach %s: list the keys that they may use (keys) and say only_listed: true", address)
	}
	return nil
}

// checkWebConfig wants TLS of the file, for that is what the doors take it for.
func checkWebConfig(path string) error {
	if path == "" {
		return nil
	}
	data, err := readFile(path, maxFile)
	if err != nil {
		return err
	}
	var file struct {
		TLS struct {
			CertFile string `yaml:"cert_file"`
			Cert     string `yaml:"cert"`
		} `yaml:"tls_server_config"`
	}
	if err := withoutPanic(func() error { return yaml.Unmarshal(data, &file) }); err != nil {
		return fmt.Errorf("%q: %w", shown(path), plainYAML(err))
	}
	if file.TLS.CertFile == "" && file.TLS.Cert == "" {
		return fmt.Errorf("%q has no tls_server_config with cert_file and key_file", shown(path))
	}
	if err := web.Validate(path); err != nil {
		return fmt.Errorf("%q: %s", shown(path), withoutSecrets(err.Error()))
	}
	return nil
}

// checkLists looks for what cannot be meant in keys, pools and tokens.
func (s *Settings) checkLists(wrong *problems) {
	say := func(name, member, format string, args ...any) {
		at, known := s.origins[name+"."+member]
		if !known {
			at, member = s.origins[name], ""
		} else {
			name += "." + member
		}
		wrong.add(at, name, format, args...)
	}
	for i, k := range s.Keys {
		name := fmt.Sprintf("keys[%d]", i)
		for j, other := range s.Keys[:i] {
			if k.Alias != "" && other.Alias == k.Alias {
				say(name, "alias", "%q is the alias of keys[%d] already", shown(k.Alias), j)
			}
			if !k.Key.IsZero() && other.Key.Equal(k.Key) {
				say(name, "key", "it is the same integration key as keys[%d] (%s)", j, shown(other.Alias))
			}
		}
	}
	for i, t := range s.Tokens {
		name := fmt.Sprintf("tokens[%d]", i)
		for j, other := range s.Tokens[:i] {
			if t.Name != "" && other.Name == t.Name {
				say(name, "name", "%q is the name of tokens[%d] already", shown(t.Name), j)
			}
			if secret := t.Secret.Reveal(); secret != "" && other.Secret.Reveal() == secret {
				say(name, "file", "it holds the same token as that of tokens[%d] (%s); nobody could tell who did what", j, shown(other.Name))
			}
		}
	}
	s.checkPools(say)
}

func (s *Settings) checkPools(say func(name, member, format string, args ...any)) {
	var aliases []string
	for _, k := range s.Keys {
		aliases = append(aliases, k.Alias)
	}
	taken := map[string]string{}
	for i, p := range s.Pools {
		name := fmt.Sprintf("pools[%d]", i)
		if j := slices.IndexFunc(s.Pools[:i], func(other Pool) bool { return other.Name == p.Name }); j >= 0 && p.Name != "" {
			say(name, "name", "%q is the name of pools[%d] already", shown(p.Name), j)
		}
		if len(p.Keys) < 2 {
			say(name, "keys", "a pool has at least two keys")
		}
		base := ""
		for j, alias := range p.Keys {
			member := fmt.Sprintf("keys[%d]", j)
			k := slices.Index(aliases, alias)
			if k < 0 {
				say(name, member, "%q is no alias of keys%s", shown(alias), Suggestion(alias, aliases))
				continue
			}
			if other, isTaken := taken[alias]; isTaken {
				say(name, member, "%q belongs to the pool %q already", shown(alias), shown(other))
			}
			taken[alias] = p.Name
			found := cmp.Or(s.Keys[k].Upstream, s.Upstream)
			if j > 0 && base != "" && found != base {
				say(name, member, "%q goes to another upstream than the pool's first key; the keys of a pool belong to one service", shown(alias))
			} else if j == 0 {
				base = found
			}
		}
	}
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
	return err == nil && isLocal(host)
}

func isLocal(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}

// checkUpstream takes http for an emulator or another relay, but never for
// PagerDuty itself, which would get the key in clear.
func checkUpstream(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return fmt.Errorf("%q is no URL such as https://events.pagerduty.com", shown(text))
	case u.User != nil:
		return errors.New("a URL with a user in it is not taken")
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("%q: the scheme must be https, or http for an emulator or another relay", shown(text))
	case u.Scheme == "http" && strings.HasSuffix("."+hostOf(u), ".pagerduty.com"):
		return errors.New("PagerDuty is reached by https: http would send the keys in clear")
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("only scheme, host and path are wanted")
	case strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/enqueue"):
		return fmt.Errorf("%q: leave /v2/enqueue out, the relay adds it", shown(text))
	}
	return nil
}

// hostOf is the host's name without what does not tell it from another.
func hostOf(u *url.URL) string { return strings.TrimSuffix(strings.ToLower(u.Hostname()), ".") }

// checkRoute looks where an upstream leads from here.
func (s *Settings) checkRoute(wrong *problems, name, text string) {
	u, err := url.Parse(text)
	if err != nil {
		return
	}
	listen, port, _ := net.SplitHostPort(s.Listen)
	if u.Port() == port && port != "0" && (isLocal(u.Hostname()) && (isLocal(listen) || listen == "" || listen == "0.0.0.0" || listen == "::") || u.Hostname() == listen) {
		s.wrong(wrong, name, "%s is this relay's own front door: events would go round for ever", shown(text))
	}
	if u.Scheme == "http" && isPublic(hostOf(u)) {
		s.warn("%s: events and their integration keys go to %s in clear: use https, unless all of the way is trusted", name, shown(u.Host))
	}
}

// privateSuffixes end names that no public name server knows (RFC 6761, 6762, 8375;
// ICANN has set internal apart for this).
var privateSuffixes = []string{".localhost", ".local", ".internal", ".test", ".home.arpa", ".lan"}

// isPublic reports whether the host is likely to be reached through networks of others.
func isPublic(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		ip = ip.Unmap()
		return !ip.IsLoopback() && !ip.IsPrivate() && !ip.IsLinkLocalUnicast()
	}
	return strings.Contains(host, ".") && !slices.ContainsFunc(privateSuffixes, func(suffix string) bool { return strings.HasSuffix(host, suffix) })
}
