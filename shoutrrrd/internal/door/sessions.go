package door

import (
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"sync"
	"time"
)

const (
	// sessionLasts is a shift: whoever comes after signs in with a token of their own.
	sessionLasts = 12 * time.Hour
	maxSessions  = 1000
	cookieName   = "shoutrrrd_session"
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

// SignIn begins a session for whose token this is and sets its cookie.
func (s *Sessions) SignIn(w http.ResponseWriter, r *http.Request, token string) (Identity, bool) {
	who, ok := s.auth.Identify(token)
	if !ok {
		return Identity{}, false
	}
	id, now := rand.Text(), s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeRoom(now)
	s.byID[sha256.Sum256([]byte(id))] = session{sha256.Sum256([]byte(token)), now.Add(sessionLasts)}
	http.SetCookie(w, cookie(r, id, int(sessionLasts.Seconds())))
	return who, true
}

// makeRoom forgets what has ended, and the oldest if there are too many.
func (s *Sessions) makeRoom(now time.Time) {
	var oldest [sha256.Size]byte
	for id, one := range s.byID {
		if !now.Before(one.ends) {
			delete(s.byID, id)
			continue
		}
		if known, ok := s.byID[oldest]; !ok || one.ends.Before(known.ends) {
			oldest = id
		}
	}
	if len(s.byID) >= maxSessions {
		delete(s.byID, oldest)
	}
}

// cookie is for this site's own pages alone, and out of reach of scripts.
func cookie(r *http.Request, value string, age int) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: age,
		HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode,
	}
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
