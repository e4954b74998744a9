package door

import (
	"net/http"
	"strings"
)

// hygiene refuses requests whose end two readers might see in different places,
// and closes their connection: what follows on it may be somebody's second request
// that he hid in the first (RFC 9112, sections 6.1 and 11.2).
//
// net/http refuses most of them by itself. It lets pass: Transfer-Encoding from an
// HTTP/1.0 client, whose body it ignores, and Content-Length beside
// Transfer-Encoding, where it drops the former; so no request with
// Transfer-Encoding keeps its connection.
func hygiene(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 || r.Header.Get("Transfer-Encoding") != "" {
			w.Header().Set("Connection", "close")
		}
		if ambiguous(r) {
			w.Header().Set("Connection", "close")
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"status":"bad request","message":"the request's framing or target is ambiguous"}`))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func ambiguous(r *http.Request) bool {
	switch {
	case r.ProtoMajor == 1 && r.ProtoMinor == 0 && (len(r.TransferEncoding) > 0 || r.Header.Get("Transfer-Encoding") != ""):
		return true
	case r.Method == "PRI", r.Method == http.MethodConnect:
		return true
	case r.URL.Host != "" && !strings.EqualFold(r.URL.Host, r.Host): // absolute form with another host
		return true
	}
	return false
}
