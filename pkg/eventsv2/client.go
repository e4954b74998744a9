package eventsv2

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// DefaultBaseURL is where accounts of PagerDuty's US region send their events.
	DefaultBaseURL = "https://events.pagerduty.com"

	enqueuePath = "/v2/enqueue"
	changePath  = "/v2/change/enqueue"

	// defaultTimeout bounds one attempt, so that a server which accepts and then
	// says nothing does not use up the whole time for a delivery.
	defaultTimeout = 30 * time.Second

	// maxAnswerBytes is how much of an answer is read. PagerDuty's have some
	// hundred bytes; whatever is longer comes from something else on the way.
	maxAnswerBytes = 64 << 10

	defaultUserAgent = "shoutrrr"
)

// Doer performs one HTTP exchange; *http.Client is one.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// Client posts events, one attempt for each call; [Retry] says whether another
// one is worth it. After an attempt whose time was up without an answer the next one
// takes a fresh connection. The zero value posts to PagerDuty. A Client is meant to be
// kept, may be used by several goroutines at once, and must not be copied nor
// its fields changed after the first use.
type Client struct {
	// BaseURL is scheme, host and, if there is one, the path before /v2/enqueue.
	// Defaults to DefaultBaseURL.
	BaseURL string

	// HTTP performs the requests. A redirect is never followed: Go would turn the
	// POST into a GET, or post the key to a host that nobody chose. An
	// *http.Client is copied for that and keeps its other settings; any other Doer
	// must not follow one by itself. Defaults to the transport that
	// SharedTransport returns, also for a nil *http.Client.
	HTTP Doer

	// UserAgent defaults to "shoutrrr".
	UserAgent string

	// Timeout bounds one attempt, the context of the call bounds it further.
	// Defaults to 30 s.
	Timeout time.Duration

	once sync.Once
	wire wire
}

// Receipt is what PagerDuty said when it accepted an event.
type Receipt struct {
	// Status is the HTTP status, 200 to 299.
	Status int
	// DedupKey is the one that PagerDuty reports. It can differ from the one that
	// was sent, and is empty for a change event or when the answer was damaged.
	DedupKey string
	// Message is PagerDuty's own words: one line of at most 1 KB.
	Message string
}

// wire is what all requests of a Client have in common, prepared once.
type wire struct {
	err     error // the BaseURL cannot be used
	host    string
	agent   []string
	enqueue *http.Request // without context and body
	change  *http.Request
	send    func(*http.Request) (*http.Response, error)
	timeout time.Duration
	lazy    *lazyTransport // the same transport if it is one of these, else nil
	own     bool           // the transport is the shared one, which leaves requests alone
	traced  bool           // the transport is known to report its connections
	trust   trust

	// closeIdle closes the idle connections of a transport that is not ours; nil if it
	// cannot.
	closeIdle func()
	hung      atomic.Bool // an attempt by that transport has hung since
}

// Post sends an encoded event to /v2/enqueue. Its error is an *Error. The key is
// needed only to keep it out of what is returned.
//
// The body must stay as it is even after the return: when a server answers
// before it has read everything, the transport may still be sending.
func (c *Client) Post(ctx context.Context, key Key, body []byte) (Receipt, error) {
	c.once.Do(c.prepare)
	return c.post(ctx, key, c.wire.enqueue, body)
}

// PostChange sends an encoded change event to /v2/change/enqueue. It is like
// [Client.Post] but for one thing: a change event has no dedup key, so a
// repetition after a lost answer is shown twice.
func (c *Client) PostChange(ctx context.Context, key Key, body []byte) (Receipt, error) {
	c.once.Do(c.prepare)
	return c.post(ctx, key, c.wire.change, body)
}

func (c *Client) post(ctx context.Context, key Key, template *http.Request, body []byte) (Receipt, error) {
	if c.wire.err != nil {
		return Receipt{}, &Error{Err: withoutKey(c.wire.err, key)}
	}
	bounded, cancel := c.bound(ctx)
	defer cancel()
	var x exchange
	by := c.wire.connections(template)
	resp, err := c.wire.send(x.request(bounded, &c.wire, template, body))
	if err != nil && errors.Is(bounded.Err(), context.DeadlineExceeded) {
		c.wire.leave(template, by)
	}
	return c.wire.outcome(ctx, bounded, key, &x, resp, err)
}

// connections returns the connections that a request will go by, nil if the transport
// is not ours. One that an attempt has hung on is not used again, nor are those that
// were there beside it: a NAT or a host that has forgotten one has forgotten all.
func (w *wire) connections(template *http.Request) *connections {
	if w.lazy != nil {
		return w.lazy.of(template.URL.Host)
	}
	// Not at the end of that attempt: a stream of HTTP/2 ends after it.
	if w.closeIdle != nil && w.hung.Swap(false) {
		w.closeIdle()
	}
	return nil
}

