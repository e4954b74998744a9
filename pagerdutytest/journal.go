package pagerdutytest

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// Entry is one request in the journal. Header and Body are as they came, key
// included: Entry's String has it redacted, and so has the second door.
type Entry struct {
	Number   int // 1 for the first
	Time     time.Time
	Method   string
	Path     string
	Target   string // host:port that was asked for: the CONNECT target, else the Host header
	Proto    string
	Header   http.Header // shared: not to be modified
	Body     []byte      // shared: not to be modified; at most 512,001 bytes of it
	Key      string      // fingerprint
	Action   string
	DedupKey string // as it was sent; the one that was made for it stands in Answer
	Fault    string // name of the fault that it met
	Outcome  string // an Outcome constant; empty if the event was not looked at
	Status   int    // of the answer; 0: the connection was cut, or there is no answer yet
	Answer   []byte // what was sent of it
	Remote   string
	Conn     int // number of the TCP connection, from 1; 0 if the server did not say

	secrets  []string
	emulator *Emulator
}

// String is one line about the request, for people, without the key.
func (x Entry) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "#%d %s conn %d %s %s %s", x.Number, x.Time.Format("15:04:05.000"), x.Conn, x.Proto, x.Method, x.Target+x.Path)
	for _, part := range []string{x.Key, x.Action, quoted(x.redact(x.DedupKey))} {
		if part != "" {
			b.WriteString(" " + part)
		}
	}
	b.WriteString(": " + x.verdict())
	if len(x.Body) > 0 {
		b.WriteString("\n\t" + shorten(x.redact(string(x.Body)), 500))
	}
	if len(x.Answer) > 0 {
		b.WriteString("\n\t-> " + shorten(x.redact(string(x.Answer)), 500))
	}
	return visible(x.redact(b.String()))
}

// verdict says what became of the request.
func (x Entry) verdict() string {
	said := "no answer"
	if x.Status != 0 {
		said = fmt.Sprintf("%d %s", x.Status, http.StatusText(x.Status))
	}
	if x.Outcome != "" {
		said += ", " + x.Outcome
	}
	if x.Fault != "" {
		said += ", fault " + x.Fault
	}
	return said
}

// minSecret is the length from which a routing key of wrong form is taken out of
// a text wherever it stands. A shorter one would take half of the text with it.
const minSecret = 12

// redact takes this request's key, and every other that the emulator knows, out
// of a text.
func (x Entry) redact(s string) string {
	s = blankSecrets(s)
	for _, secret := range x.secrets {
		if len(secret) >= minSecret {
			s = strings.ReplaceAll(s, secret, x.Key)
		}
	}
	if x.emulator == nil { // an Entry that somebody made by hand
		return s
	}
	return x.emulator.redact(s)
}

func quoted(s string) string {
	if s == "" {
		return ""
	}
	return fmt.Sprintf("%q", shorten(s, 80))
}

// targetOf says which host and port a request asked for.
func targetOf(r *http.Request) string {
	if c := connectionOf(r.Context()); c.target != "" {
		return c.target
	}
	host := r.Host
	if _, _, err := net.SplitHostPort(host); err == nil || host == "" {
		return host
	}
	port := "80"
	if r.TLS != nil {
		port = "443"
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), port)
}
