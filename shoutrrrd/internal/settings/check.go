package settings

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/containrrr/shoutrrr/internal/redact"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/access"
	"github.com/goccy/go-yaml"
	"github.com/prometheus/exporter-toolkit/web"
)

// checkWhole looks at what the plain settings are together. What has been refused
// already is left alone.
func (s *Settings) checkWhole(wrong *problems, refused map[string]bool, from Sources) {
	for _, file := range []struct{ name, path string }{{"web_config", s.WebConfig}, {"admin_web_config", s.AdminWebConfig}} {
		if err := s.checkWebConfig(file.path, &from); err != nil {
			s.wrong(wrong, file.name, "%w", err)
		}
	}
	if s.OnlyListed && len(s.Keys) == 0 {
		s.wrong(wrong, "only_listed", "no keys are listed, so that every event would be refused: give keys")
	}
	// An address that has been refused counts as one that only this machine reaches:
	// what is wrong about it is told already.
	listen, admin := reach{}, reach{}
	if !refused["listen"] {
		listen = reachOf(s.Listen, from.Lookup)
	}
	if !refused["admin"] {
		admin = reachOf(s.Admin, from.Lookup)
	}
	for _, m := range s.missingGuards(listen, admin) {
		s.wrong(wrong, m.name, "%w", m.err)
	}
	s.warnOfReach(admin)
	if s.Admin == s.Listen && !refused["admin"] && admin.port != "0" {
		s.wrong(wrong, "admin", "both listeners cannot be at %s", s.Admin)
	}
	s.checkRoutes(wrong, from.Proxy)
	s.checkQueue(wrong, from.QueueOfOwner)
}

// checkQueue judges the files that hold the queue, before anything opens them.
func (s *Settings) checkQueue(wrong *problems, ofOwner bool) {
	if s.Queue == "" { // told already
		return
	}
	judge := access.Queue
	if ofOwner {
		judge = access.QueueOfItsOwner
	}
	warnings, err := judge(s.Queue)
	for _, text := range warnings {
		s.warn("%s", redact.Shapes(text))
	}
	if err != nil {
		s.wrong(wrong, "queue", "%s", redact.Shapes(err.Error()))
	}
}

// checkWebConfig wants TLS of the file, for that is what the listeners take it for, and
// files that other users can neither change nor, if they are secret, read.
func (s *Settings) checkWebConfig(path string, from *Sources) error {
	if path == "" {
		return nil
	}
	data, err := readFile(path, maxFile)
	if err != nil {
		return err
	}
	var file struct {
		TLS struct {
			CertFile     string `yaml:"cert_file"`
			KeyFile      string `yaml:"key_file"`
			ClientCAFile string `yaml:"client_ca_file"`
			Cert         string `yaml:"cert"`
			Key          string `yaml:"key"`
		} `yaml:"tls_server_config"`
	}
	if _, err := bounded(string(data)); err != nil {
		return fmt.Errorf("%q: %w", shown(path), plainYAML(err))
	}
	if err := withoutPanic(func() error { return yaml.Unmarshal(data, &file) }); err != nil {
		return fmt.Errorf("%q: %w", shown(path), plainYAML(err))
	}
	if file.TLS.CertFile == "" && file.TLS.Cert == "" {
		return fmt.Errorf("%q has no tls_server_config with cert_file and key_file", shown(path))
	}
	if err := validateWeb(path, file.TLS.CertFile, file.TLS.KeyFile, from); err != nil {
		return fmt.Errorf("%q: %s", shown(path), withoutSecrets(err.Error()))
	}
	secret := file.TLS.KeyFile
	if file.TLS.Key != "" {
		secret = path
	}
	for _, named := range []string{path, file.TLS.CertFile, file.TLS.KeyFile, file.TLS.ClientCAFile} {
		if named == "" {
			continue
		}
		whole := beside(path, named)
		if err := errors.Join(access.Changeable(from.Locate(whole)), from.readableByService(whole)); err != nil {
			return fmt.Errorf("%q: %w", shown(named), err)
		}
	}
	if secret != "" && access.Readable(from.Locate(beside(path, secret))) {
		s.warn("every user of this machine can read %s, which holds a TLS key: chmod o-rwx", shown(secret))
	}
	return nil
}

// validateWeb has the toolkit judge the file. It cannot find a certificate or a key that is
// a credential of a service which is stopped: of these the pair is what counts.
func validateWeb(path, cert, key string, from *Sources) error {
	cert, key = beside(path, cert), beside(path, key)
	if from.Locate(cert) == cert && from.Locate(key) == key {
		return web.Validate(path)
	}
	_, err := tls.LoadX509KeyPair(from.Locate(cert), from.Locate(key))
	return err
}

// beside is a path that stands in a file: a relative one starts where the file is.
func beside(file, path string) string {
	if filepath.IsAbs(path) || path == file {
		return path
	}
	return filepath.Join(filepath.Dir(file), path)
}

