package pagerdutytest

import (
	"context"
	"net"
	"net/http"
)

// contextWith is the context of a request that a server received on that address.
func contextWith(r *http.Request, local net.Addr) context.Context {
	return context.WithValue(r.Context(), http.LocalAddrContextKey, local)
}
