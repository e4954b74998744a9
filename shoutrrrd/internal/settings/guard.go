package settings

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// A listener that other machines reach has to be guarded. What counts is the socket:
// before it is open, the addresses to which its name resolves, and then its own.

// reach says who gets to a listener.
type reach struct {
	at     string // its address, as an error names it
	port   string
	beyond bool // other machines reach it
}

// lookup resolves a host.
type lookup func(ctx context.Context, host string) ([]netip.Addr, error)

// lookupWithin bounds the time for one name: a name server that is away must not hold
// up a start, and what cannot be resolved counts as an address that others reach.
const lookupWithin = 5 * time.Second

func systemLookup(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// reachOf finds out who would get to a listener at an address of the settings.
func reachOf(address string, resolve lookup) reach {
	host, port, _ := net.SplitHostPort(address) // checked already
	r := reach{at: shown(address), port: port}
	if ip, err := netip.ParseAddr(host); err == nil {
		r.beyond = !ip.Unmap().IsLoopback()
		return r
	}
	if host == "" {
		r.beyond = true
		return r
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupWithin)
	defer cancel()
	found, err := resolve(ctx, host)
	if err != nil || len(found) == 0 {
		r.at, r.beyond = r.at+" (which cannot be resolved here)", true
		return r
	}
	for _, ip := range found {
		if !ip.Unmap().IsLoopback() {
			r.at, r.beyond = fmt.Sprintf("%s (%s)", r.at, ip.Unmap()), true
			break
		}
	}
	return r
}

// reachOfSocket finds out who gets to an open socket.
func reachOfSocket(address net.Addr) reach {
	r := reach{at: address.String(), beyond: true}
	if tcp, ok := address.(*net.TCPAddr); ok {
		r.beyond = !tcp.IP.IsLoopback()
		_, r.port, _ = net.SplitHostPort(r.at)
	}
	return r
}

// missing is a guard that is not there.
type missing struct {
	name string // of the setting
	err  error
}

// missingGuards lists all guards that are missing for listeners of that reach.
func (s *Settings) missingGuards(listen, admin reach) (list []missing) {
	add := func(name, format string, args ...any) {
		list = append(list, missing{name, fmt.Errorf(format, args...)})
	}
	if listen.beyond && s.WebConfig == "" && !s.AllowPlain {
		add("listen", "other machines reach %s, and integration keys would come in clear: give TLS with web_config, or say allow_plain", listen.at)
	}
	if listen.beyond && (!s.OnlyListed || len(s.Keys) == 0) {
		add("listen", "other machines reach %s: list the keys that they may use (keys) and say only_listed: true", listen.at)
	}
	if admin.beyond && len(s.Tokens) == 0 {
		add("admin", "other machines reach %s: give tokens, as everybody who gets in can discard and requeue pages", admin.at)
	}
	if len(s.AdminHosts) > 0 && len(s.Tokens) == 0 {
		add("admin_hosts", "the admin listener would take requests for %s without a token, from everybody who reaches the proxy of that name: give tokens", shown(strings.Join(s.AdminHosts, ", ")))
	}
	return list
}

// warnOfReach warns of what is guarded and should not stay as it is.
func (s *Settings) warnOfReach(admin reach) {
	if admin.beyond && len(s.Tokens) > 0 && s.AdminWebConfig == "" {
		s.warn("other machines reach the admin listener at %s and send their tokens in clear: give TLS with admin_web_config", admin.at)
	}
}

// Guard returns all that is missing for the listeners to be open where their sockets
// are. A name may resolve to something else each time: this is the last word.
func (s *Settings) Guard(listen, admin net.Addr) error {
	var wrong problems
	for _, m := range s.missingGuards(reachOfSocket(listen), reachOfSocket(admin)) {
		s.wrong(&wrong, m.name, "%w", m.err)
	}
	return wrong.err()
}

// Reloaded returns the settings that take effect when s is read while the relay runs
// with others: those that need a new start stay as they are. Its error tells why that
// combination must not be, for the sockets that are open: neither of the two files
// may have been wrong by itself.
func (s *Settings) Reloaded(running *Settings, listen, admin net.Addr) (*Settings, error) {
	now := *s
	now.origins = maps.Clone(s.origins)
	var wrong problems
	for _, f := range Fields() {
		if !f.AtStart {
			continue
		}
		if err := f.set(&now, f.get(running)); err != nil { // it has been taken before
			return nil, fmt.Errorf("internal error: %s: %w", f.Name, err)
		}
		now.origins[f.Name] = running.origins[f.Name]
	}
	front, second := reachOfSocket(listen), reachOfSocket(admin)
	for _, m := range now.missingGuards(front, second) {
		wrong.add(origin{text: "the open sockets"}, m.name, "%w (what guards a listener cannot be taken away while its socket is open; restart the relay to change both)", m.err)
	}
	for _, u := range now.upstreams() {
		if now.isOwn(u.url, front.port) {
			wrong.add(origin{text: "the open sockets"}, u.name, "%s is this relay's own events listener until it is restarted: events would go round for ever", shown(u.url.String()))
		}
	}
	if err := wrong.err(); err != nil {
		return nil, err
	}
	return &now, nil
}

// target is an upstream with the name of the setting that gives it.
type target struct {
	name string
	url  *url.URL
}

// upstreams lists those that are well formed.
func (s *Settings) upstreams() (list []target) {
	add := func(name, text string) {
		if u, err := url.Parse(text); err == nil && checkUpstream(text) == nil {
			list = append(list, target{name, u})
		}
	}
	add("upstream", s.Upstream)
	for i, k := range s.Keys {
		if k.Upstream != "" {
			add(fmt.Sprintf("keys[%d].upstream", i), k.Upstream)
		}
	}
	for i, w := range s.Notify.Ways {
		if w.Upstream != "" {
			add(fmt.Sprintf("notify.ways[%d].pagerduty", i), w.Upstream)
		}
	}
	return list
}

// checkRoutes looks where the upstreams lead from here: not back to this relay, and
// not to a proxy that would read the keys.
func (s *Settings) checkRoutes(wrong *problems, proxy func(*http.Request) (*url.URL, error)) {
	_, port, _ := net.SplitHostPort(s.Listen)
	for _, u := range s.upstreams() {
		if s.isOwn(u.url, port) {
			s.wrong(wrong, u.name, "%s is this relay's own events listener: events would go round for ever", shown(u.url.String()))
		}
		if _, err := proxy(&http.Request{URL: u.url}); err != nil {
			s.wrong(wrong, u.name, "%s", withoutSecrets(err.Error())) // whole: its end says what to do
		}
		if u.url.Scheme == "http" && isPublic(hostOf(u.url)) {
			s.warn("%s: events and their integration keys go to %s in clear: use https, unless all of the way is trusted", u.name, shown(u.url.Host))
		}
	}
}

// isOwn reports whether an upstream is the events listener of this relay.
func (s *Settings) isOwn(u *url.URL, port string) bool {
	listen, _, _ := net.SplitHostPort(s.Listen)
	if u.Port() != port || port == "0" {
		return false
	}
	anywhere := isLocal(listen) || listen == "" || listen == "0.0.0.0" || listen == "::"
	return isLocal(u.Hostname()) && anywhere || u.Hostname() == listen
}

func isLocal(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}
