package door

import (
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

// However often somebody signs in, the memory is bounded, and the latest are in.
func TestSessionsAreBounded(t *testing.T) {
	now := time.Date(2026, 3, 4, 14, 3, 20, 0, time.UTC)
	sessions := NewSessions(NewAuthenticator(NewCredential("ana", true, "token-of-ana")), func() time.Time { return now })
	b := &browser{}
	for range maxSessions + 10 {
		now = now.Add(time.Second)
		w := httptest.NewRecorder()
		b = &browser{}
		sessions.SignIn(w, b.request(), "token-of-ana")
		b.took(w)
	}
	if _, ok := sessions.Identify(b.request()); !ok || len(sessions.byID) != maxSessions {
		t.Errorf("%d sessions are kept, the latest %v", len(sessions.byID), ok)
	}
}
