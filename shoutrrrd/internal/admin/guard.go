package admin

import (
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/door"
)

// only answers a path by method, HEAD as GET, and 405 to any other.
type only map[string]http.HandlerFunc

func (o only) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if handle, ok := o[method]; ok {
		handle(w, r)
		return
	}
	allowed := slices.Sorted(maps.Keys(o))
	if _, ok := o[http.MethodGet]; ok {
		allowed = append(allowed, http.MethodHead)
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	problem(w, http.StatusMethodNotAllowed, "this path takes "+strings.Join(allowed, " and ")+" only")
}

// headers are for browsers: nothing of this is theirs to run, frame or keep.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		next.ServeHTTP(w, r)
	})
}

// known refuses a host that is not ours. A page in a browser can give its own name
// our address (DNS rebinding) and would then count as the same origin.
func (d *Door) known(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !d.isOurs(r) {
			problem(w, http.StatusForbidden, "this host is not known here; call the admin listener by its address, or list the name in admin_hosts")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (d *Door) isOurs(r *http.Request) bool {
	name := strings.ToLower(r.Host)
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	name = strings.TrimSuffix(strings.Trim(name, "[]"), ".")
	if name == "localhost" {
		return true
	}
	for _, host := range d.o.Hosts() {
		if strings.EqualFold(host, name) {
			return true
		}
	}
	address, err := netip.ParseAddr(name)
	if err != nil {
		return false
	}
	return address.IsLoopback() || address.Unmap() == local(r).Unmap()
}

// local is the address of this machine that the request has come to.
func local(r *http.Request) netip.Addr {
	if tcp, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr()
	}
	return netip.Addr{}
}

// sameOrigin refuses what a page of somebody else makes a browser post.
func (d *Door) sameOrigin(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		problem(w, http.StatusForbidden, "a page of another origin may not do this")
	}))
	return protection.Handler(next)
}

// fromHere returns why a request may not do without a token, "" if it comes from this
// machine. Both ends of its connection count: the kernel can be told to take packets of
// others for the loopback. So does what a proxy adds, as behind one there may be anybody.
func fromHere(r *http.Request) string {
	if address := local(r); address.IsValid() {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if !address.Unmap().IsLoopback() || err != nil || !peer.Addr().Unmap().IsLoopback() {
			return "there are no tokens, so that the admin listener answers on the loopback alone; configure tokens"
		}
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return "the request has come through a proxy (" + name + "), and there are no tokens; configure tokens"
		}
	}
	return ""
}

// authenticated lets those in who have a token, operators alone if the request
// changes something. Without any token, everybody on this machine may do all.
func (d *Door) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !d.o.Auth.Required() {
			if why := fromHere(r); why != "" {
				problem(w, http.StatusForbidden, why)
				return
			}
			next.ServeHTTP(w, r)
			return
		}
		who, ok := d.o.Auth.Bearer(r)
		if !ok {
			who, ok = d.o.Sessions.Identify(r)
		}
		if !ok && d.o.OpenPages != nil && wantsHTML(r) {
			next := "/"
			if r.Method == http.MethodGet {
				next = r.URL.RequestURI()
			}
			http.Redirect(w, r, "/signin?"+url.Values{"next": {next}}.Encode(), http.StatusSeeOther)
			return
		}
		if !ok {
			w.Header().Set("WWW-Authenticate", `Bearer realm="shoutrrrd"`)
			problem(w, http.StatusUnauthorized, "a token is needed: send Authorization: Bearer TOKEN")
			return
		}
		if !who.Operator && r.Method != http.MethodGet && r.Method != http.MethodHead {
			problem(w, http.StatusForbidden, "a viewer's token may look only; this needs an operator's")
			return
		}
		next.ServeHTTP(w, r.WithContext(door.WithIdentity(r.Context(), who)))
	})
}
