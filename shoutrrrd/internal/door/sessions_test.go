package door

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// browser keeps the cookie that it was given last.
type browser struct{ cookie *http.Cookie }

func (b *browser) request() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if b.cookie != nil {
		r.AddCookie(b.cookie)
	}
	return r
}

func (b *browser) took(w *httptest.ResponseRecorder) {
	for _, c := range w.Result().Cookies() {
		b.cookie = c
	}
}

func TestSessions(t *testing.T) {
	now := time.Date(2026, 3, 4, 14, 3, 20, 0, time.UTC)
	auth := NewAuthenticator(NewCredential("ana", true, "token-of-ana"), NewCredential("ben", false, "token-of-ben"))
	sessions := NewSessions(auth, func() time.Time { return now })
	ana, ben, stranger := &browser{}, &browser{}, &browser{}
	signIn := func(b *browser, token string) bool {
		w := httptest.NewRecorder()
		_, ok := sessions.SignIn(w, b.request(), token)
		b.took(w)
		return ok
	}
	if signIn(stranger, "token-of-nobody") || stranger.cookie != nil {
		t.Error("a wrong token signs in")
	}
	if !signIn(ana, "token-of-ana") || !signIn(ben, "token-of-ben") {
		t.Fatal("a right token does not sign in")
	}
	if c := ana.cookie; !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" {
		t.Errorf("the cookie: %v", c)
	}
	who := func(b *browser) string {
		identity, ok := sessions.Identify(b.request())
		return fmt.Sprint(identity.Name, " ", identity.Operator, " ", ok)
	}
	check := func(when, wantAna, wantBen string) {
		t.Helper()
		if a, b := who(ana), who(ben); a != wantAna || b != wantBen {
			t.Errorf("%s: %q and %q, want %q and %q", when, a, b, wantAna, wantBen)
		}
	}
	const nobody = " false false"
	check("signed in", "ana true true", "ben false true")
	if got := who(stranger); got != nobody {
		t.Errorf("a stranger is %q", got)
	}
	auth.Replace([]Credential{NewCredential("ana", false, "token-of-ana")})
	check("ana may look only, ben's token is gone", "ana false true", nobody)
	w := httptest.NewRecorder()
	sessions.SignOut(w, ana.request())
	check("ana has signed out", nobody, nobody)
	if ana.took(w); ana.cookie.MaxAge >= 0 {
		t.Errorf("the cookie stays: %v", ana.cookie)
	}
	signIn(ana, "token-of-ana")
	now = now.Add(sessionLasts)
	check("the shift is over", nobody, nobody)
}

// However often the bearer of one token signs in, the memory is bounded, the latest of
// them are in, and the bearers of other tokens stay in.
func TestSessionsAreBounded(t *testing.T) {
	now := time.Date(2026, 3, 4, 14, 3, 20, 0, time.UTC)
	auth := NewAuthenticator(NewCredential("ana", true, "token-of-ana"), NewCredential("wall", false, "token-of-the-wall"))
	sessions := NewSessions(auth, func() time.Time { return now })
	signIn := func(token string) *browser {
		now = now.Add(time.Second)
		w, b := httptest.NewRecorder(), &browser{}
		sessions.SignIn(w, b.request(), token)
		b.took(w)
		return b
	}
	ana, first := signIn("token-of-ana"), signIn("token-of-the-wall")
	var last *browser
	for range 1001 {
		last = signIn("token-of-the-wall")
	}
	for _, one := range []struct {
		name string
		b    *browser
		in   bool
	}{{"ana", ana, true}, {"the latest viewer", last, true}, {"the first viewer", first, false}} {
		if _, ok := sessions.Identify(one.b.request()); ok != one.in {
			t.Errorf("%s is signed in: %v", one.name, ok)
		}
	}
	if n := len(sessions.byID); n != maxSessions+1 {
		t.Errorf("%d sessions are kept", n)
	}
	auth.Replace([]Credential{NewCredential("ana", true, "token-of-ana")})
	signIn("token-of-ana")
	if n := len(sessions.byID); n != 2 {
		t.Errorf("%d sessions are kept when a token is gone, want 2", n)
	}
}

// The cookie goes over https alone if that is how the browser came, through a proxy on
// this machine as well.
func TestCookieIsSecure(t *testing.T) {
	for _, tt := range []struct {
		name    string
		address string
		tls     bool
		headers http.Header
		want    bool
	}{
		{"plain", "127.0.0.1:1", false, nil, false},
		{"TLS", "203.0.113.1:1", true, nil, true},
		{"a proxy's header", "127.0.0.1:1", false, http.Header{"X-Forwarded-Proto": {"https"}}, true},
		{"a proxy at IPv6", "[::1]:1", false, http.Header{"X-Forwarded-Proto": {"HTTPS"}}, true},
		{"a proxy of plain HTTP", "127.0.0.1:1", false, http.Header{"X-Forwarded-Proto": {"http"}}, false},
		{"the nearest proxy", "127.0.0.1:1", false, http.Header{"X-Forwarded-Proto": {"http, https"}}, true},
		{"a proxy further away", "127.0.0.1:1", false, http.Header{"X-Forwarded-Proto": {"https, http"}}, false},
		{"Forwarded", "127.0.0.1:1", false, http.Header{"Forwarded": {"for=203.0.113.1;proto=https;host=relay"}}, true},
		{"Forwarded in quotation marks", "127.0.0.1:1", false, http.Header{"Forwarded": {`Proto="https"`}}, true},
		{"Forwarded of plain HTTP", "127.0.0.1:1", false, http.Header{"Forwarded": {"proto=https, for=_x;proto=http"}}, false},
		{"Forwarded without a protocol", "127.0.0.1:1", false, http.Header{"Forwarded": {"for=203.0.113.1"}}, false},
		{"another machine's header", "203.0.113.1:1", false, http.Header{"X-Forwarded-Proto": {"https"}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sessions := NewSessions(NewAuthenticator(NewCredential("ana", true, "token-of-ana")), time.Now)
			r := httptest.NewRequest(http.MethodPost, "/signin", nil)
			r.RemoteAddr, r.TLS = tt.address, nil
			if tt.tls {
				r.TLS = &tls.ConnectionState{}
			}
			for name, values := range tt.headers {
				r.Header[name] = values
			}
			w, b := httptest.NewRecorder(), &browser{}
			sessions.SignIn(w, r, "token-of-ana")
			if b.took(w); b.cookie == nil || b.cookie.Secure != tt.want {
				t.Errorf("the cookie is %v", b.cookie)
			}
		})
	}
}
