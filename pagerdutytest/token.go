package pagerdutytest

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
)

// tokenUser is the name that stands before the token where a name is wanted.
const tokenUser = "sandbox"

// userInfo is the part of a URL that holds the token, "" if there is none.
func userInfo(token string) string {
	if token == "" {
		return ""
	}
	return tokenUser + ":" + token + "@"
}

// knowsToken reports whether an Authorization, or Proxy-Authorization, has the token: as
// Bearer, or as the password of Basic, which is what programs make of a URL. Everybody
// knows an empty token.
func knowsToken(authorization, token string) bool {
	if token == "" {
		return true
	}
	scheme, given, _ := strings.Cut(authorization, " ")
	given = strings.TrimSpace(given)
	switch strings.ToLower(scheme) {
	case "bearer":
	case "basic":
		pair, err := base64.StdEncoding.DecodeString(given)
		if err != nil {
			return false
		}
		_, given, _ = strings.Cut(string(pair), ":")
	default:
		return false
	}
	return same(given, token)
}

// same compares in a time that tells nothing of either.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// greeted is a listener whose clients have to send a greeting first.
type greeted struct {
	net.Listener
	greeting string
}

// Accept does not wait for the greeting: a client that is slow with it must not hold up
// the others.
func (l greeted) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil || l.greeting == "" {
		return c, err
	}
	return &greetedConn{Conn: c, greeting: l.greeting}, nil
}

// greetedConn takes the greeting off what is read first, and can be read only if that
// was right.
type greetedConn struct {
	net.Conn
	greeting string
	once     sync.Once
	err      error // why nothing can be read
}

var errGreeting = errors.New("the client did not send the sandbox's token before its TLS handshake")

func (c *greetedConn) Read(p []byte) (int, error) {
	c.once.Do(func() {
		given := make([]byte, len(c.greeting))
		if _, err := io.ReadFull(c.Conn, given); err != nil {
			c.err = err
		} else if !same(string(given), c.greeting) {
			c.err = errGreeting
		}
	})
	if c.err != nil {
		return 0, c.err
	}
	return c.Conn.Read(p)
}

// NetConn is the connection below, for [innermost].
func (c *greetedConn) NetConn() net.Conn { return c.Conn }
