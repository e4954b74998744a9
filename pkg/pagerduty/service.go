package pagerduty

import (
	"context"
	"errors"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/pkg/types"
)

// Options say how a [Service] delivers. The zero value is ready for use.
type Options struct {
	types.SenderOptions
	// Budget returns how long a delivery may take; it is asked for each. 0 means
	// one attempt. Defaults to the Budget of the SenderOptions.
	Budget func() time.Duration
	// Ledger remembers open incidents. Defaults to one in memory.
	Ledger Ledger
	// Index is the position of the URL among its sender's, told in attempts.
	Index int
	// UserAgent names the sending program to the server. Defaults to "shoutrrr".
	UserAgent string
}

// Service delivers to the integration keys of one URL. What does not differ from
// one message to the next is worked out once, in [New]. It is safe for
// concurrent use.
//
// A zero Service becomes useful by [Service.Initialize].
type Service struct {
	config *Config
	opts   Options
	client *eventsv2.Client
	retry  eventsv2.Retry
	logger atomic.Pointer[stdLogger]
	// For each integration key: the constant part of the event, encoded; what
	// stands for the key in the ledger; and what stands for it everywhere else.
	heads  [][]byte
	ids    []string
	prints []string
	// redacted names the URL in results.
	redacted string
}

type stdLogger struct{ types.StdLogger }

var (
	_ types.Service       = (*Service)(nil)
	_ types.ContextSender = (*Service)(nil)
)

// ErrNotInitialized is returned by a zero [Service].
var ErrNotInitialized = errors.New("the pagerduty service has no URL yet: call Initialize first")

// New returns a service for a configuration that [Parse] has made.
func New(config *Config, opts Options) *Service {
	s := new(Service)
	s.init(config, opts)
	return s
}

func (s *Service) init(config *Config, opts Options) {
	if opts.Ledger == nil {
		opts.Ledger = NewMemoryLedger()
	}
	if opts.Budget == nil {
		opts.Budget = opts.SenderOptions.Budget
	}
	if opts.UserAgent == "" {
		opts.UserAgent = "shoutrrr"
	}
	s.config, s.opts, s.redacted = config, opts, config.Redacted()
	s.client = &eventsv2.Client{BaseURL: config.BaseURL()} // a used one keeps its host
	s.client.UserAgent = opts.UserAgent
	s.client.Timeout = attemptTimeout
	if opts.HTTPClient != nil {
		s.client.HTTP = opts.HTTPClient
	}
	s.heads, s.ids, s.prints = nil, nil, nil
	for i, key := range config.Keys {
		ev := config.event(i)
		s.heads = append(s.heads, ev.AppendHead(nil))
		s.ids = append(s.ids, keyID(key))
		s.prints = append(s.prints, key.Fingerprint())
	}
}

// event returns the event that the configuration makes, but for what the message
// gives.
func (c *Config) event(key int) eventsv2.Event {
	return eventsv2.Event{
		RoutingKey: c.Keys[key],
		Action:     c.Action,
		Client:     c.Client,
		ClientURL:  c.ClientURL,
		Links:      c.Links,
		Images:     c.Images,
		Payload: eventsv2.Payload{
			Source:    c.Source,
			Severity:  c.Severity,
			Component: c.Component,
			Group:     c.Group,
			Class:     c.Class,
		},
	}
}

// Initialize implements [types.Service] for programs that make services by
// themselves; options then have their defaults. A # in raw JSON, which net/url
// takes for the start of a fragment, is put back.
func (s *Service) Initialize(serviceURL *url.URL, logger types.StdLogger) error {
	config, err := Parse(rawURL(serviceURL))
	if err != nil {
		return err
	}
	s.init(config, s.opts)
	s.SetLogger(logger)
	return nil
}

func rawURL(u *url.URL) string {
	raw := u.Scheme + "://"
	if u.User != nil {
		raw += "user@" // refused, with the reason
	}
	raw += u.Host + u.EscapedPath()
	if u.RawQuery != "" {
		raw += "?" + u.RawQuery
	}
	if u.RawFragment != "" { // net/url keeps it only if it is unlike its own escaping
		raw += "#" + u.RawFragment
	} else if u.Fragment != "" {
		raw += "#" + u.EscapedFragment()
	}
	return raw
}

// SetLogger implements [types.Service].
func (s *Service) SetLogger(logger types.StdLogger) {
	if logger == nil {
		s.logger.Store(nil)
		return
	}
	s.logger.Store(&stdLogger{logger})
}

// GetID implements [types.Service].
func (s *Service) GetID() string { return Scheme }

// Config returns the configuration that the service was made of.
func (s *Service) Config() *Config { return s.config }

// Send implements [types.Service]: it delivers, or tries for as long as the
// options say.
func (s *Service) Send(message string, params *types.Params) error {
	return s.SendContext(context.Background(), message, params)
}

// SendContext implements [types.ContextSender].
func (s *Service) SendContext(ctx context.Context, message string, params *types.Params) error {
	_, err := s.Deliver(ctx, message, params)
	return err
}

// Redacted names the URL without its secrets.
func (s *Service) Redacted() string { return s.redacted }
