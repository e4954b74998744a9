// Package router sends one message to several services, each given by its URL,
// and says for each URL, in the order of the URLs, what became of it.
package router

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/containrrr/shoutrrr/internal/redact"
	"github.com/containrrr/shoutrrr/pkg/pagerduty"
	"github.com/containrrr/shoutrrr/pkg/types"
)

var (
	// ErrNoSenders is returned by a nil router. One without services has no results.
	ErrNoSenders = errors.New("there is no service to send to: add one by its URL")
	// ErrUnknownService is returned for a URL of a scheme that is not known.
	ErrUnknownService = errors.New("unknown service")
	// ErrServiceTimeout is what an event met whose time was up, for errors.Is. It
	// is [pagerduty.ErrTimeout].
	ErrServiceTimeout = pagerduty.ErrTimeout
)

// ServiceRouter sends messages to the services of its URLs, all at the same
// time. The zero value is ready for use. Its methods are safe for concurrent
// use, but for AddService, UseLedger, UseUserAgent, Enqueue and Flush.
type ServiceRouter struct {
	// Timeout, if positive, bounds each Send, all attempts included. Zero leaves
	// it to the options, which are 5 minutes unless set. It must not be changed
	// while a Send is under way.
	Timeout time.Duration

	opts     types.SenderOptions
	services []*pagerduty.Service
	first    []int // for each URL the position of the first one that is the same
	queue    []string
	agent    string

	mu     sync.Mutex // of what follows
	logger types.StdLogger
	ledger pagerduty.Ledger
}

// Result says what became of the message at one URL.
type Result struct {
	URL     string            // the URL without its secrets
	Receipt pagerduty.Receipt // zero unless accepted
	Err     error             // nil: accepted. Else a [*types.TargetError]
}

// New returns a router for the URLs. The logger may be nil. Its errors are those
// of [ServiceRouter.AddService], for the first URL that is bad.
func New(logger types.StdLogger, serviceURLs ...string) (*ServiceRouter, error) {
	return NewWithOptions(logger, types.SenderOptions{}, serviceURLs...)
}

