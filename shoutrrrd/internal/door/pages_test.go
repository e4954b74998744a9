package door

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestRefusePages(t *testing.T) {
	accepts := RefusePages(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }))
	for _, c := range []struct {
		name, host string
		header     map[string]string
		want       int
	}{
		{"curl", "relay.example:8686", map[string]string{"User-Agent": "curl/8"}, 202},
		{"a client by address", "10.0.0.5:8686", nil, 202},
		{"fetch of Node, which is no browser", "relay.example", map[string]string{"Sec-Fetch-Mode": "cors"}, 202},
		{"another site", "127.0.0.1:8686", map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, 403},
		{"another site, without an origin", "127.0.0.1:8686", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"a neighbour", "relay.example", map[string]string{"Sec-Fetch-Site": "same-site", "Origin": "https://other.example"}, 403},
		{"an old browser", "127.0.0.1:8686", map[string]string{"Origin": "https://evil.example"}, 403},
		{"a sandboxed frame", "127.0.0.1:8686", map[string]string{"Origin": "null"}, 403},
		{"a form as text", "localhost:8686", map[string]string{"Origin": "https://evil.example", "Content-Type": "text/plain"}, 403},
		{"a name that was made to point here", "evil.example:8686", map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": "http://evil.example:8686"}, 403},
		{"the same, without an origin", "evil.example:8686", map[string]string{"Sec-Fetch-Site": "same-origin"}, 403},
		{"the same, in an old browser", "evil.example:8686", map[string]string{"Origin": "http://evil.example:8686"}, 403},
		{"localhost in a name", "localhost.evil.example", map[string]string{"Origin": "http://localhost.evil.example"}, 403},
		{"its own address", "127.0.0.1:8686", map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:8686"}, 202},
		{"its own IPv6 address", "[::1]:8686", map[string]string{"Origin": "http://[::1]:8686"}, 202},
		{"typed by a person", "localhost:8686", map[string]string{"Sec-Fetch-Site": "none"}, 202},
	} {
		r := httptest.NewRequest("POST", "/v2/enqueue", nil)
		r.Host = c.host
		for name, value := range c.header {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		accepts.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s: status %d, want %d", c.name, w.Code, c.want)
		}
	}
}
