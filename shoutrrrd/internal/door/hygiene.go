package door

import "net/http"

// hygiene refuses what is for proxies, and closes connections behind requests that
// [framing] could not read because they were encrypted: beside Transfer-Encoding a
// second reader may have gone by a Content-Length that net/http has dropped, and
// from HTTP/1.0 net/http drops Transfer-Encoding itself.
func hygiene(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		unread := r.TLS != nil && r.ProtoMajor == 1
		if unread && (r.ProtoMinor == 0 || len(r.TransferEncoding) > 0) {
			w.Header().Set("Connection", "close")
		}
		if forProxies(r, unread) {
			w.Header().Set("Connection", "close")
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"status":"bad request","message":"the request's framing or target is ambiguous"}`)) // a client that has left needs no answer
			return
		}
		next.ServeHTTP(w, r)
	})
}

func forProxies(r *http.Request, unread bool) bool {
	switch {
	case r.Method == "PRI", r.Method == http.MethodConnect, r.RequestURI == "*":
		return true
	case unread && r.URL.Host != "": // net/http has dropped the Host beside it
		return true
	}
	return false
}