// leave has the next attempt take a fresh connection.
func (w *wire) leave(template *http.Request, by *connections) {
	if w.lazy == nil {
		w.hung.Store(true)
		return
	}
	w.lazy.renew(template.URL.Host, by, w.lazy.newConnections())
}

// outcome makes of an exchange what the caller gets, and reads the answer. bounded is
// the context of the attempt, ctx the caller's.
func (w *wire) outcome(ctx, bounded context.Context, key Key, x *exchange, resp *http.Response, err error) (Receipt, error) {
	if err == nil && resp == nil {
		err = errNoAnswer
	}
	if err != nil {
		failed := w.unanswered(ctx, err, key, x.connected.Load())
		if ctx.Err() == nil && bounded.Err() != nil {
			failed.limit = w.timeout
		}
		return Receipt{}, failed
	}
	answer := readAnswer(resp)
	if accepts(resp.StatusCode, resp.Header, answer) {
		return decodeReceipt(resp.StatusCode, answer, key), nil
	}
	return Receipt{}, refusal(resp, answer, key, w.host)
}

// errNoAnswer stands for an HTTP of the caller's that returns neither.
var errNoAnswer = errors.New("the HTTP client returned neither an answer nor an error")

// bound returns the context of one attempt.
func (c *Client) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= c.wire.timeout {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, c.wire.timeout)
}

func (c *Client) prepare() {
	w := &c.wire
	base := strings.TrimRight(c.BaseURL, "/")
	if base == "" {
		base = DefaultBaseURL
	}
	u, err := parseBaseURL(base)
	if err != nil {
		w.err = err
		return
	}
	if w.timeout = c.Timeout; w.timeout <= 0 {
		w.timeout = defaultTimeout
	}
	w.agent = []string{c.UserAgent}
	if c.UserAgent == "" {
		w.agent[0] = defaultUserAgent
	}
	w.host = u.Host
	w.enqueue = newTemplate(below(u, enqueuePath), w.agent)
	w.change = newTemplate(below(u, changePath), w.agent)
	w.choose(c.HTTP, u)
}

// choose settles what sends the requests to a server.
func (w *wire) choose(doer Doer, server *url.URL) {
	switch d := doer.(type) {
	case nil:
		// Neither cookies nor redirects are wanted, so http.Client has nothing to
		// add to its transport but work.
		w.lazy, w.own, w.traced = shared(), true, true
		w.send = w.lazy.RoundTrip
		w.trust = trustOf(w.lazy, server)
	case *http.Client:
		if d == nil { // a program's way to say that it has none
			w.choose(nil, server)
			return
		}
		w.chooseClient(d)
		w.trust = trustOf(d.Transport, server)
		if d.Transport == nil {
			w.trust = trustOf(http.DefaultTransport, server)
		}
	default:
		w.send = d.Do
		if idle, can := doer.(interface{ CloseIdleConnections() }); can {
			w.closeIdle = idle.CloseIdleConnections
		}
	}
}

// chooseClient takes the transport out of a client that has nothing to add to it:
// Do copies the headers and the URL once more for redirects and cookies.
func (w *wire) chooseClient(c *http.Client) {
	w.closeIdle = c.CloseIdleConnections
	switch c.Transport.(type) {
	case nil, *http.Transport, *lazyTransport:
		w.traced = true
	}
	if c.Transport != nil && c.Jar == nil && c.Timeout == 0 {
		w.own = w.traced // these two leave requests alone
		w.lazy, _ = c.Transport.(*lazyTransport)
		w.send = c.Transport.RoundTrip
		return
	}
	once := *c
	once.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	w.send = once.Do
}

func parseBaseURL(base string) (*url.URL, error) {
	u, err := url.Parse(base)
	var parse *url.Error
	if errors.As(err, &parse) {
		err = parse.Err // without the text of the URL, which is no business of a log
	}
	switch {
	case err != nil:
		return nil, &baseURLError{err.Error()}
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, &baseURLError{fmt.Sprintf("its scheme is %q, must be https or http", u.Scheme)}
	case u.Host == "":
		return nil, &baseURLError{"it has no host"}
	case u.Scheme == "http":
		if err := CheckPlainHost(u.Hostname()); err != nil {
			return nil, &baseURLError{err.Error()}
		}
	}
	return u, nil
}

// below appends a path; URL.JoinPath makes a relative one of it when base has
// none of its own.
func below(base *url.URL, path string) *url.URL {
	u := *base
	u.Path += path
	if u.RawPath != "" {
		u.RawPath += path
	}
	return &u
}
