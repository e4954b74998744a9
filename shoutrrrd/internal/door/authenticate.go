package door

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// Credential admits one bearer. It keeps the hash of the token, not the token.
type Credential struct {
	name     string    // whose it is
	operator bool      // may do what changes something
	expires  time.Time // from then on it is refused; zero: never
	hash     [sha256.Size]byte
}

// NewCredential returns the credential of a token. An operator may do what
// changes something, anybody else may look.
func NewCredential(name string, operator bool, token string) Credential {
	return Credential{name: name, operator: operator, hash: sha256.Sum256([]byte(token))}
}

// Until returns the credential as one that is refused from a time on; a zero time is
// for never.
func (c Credential) Until(expires time.Time) Credential {
	c.expires = expires
	return c
}

// Identity is who a request comes from.
type Identity struct {
	Name     string
	Operator bool
}

type identityKey struct{}

// WithIdentity returns a context that knows who a request comes from.
func WithIdentity(ctx context.Context, who Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, who)
}

// IdentityOf returns who a request comes from; false if nobody had to say so.
func IdentityOf(ctx context.Context) (Identity, bool) {
	who, ok := ctx.Value(identityKey{}).(Identity)
	return who, ok
}

// Authenticator knows the bearers. Its zero value knows nobody.
type Authenticator struct {
	credentials atomic.Pointer[[]Credential]
	now         func() time.Time // the date by which tokens expire, nil for the system's
	failures    *Failures        // of those who gave a wrong token; nil: they are not noted
}

// NewAuthenticator returns one that knows these.
func NewAuthenticator(credentials ...Credential) *Authenticator {
	a := &Authenticator{}
	a.Replace(credentials)
	return a
}

// GoBy says by which date tokens expire. It must not go back: a wall clock that is set back
// would let in again whose token has expired. It is called before the first request.
func (a *Authenticator) GoBy(date func() time.Time) { a.now = date }

// Watch has failures noted. It is called before the first request.
func (a *Authenticator) Watch(failures *Failures) { a.failures = failures }

// Replace makes these the ones that are known from the next request on.
func (a *Authenticator) Replace(credentials []Credential) {
	known := append([]Credential(nil), credentials...)
	a.credentials.Store(&known)
}

// Required reports whether anybody is known, so that a token is asked for.
func (a *Authenticator) Required() bool {
	known := a.credentials.Load()
	return known != nil && len(*known) > 0
}

// Identify returns whose token this is. It compares the hashes of all of them, so
// that its time shows neither how much of a token is right nor whose it might be. Of a
// token that has expired it returns the name, and false.
func (a *Authenticator) Identify(token string) (Identity, bool) {
	if token == "" {
		return Identity{}, false
	}
	return a.identify(sha256.Sum256([]byte(token)))
}

func (a *Authenticator) identify(hash [sha256.Size]byte) (Identity, bool) {
	known := a.credentials.Load()
	if known == nil {
		return Identity{}, false
	}
	found := -1
	for i := range *known {
		same := subtle.ConstantTimeCompare(hash[:], (*known)[i].hash[:])
		found = subtle.ConstantTimeSelect(same, i, found)
	}
	if found < 0 {
		return Identity{}, false
	}
	one := (*known)[found]
	now := time.Now
	if a.now != nil {
		now = a.now
	}
	if !one.expires.IsZero() && !now().Before(one.expires) {
		return Identity{Name: one.name}, false
	}
	return Identity{Name: one.name, Operator: one.operator}, true
}

// Bearer returns whose token a request carries. The answer to a wrong one may wait
// (see [Failures]).
func (a *Authenticator) Bearer(r *http.Request) (Identity, bool) {
	given := r.Header.Values("Authorization")
	if len(given) != 1 {
		return Identity{}, false
	}
	scheme, token, _ := strings.Cut(given[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return Identity{}, false
	}
	return a.admit(r, strings.TrimSpace(token), WrongToken)
}

// admit returns whose token this is, and notes a failure.
func (a *Authenticator) admit(r *http.Request, token string, failure Failure) (Identity, bool) {
	who, valid := a.Identify(token)
	if valid {
		return who, true
	}
	if who.Name != "" {
		failure = ExpiredToken
	}
	if a.failures != nil && a.Required() {
		a.failures.refuse(r, failure, who.Name)
	}
	return Identity{}, false
}
