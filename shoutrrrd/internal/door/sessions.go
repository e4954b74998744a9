package door

import (
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/share"
)

const (
	// sessionLasts is a shift: whoever comes after signs in with a token of their own.
	sessionLasts = 12 * time.Hour
	// maxSessions of one token: browsers of one person, or screens on walls. A bound on
	// all of them together would let one token's bearers sign the others out. There are
	// as many tokens as the configuration has.
	maxSessions = 100
	cookieName  = "shoutrrrd_session"
)

// Sessions are the browsers that have signed in with a token. They live in memory,
// and no longer than their token: what [Authenticator.Replace] drops is out.
type Sessions struct {
	auth *Authenticator
	now  func() time.Time

	mu   sync.Mutex
	byID map[[sha256.Size]byte]session // by the hash of the cookie
}

type session struct {
	token [sha256.Size]byte // its hash
	ends  time.Time
}

// NewSessions returns a keeper without any session.
func NewSessions(auth *Authenticator, now func() time.Time) *Sessions {
	return &Sessions{auth: auth, now: now, byID: map[[sha256.Size]byte]session{}}
}

// SignIn begins a session for whose token this is and sets its cookie. The answer to a
// wrong one may wait (see [Failures]).
func (s *Sessions) SignIn(w http.ResponseWriter, r *http.Request, token string) (Identity, bool) {
	who, ok := s.auth.admit(r, token, WrongSignIn)
	if !ok {
		return Identity{}, false
	}
	id, hash, now := rand.Text(), sha256.Sum256([]byte(token)), s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeRoom(hash, now)
	s.byID[sha256.Sum256([]byte(id))] = session{hash, now.Add(sessionLasts)}
	http.SetCookie(w, cookie(r, id, int(sessionLasts.Seconds())))
	return who, true
}

// makeRoom forgets the sessions that have ended and those of tokens that are not known
// any more, and the oldest of this token if it has too many.
func (s *Sessions) makeRoom(token [sha256.Size]byte, now time.Time) {
	var oldest [sha256.Size]byte
	own := 0
	for id, one := range s.byID {
		if _, valid := s.auth.identify(one.token); !valid || !now.Before(one.ends) {
			delete(s.byID, id)
			continue
		}
		if one.token != token {
			continue
		}
		if own++; own == 1 || one.ends.Before(s.byID[oldest].ends) {
			oldest = id
		}
	}
	if own >= maxSessions {
		delete(s.byID, oldest)
	}
}

// cookie is for this site's own pages alone, and out of reach of scripts.
func cookie(r *http.Request, value string, age int) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: age,
		HttpOnly: true, Secure: isSecure(r), SameSite: http.SameSiteStrictMode,
	}
}

// isSecure reports whether the browser came by https: to this listener, or to a proxy
// on this machine that says so by X-Forwarded-Proto or Forwarded (RFC 7239). Other
// machines' headers are not believed; one could only take its own cookie's mark away.
func isSecure(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	if !share.ClientOf(r.RemoteAddr).IsLoopback() {
		return false
	}
	if proto := last(r.Header.Values("X-Forwarded-Proto")); proto != "" {
		return strings.EqualFold(proto, "https")
	}
	for pair := range strings.SplitSeq(last(r.Header.Values("Forwarded")), ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if strings.EqualFold(name, "proto") {
			return strings.EqualFold(strings.Trim(value, `"`), "https")
		}
	}
	return false
}

// last returns what the nearest proxy has added to a header with a list.
func last(values []string) string {
	if len(values) == 0 {
		return ""
	}
	list := strings.Split(values[len(values)-1], ",")
	return strings.TrimSpace(list[len(list)-1])
}

// Identify returns who has signed in with the browser that a request comes from.
func (s *Sessions) Identify(r *http.Request) (Identity, bool) {
	given, err := r.Cookie(cookieName)
	if err != nil {
		return Identity{}, false
	}
	s.mu.Lock()
	one, ok := s.byID[sha256.Sum256([]byte(given.Value))]
	s.mu.Unlock()
	if !ok || !s.now().Before(one.ends) {
		return Identity{}, false
	}
	return s.auth.identify(one.token)
}

// SignOut ends the session of a browser.
func (s *Sessions) SignOut(w http.ResponseWriter, r *http.Request) {
	if given, err := r.Cookie(cookieName); err == nil {
		s.mu.Lock()
		delete(s.byID, sha256.Sum256([]byte(given.Value)))
		s.mu.Unlock()
	}
	http.SetCookie(w, cookie(r, "", -1))
}