// checkLists looks for what cannot be meant in keys, pools and tokens. It takes time in
// proportion to their number.
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
	byAlias, byKey := map[string]int{}, map[print]int{}
	for i, k := range s.Keys {
		name := fmt.Sprintf("keys[%d]", i)
		if j, taken := firstOf(byAlias, k.Alias, i, k.Alias != ""); taken {
			say(name, "alias", "%q is the alias of keys[%d] already", shown(k.Alias), j)
		}
		if j, taken := firstOf(byKey, printOf(k.Key), i, !k.Key.IsZero()); taken {
			say(name, "key", "it is the same integration key as keys[%d] (%s)", j, shown(s.Keys[j].Alias))
		}
	}
	for i, k := range s.Keys {
		name := fmt.Sprintf("keys[%d]", i)
		for n, old := range k.Formerly {
			if j, taken := firstOf(byKey, printOf(old), i, true); taken {
				say(name, "formerly", "formerly[%d] is an integration key of keys[%d] (%s) already", n, j, shown(s.Keys[j].Alias))
			}
		}
		if k.Retiring && len(k.Formerly) > 0 {
			say(name, "retiring", "a key that takes the place of others (formerly) cannot retire: name all of them under formerly of the key that takes its place")
		}
	}
	byName, bySecret := map[string]int{}, map[string]int{}
	for i, t := range s.Tokens {
		name := fmt.Sprintf("tokens[%d]", i)
		if j, taken := firstOf(byName, t.Name, i, t.Name != ""); taken {
			say(name, "name", "%q is the name of tokens[%d] already", shown(t.Name), j)
		}
		secret := t.Secret.Reveal()
		if j, taken := firstOf(bySecret, secret, i, secret != ""); taken {
			say(name, "file", "it holds the same token as that of tokens[%d] (%s), so that the history could not tell who did what", j, shown(s.Tokens[j].Name))
		}
	}
	s.checkPools(wrong, byAlias, say)
	s.checkRetiring(wrong, byAlias, say)
}

// checkRetiring wants another key for the new incidents of each key that retires.
func (s *Settings) checkRetiring(wrong *problems, byAlias map[string]int, say func(name, member, format string, args ...any)) {
	heirs := map[string]bool{}
	for _, p := range s.Pools {
		takes := slices.ContainsFunc(p.Keys, func(alias string) bool {
			k, known := byAlias[alias]
			return known && !s.Keys[k].Retiring
		})
		for _, alias := range p.Keys {
			heirs[alias] = takes
		}
	}
	for i, k := range s.Keys {
		if k.Retiring && !heirs[k.Alias] && !wrong.full() {
			say(fmt.Sprintf("keys[%d]", i), "retiring", "no other key takes the new incidents of %q: give the key under formerly of the one that takes its place, or put both into one pool", shown(k.Alias))
		}
	}
}

// firstOf notes where something stands, and tells where it has stood before.
func firstOf[K comparable](seen map[K]int, key K, at int, counts bool) (before int, taken bool) {
	if !counts {
		return 0, false
	}
	if before, taken = seen[key]; !taken {
		seen[key] = at
	}
	return before, taken
}

func (s *Settings) checkPools(wrong *problems, byAlias map[string]int, say func(name, member, format string, args ...any)) {
	taken, names := map[string]string{}, map[string]int{}
	for i, p := range s.Pools {
		if wrong.full() {
			return
		}
		name := fmt.Sprintf("pools[%d]", i)
		if j, again := firstOf(names, p.Name, i, p.Name != ""); again {
			say(name, "name", "%q is the name of pools[%d] already", shown(p.Name), j)
		}
		if len(p.Keys) < 2 {
			say(name, "keys", "a pool has at least two keys")
		}
		base := ""
		for j, alias := range p.Keys {
			member := fmt.Sprintf("keys[%d]", j)
			k, known := byAlias[alias]
			if !known {
				say(name, member, "%q is no alias of keys%s", shown(alias), Suggestion(alias, s.someAliases()))
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

// mostAliases are compared with one that is unknown.
const mostAliases = 1000

func (s *Settings) someAliases() []string {
	var aliases []string
	for _, k := range s.Keys[:min(len(s.Keys), mostAliases)] {
		aliases = append(aliases, k.Alias)
	}
	return aliases
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

// checkUpstream takes http for an emulator or another relay, but never for
// PagerDuty itself, which would get the key in clear.
func checkUpstream(text string) error {
	u, err := url.Parse(text)
	switch {
	case err == nil && isKey(u.Hostname()): // it would be looked up in the DNS, and logged
		return errors.New("its host is an integration key: keys belong into the requests, or below keys; give a URL such as https://events.pagerduty.com")
	case err != nil || u.Host == "" || u.Hostname() == "":
		return fmt.Errorf("%q is no URL such as https://events.pagerduty.com", shown(text))
	case u.User != nil:
		return errors.New("a URL with a user in it is not taken")
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("%q: the scheme must be https, or http for an emulator or another relay", shown(text))
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("only scheme, host and path are wanted")
	case strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/enqueue"):
		return fmt.Errorf("%q: leave /v2/enqueue out, the relay adds it", shown(text))
	case u.Scheme == "http":
		return eventsv2.CheckPlainHost(u.Hostname())
	}
	return nil
}

func isKey(text string) bool {
	_, err := eventsv2.ParseKey(text)
	return err == nil
}

// hostOf is the host's name without what does not tell it from another.
func hostOf(u *url.URL) string { return strings.TrimSuffix(strings.ToLower(u.Hostname()), ".") }

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
