package door

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// RefusePages keeps the pages of a browser from posting to a listener that serves no
// pages: a site that somebody visits could otherwise send events to a relay that only
// his machine reaches. Clients that are no browsers send neither Origin nor
// Sec-Fetch-Site and are not affected.
//
// A page that counts as our own by both headers is refused as well if it has called us
// by a name: we have no pages, so its own name was made to point here (DNS rebinding).
func RefusePages(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fromPage := r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") == "same-origin"
		if protection.Check(r) == nil && (!fromPage || hasNoName(r.Host)) {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"status":"forbidden","message":"a page of a browser may not send events"}`)) // nobody to report to if the client has left
	})
}

// hasNoName reports whether a host is an address, or this machine's own name, neither
// of which a name server can make to point elsewhere.
func hasNoName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	_, err := netip.ParseAddr(host)
	return err == nil || strings.EqualFold(host, "localhost")
}
