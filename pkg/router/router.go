// Package router sends one message to several services, each given by its URL,
// and tells for each URL, in the order of the URLs, what became of it.
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
	// ErrNoSenders is returned by a router without services.
	ErrNoSenders = errors.New("there is no service to send to: add one by its URL")
	// ErrUnknownService is returned for a URL of a scheme that is not known.
	ErrUnknownService = errors.New("unknown service")
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

// NewWithOptions returns a router for the URLs that delivers as the options say.
func NewWithOptions(logger types.StdLogger, opts types.SenderOptions, serviceURLs ...string) (*ServiceRouter, error) {
	r := &ServiceRouter{opts: opts, logger: logger, Timeout: opts.Timeout}
	r.opts.Timeout = 0 // the field alone counts: programs change it later
	for _, serviceURL := range serviceURLs {
		if err := r.AddService(serviceURL); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// UseLedger makes the router remember open incidents in the ledger instead of in
// memory. Call it before the first service is added.
func (r *ServiceRouter) UseLedger(ledger pagerduty.Ledger) { r.ledger = ledger }

// UseUserAgent names the sending program to the servers. Call it before the first
// service is added.
func (r *ServiceRouter) UseUserAgent(agent string) { r.agent = agent }

// AddService adds the service of the URL. Its error is [ErrUnknownService], or a
// [*types.TargetError] around a [*pagerduty.ConfigError] that tells everything
// that is wrong with the URL.
func (r *ServiceRouter) AddService(serviceURL string) error {
	service, err := r.locate(serviceURL, len(r.services))
	if err != nil {
		return err
	}
	r.services = append(r.services, service)
	return nil
}

// Locate returns the service of the URL without adding it.
func (r *ServiceRouter) Locate(rawURL string) (types.Service, error) {
	service, err := r.locate(rawURL, 0)
	if err != nil {
		return nil, err // not a nil *Service in a non-nil interface
	}
	return service, nil
}

func (r *ServiceRouter) locate(rawURL string, index int) (*pagerduty.Service, error) {
	if err := checkScheme(rawURL); err != nil {
		return nil, err
	}
	config, err := pagerduty.Parse(rawURL)
	if err != nil {
		return nil, &types.TargetError{URL: pagerduty.Scheme, Index: index, Err: err}
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

// ExtractServiceName returns the scheme of the URL and its parts. Raw JSON in the
// query stays as it is.
func (r *ServiceRouter) ExtractServiceName(rawURL string) (string, *url.URL, error) {
	scheme, rest, ok := strings.Cut(strings.TrimSpace(rawURL), "://")
	if !ok {
		return "", nil, fmt.Errorf("%w: the URL has no scheme", ErrUnknownService)
	}
	rest, query, _ := strings.Cut(rest, "?")
	host, path, slash := strings.Cut(rest, "/")
	if slash {
		path = "/" + path
	}
	scheme = strings.ToLower(scheme)
	return scheme, &url.URL{Scheme: scheme, Host: host, Path: path, RawQuery: query}, nil
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

// Route sends the message to the service of the URL.
func (r *ServiceRouter) Route(rawURL, message string) error {
	return r.RouteContext(context.Background(), rawURL, message, nil)
}

// RouteContext sends the message to the service of the URL, until the context
// ends. Its errors are [ErrUnknownService], or a [*types.TargetError] around a
// [*pagerduty.ConfigError] or an error of [pagerduty.Service.Deliver].
func (r *ServiceRouter) RouteContext(ctx context.Context, rawURL, message string, params *types.Params) error {
	service, err := r.locate(rawURL, 0)
	if err != nil {
		return err
	}
	if err := service.SendContext(ctx, message, params); err != nil {
		return &types.TargetError{URL: service.GetID(), Err: err}
	}
	return nil
}
