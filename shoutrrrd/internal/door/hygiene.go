package door

import (
	"net/http"
	"strings"
)

// hygiene keeps two readers of one connection from seeing the end of a request in
// different places: behind such a request an attacker may have hidden a second one, in
// the name of another client of the same proxy (RFC 9112, section 11.2). net/http
// has merged the lines when a handler can look. So a connection is closed behind
// every request whose framing another reader could have understood differently: one
// with Transfer-Encoding, beside which net/http has dropped a Content-Length, and one
// of HTTP/1.0, of which it has dropped Transfer-Encoding. What is for proxies is
// refused. docs/adr/0001-one-http-reader.md says what net/http refuses by itself.
func hygiene(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 1 && (r.ProtoMinor != 1 || len(r.TransferEncoding) > 0) {
			w.Header().Set("Connection", "close")
		}
		if forProxies(r) {
			w.Header().Set("Connection", "close")
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"status":"bad request","message":"the request's framing or target is ambiguous"}`)) // a client that has left needs no answer
			return
		}
		next.ServeHTTP(w, r)
	})
}

// forProxies reports whether the request is one that only a proxy would answer: its
// target is no path. With an absolute one net/http has dropped the Host beside it.
func forProxies(r *http.Request) bool {
	return r.Method == "PRI" || r.Method == http.MethodConnect || !strings.HasPrefix(r.RequestURI, "/")
}
