package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/containrrr/shoutrrr"
	"github.com/containrrr/shoutrrr/internal/redact"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/spf13/cobra"
)

// relayAddress is where shoutrrrd has its admin listener if nobody says otherwise.
const relayAddress = "http://127.0.0.1:8687"

const (
	longestAnswer = 64 << 20
	longestToken  = 4 << 10
	longestActor  = 64
	// relayPatience is longer than the 20 s that the relay itself gives an answer.
	relayPatience = 25 * time.Second
	dialPatience  = 5 * time.Second
)

// relayFlags say which relay a command talks to, and in which form it tells what it
// hears.
type relayFlags struct {
	url       string
	tokenFile string
	json      bool
}

func (f *relayFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.url, "relay", "", "`URL` of the relay's admin listener (default $SHOUTRRR_RELAY, else "+relayAddress+")")
	flags.StringVar(&f.tokenFile, "token-file", "", "`file` with the token for it (default $SHOUTRRR_TOKEN_FILE)")
	flags.BoolVar(&f.json, "json", false, "print the relay's JSON, on one line")
	mustComplete(cmd, "relay", nothing)
}

// open finds out where the relay is. Nothing is sent yet.
func (f *relayFlags) open(sys *system) (*relay, error) {
	address, named := f.url, "--relay"
	if address == "" {
		address, named = sys.getenv("SHOUTRRR_RELAY"), "SHOUTRRR_RELAY"
	}
	if address == "" {
		address = relayAddress
	}
	base, err := relayURL(named, address)
	if err != nil {
		return nil, err
	}
	r := &relay{base: base, actor: actorOf(sys), transport: newTransport()}
	file := f.tokenFile
	if file == "" {
		file = sys.getenv("SHOUTRRR_TOKEN_FILE")
	}
	if file == "" {
		return r, nil
	}
	if r.token, err = readToken(sys, file); err != nil {
		return nil, err
	}
	if base.Scheme == "http" && !isLoopback(base.Hostname()) {
		notify(sys.stderr, "warning: ", "the token goes to "+base.Host+" unencrypted: give an https URL")
	}
	return r, nil
}

// relayURL reads an address, to which http:// may be missing. A wrong one is not
// quoted: somebody may have put a secret into it.
func relayURL(named, address string) (*url.URL, error) {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err == nil {
		if _, no := eventsv2.ParseKey(u.Hostname()); no == nil { // it would be looked up in the DNS
			return nil, failf(exitConfig, "%s is no URL of a relay: its host is an integration key; give one such as %s", named, relayAddress)
		}
	}
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, failf(exitConfig, "%s is no URL of a relay: give one such as %s", named, relayAddress)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, failf(exitConfig, "%s takes scheme, host, port and path only; a token comes from a file, by --token-file", named)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	return u, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// readToken reads a token from its file. On a command line everybody on the machine
// could read it.
func readToken(sys *system, name string) (string, error) {
	file, err := os.Open(name)
	name = redact.Line(name)
	if err != nil {
		return "", failf(exitConfig, "the token file %s cannot be read: %w", name, withoutPath(err))
	}
	defer file.Close() // read only
	text, err := io.ReadAll(io.LimitReader(file, longestToken+1))
	token := strings.TrimSpace(string(text))
	switch {
	case err != nil:
		return "", failf(exitConfig, "the token file %s cannot be read: %w", name, withoutPath(err))
	case token == "" || len(text) > longestToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", failf(exitConfig, "the token file %s should hold one token and nothing else", name)
	}
	if info, err := file.Stat(); err == nil && othersRead(info) {
		notify(sys.stderr, "warning: ", "others than its owner can read "+name+", and with it the token: chmod 600 "+name)
	}
	return token, nil
}

// actorOf is who will stand in the history: whoever logged in, also behind sudo. It
// is a label and no proof; the name of a token goes before it.
func actorOf(sys *system) string {
	for _, variable := range []string{"SUDO_USER", "LOGNAME", "USER", "USERNAME"} {
		name := redact.Shapes(sys.getenv(variable))
		odd := func(r rune) bool { return r < ' ' || r > '~' }
		if name != "" && len(name) <= longestActor && !strings.ContainsFunc(name, odd) {
			return name
		}
	}
	return ""
}

// newTransport has no redirects: a token goes to the host that was named, and to no
// other.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:       eventsv2.ProxyFromEnvironment,
		DialContext: (&net.Dialer{Timeout: dialPatience}).DialContext,
	}
}

// relay is a relay's admin listener. docs/admin-api.md is what it answers.
type relay struct {
	base      *url.URL
	token     string
	actor     string
	transport http.RoundTripper
	patience  time.Duration // for an answer; relayPatience if it is 0
	now       time.Time     // the relay's clock at its last answer: ages are counted from it
}

func (r *relay) String() string { return r.base.String() }

// get asks for something and reads the answer into a value. It returns the answer
// as it came.
func (r *relay) get(ctx context.Context, path string, into any) ([]byte, error) {
	return r.call(ctx, http.MethodGet, path, "", into)
}

// do has the relay do something, for a reason that is kept.
func (r *relay) do(ctx context.Context, path, why string, into any) ([]byte, error) {
	return r.post(ctx, path, map[string]any{"why": why}, into)
}