// NewWithOptions returns a router for the URLs that delivers as the options say. Its errors
// are those of [New], and of [pagerduty.CheckOptions].
func NewWithOptions(logger types.StdLogger, opts types.SenderOptions, serviceURLs ...string) (*ServiceRouter, error) {
	if err := pagerduty.CheckOptions(opts); err != nil {
		return nil, err
	}
	r := &ServiceRouter{opts: opts, logger: logger, Timeout: opts.Timeout}
	r.opts.Timeout = 0 // the field alone counts: programs change it later
	for _, serviceURL := range serviceURLs {
		if err := r.add(serviceURL, len(serviceURLs)); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// UseLedger makes the router remember open incidents in the ledger, instead of in
// memory, for the services that it has and those that come. It must not be called
// while a Send is under way.
func (r *ServiceRouter) UseLedger(ledger pagerduty.Ledger) {
	r.ledger = ledger
	for _, service := range r.services {
		service.UseLedger(ledger)
	}
}

// UseUserAgent names the sending program to the servers, by the services that the
// router has and those that come. It must not be called while a Send is under way.
func (r *ServiceRouter) UseUserAgent(agent string) {
	r.agent = agent
	for _, service := range r.services {
		service.UseUserAgent(agent)
	}
}

// AddService adds the service of the URL. A URL that means the same as one before
// gets results of its own, but the message is sent by it once. The error is a
// [*types.TargetError] around [ErrUnknownService], or around a
// [*pagerduty.ConfigError] that tells everything that is wrong with the URL.
func (r *ServiceRouter) AddService(serviceURL string) error { return r.add(serviceURL, 0) }

// add adds a service, of so many if that is known.
func (r *ServiceRouter) add(serviceURL string, of int) error {
	service, err := r.locate(serviceURL, len(r.services), of)
	if err != nil {
		return err
	}
	first := len(r.services)
	for i, other := range r.services {
		if other.SameURL(service) {
			first = r.first[i]
			break
		}
	}
	r.services, r.first = append(r.services, service), append(r.first, first)
	return nil
}

// Locate returns the service of the URL without adding it. Its errors are those of
// [ServiceRouter.AddService].
func (r *ServiceRouter) Locate(rawURL string) (types.Service, error) {
	service, err := r.locate(rawURL, 0, 0)
	if err != nil {
		return nil, err // not a nil *Service in a non-nil interface
	}
	return service, nil
}

func (r *ServiceRouter) locate(rawURL string, index, of int) (*pagerduty.Service, error) {
	if err := checkScheme(rawURL); err != nil {
		return nil, &types.TargetError{Index: index, Of: of, Err: err}
	}
	config, err := pagerduty.Parse(rawURL)
	if err != nil {
		return nil, &types.TargetError{URL: pagerduty.Scheme, Index: index, Of: of, Err: err}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ledger == nil {
		r.ledger = pagerduty.NewMemoryLedger()
	}
	service := pagerduty.New(config, pagerduty.Options{
		SenderOptions: r.opts, Budget: r.budget, Ledger: r.ledger, Index: index, UserAgent: r.agent,
	})
	service.SetLogger(r.logger)
	return service, nil
}

// budget is asked for each delivery, so that a Timeout that is set later counts.
func (r *ServiceRouter) budget() time.Duration {
	if r.Timeout > 0 {
		return r.Timeout
	}
	return r.opts.Budget()
}

func checkScheme(rawURL string) error {
	scheme, _, ok := strings.Cut(pagerduty.Unquote(rawURL), ":")
	if !ok || scheme == "" {
		return fmt.Errorf("%w: the URL has no scheme; it begins with one of %s", ErrUnknownService, schemes())
	}
	if !strings.EqualFold(scheme, pagerduty.Scheme) {
		return unknown(scheme)
	}
	return nil
}

// unknown names the scheme without what may be a key that lost its URL.
func unknown(scheme string) error {
	return fmt.Errorf("%w %q: there is %s", ErrUnknownService, redact.Shapes(scheme), schemes())
}

func schemes() string { return strings.Join((*ServiceRouter)(nil).ListServices(), ", ") }

// ListServices returns the schemes that there are.
func (r *ServiceRouter) ListServices() []string { return []string{pagerduty.Scheme} }

// NewService returns a service of the scheme that waits for its Initialize.
func (r *ServiceRouter) NewService(serviceScheme string) (types.Service, error) {
	if !strings.EqualFold(serviceScheme, pagerduty.Scheme) {
		return nil, unknown(serviceScheme)
	}
	return new(pagerduty.Service), nil
}

// ExtractServiceName returns the scheme of the URL, without what stands behind a +
// in it, and the parts of the URL. Raw JSON in the query stays as it is. The URL is
// never nil. The error is [ErrUnknownService], for a text that has no scheme.
func (r *ServiceRouter) ExtractServiceName(rawURL string) (string, *url.URL, error) {
	scheme, rest, found := strings.Cut(strings.TrimSpace(rawURL), ":")
	if !found || !isScheme(scheme) {
		return "", &url.URL{}, fmt.Errorf("%w: the URL has no scheme", ErrUnknownService)
	}
	u := &url.URL{Scheme: strings.ToLower(scheme)}
	rest, u.RawQuery, _ = strings.Cut(rest, "?")
	if authority, hierarchical := strings.CutPrefix(rest, "//"); hierarchical {
		var slash bool
		if u.Host, u.Path, slash = strings.Cut(authority, "/"); slash {
			u.Path = "/" + u.Path
		}
	} else {
		u.Opaque = rest
	}
	name, _, _ := strings.Cut(u.Scheme, "+")
	return name, u, nil
}

// isScheme is the grammar of RFC 3986, section 3.1.
func isScheme(text string) bool {
	for i, c := range strings.ToLower(text) {
		if (c < 'a' || c > 'z') && (i == 0 || !strings.ContainsRune("0123456789+-.", c)) {
			return false
		}
	}
	return text != ""
}

// SetLogger sets where progress is told; nil for nowhere.
func (r *ServiceRouter) SetLogger(logger types.StdLogger) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.logger = logger
	for _, service := range r.services {
		service.SetLogger(logger)
	}
}

// Route sends the message to the service of the URL. It blocks like
// [ServiceRouter.Send].
func (r *ServiceRouter) Route(rawURL, message string) error {
	return r.RouteContext(context.Background(), rawURL, message, nil)
}

// RouteContext sends the message to the service of the URL, until the context
// ends. Its error is a [*types.TargetError] around one of [ServiceRouter.AddService]
// or of [pagerduty.Service.Deliver].
func (r *ServiceRouter) RouteContext(ctx context.Context, rawURL, message string, params *types.Params) error {
	service, err := r.locate(rawURL, 0, 0)
	if err != nil {
		return err
	}
	if err := service.SendContext(ctx, message, params); err != nil {
		return &types.TargetError{URL: service.GetID(), Err: err}
	}
	return nil
}