// post has the relay do something that takes more than a reason.
func (r *relay) post(ctx context.Context, path string, body map[string]any, into any) ([]byte, error) {
	return r.call(ctx, http.MethodPost, path, lineJSON(body), into)
}

// keyRejected is a refusal that somebody may want to overrule: PagerDuty rejects the key, or
// the events were accepted for another upstream.
type keyRejected string

func (k keyRejected) Error() string { return string(k) }

func (r *relay) call(ctx context.Context, method, path, body string, into any) ([]byte, error) {
	target, err := r.base.Parse(r.base.Path + path)
	if err != nil {
		return nil, usagef("the relay cannot be asked for that; see shoutrrr queue list --help")
	}
	ctx, cancel := context.WithTimeout(ctx, r.waits())
	defer cancel()
	req := (&http.Request{Method: method, URL: target, Host: target.Host, Header: r.header(method)}).WithContext(ctx)
	if body != "" {
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	}
	resp, err := r.transport.RoundTrip(req)
	if err != nil {
		return nil, r.unreachable(ctx, method, err)
	}
	defer resp.Body.Close() // it has been read as far as it will be
	answer, err := io.ReadAll(io.LimitReader(resp.Body, longestAnswer))
	if err != nil {
		return nil, r.unreachable(ctx, method, err)
	}
	if r.now, err = http.ParseTime(resp.Header.Get("Date")); err != nil {
		r.now = time.Now()
	}
	if resp.StatusCode != http.StatusOK {
		return nil, r.refusal(resp.StatusCode, answer)
	}
	if json.Unmarshal(answer, into) != nil {
		return nil, r.stranger("its answer cannot be read")
	}
	return answer, nil
}

func (r *relay) header(method string) http.Header {
	h := http.Header{"User-Agent": {"shoutrrr/" + shoutrrr.Version()}}
	if method == http.MethodPost {
		h.Set("Content-Type", "application/json")
		h.Set("X-Shoutrrr-Actor", r.actor)
	}
	if r.token != "" {
		h.Set("Authorization", "Bearer "+r.token)
	}
	return h
}

// waits is how long an answer may take.
func (r *relay) waits() time.Duration { return cmp.Or(r.patience, relayPatience) }

// unreachable says that no answer came.
func (r *relay) unreachable(ctx context.Context, method string, err error) error {
	var errno syscall.Errno
	var dns *net.DNSError
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return context.Canceled
	case ctx.Err() != nil:
		err = fmt.Errorf("no answer within %s", r.waits())
	case errors.As(err, &dns):
		err = errors.New("cannot look up " + dns.Name)
	case errors.As(err, &errno):
		err = errno
	}
	next := ""
	if method == http.MethodPost && errno != syscall.ECONNREFUSED && dns == nil {
		next = "; it may have done what it was asked for, look before you repeat it"
	}
	return failf(exitUnreachable, "no relay answers at %s (%w): start it with shoutrrrd run, or name it with --relay%s", r, err, next)
}

// stranger says that something else than a relay's admin listener has answered.
func (r *relay) stranger(what string) error {
	return failf(exitUnreachable, "what answers at %s is not the admin listener of a relay (%s): name with --relay what shoutrrrd run has as --admin", r, what)
}

// refusal is the error for an answer that is not 200.
func (r *relay) refusal(status int, answer []byte) error {
	var told struct {
		Error string `json:"error"`
		Code  string `json:"code"`
	}
	if json.Unmarshal(answer, &told) != nil || told.Error == "" {
		switch status {
		case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return failf(exitTemporary, "%s answers %d %s: try again", r, status, http.StatusText(status))
		}
		return r.stranger(fmt.Sprintf("%d %s", status, http.StatusText(status)))
	}
	switch {
	case told.Code == "key_rejected", told.Code == "other_upstream":
		return failf(exitRefused, "%w", keyRejected(told.Error))
	case status == http.StatusUnauthorized && r.token == "":
		return failf(exitKey, "the relay at %s wants a token: name a file that holds one with --token-file or SHOUTRRR_TOKEN_FILE", r)
	case status == http.StatusUnauthorized:
		return failf(exitKey, "the relay at %s does not know the token: --token-file or SHOUTRRR_TOKEN_FILE names the file that holds it", r)
	case status == http.StatusForbidden:
		return failf(exitKey, "the relay at %s does not allow it: %s", r, told.Error)
	case status == http.StatusBadRequest:
		return failf(exitUsage, "%s", told.Error)
	case status >= http.StatusInternalServerError, status == http.StatusTooManyRequests:
		return failf(exitTemporary, "the relay at %s cannot answer now: %s", r, told.Error)
	}
	return failf(exitRefused, "%s", told.Error)
}

// laneNamed is a lane as the relay knows it. Somebody who has only the integration
// key at hand means its lane, and the key itself must not get into a URL.
func laneNamed(given string) string {
	if key, err := eventsv2.ParseKey(given); err == nil {
		return key.Fingerprint()
	}
	return given
}

// oneLine is the relay's JSON on one line. Characters that could speak to the
// terminal become escapes, which mean the same.
func oneLine(answer []byte) string {
	var compact bytes.Buffer
	if json.Compact(&compact, answer) != nil {
		return redact.Text(string(answer))
	}
	return redact.JSON(compact.String()) + "\n"
}
