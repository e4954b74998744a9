// Package types holds the words that programs and the parts of this library
// share. It imports nothing of the library.
package types

import (
	"context"
	"net/http"
	"net/url"
)

// Sender sends a message. The params override what the service's URL says; nil
// means none.
type Sender interface {
	Send(message string, params *Params) error
}

// ContextSender is a [Sender] that gives up when the context ends.
type ContextSender interface {
	SendContext(ctx context.Context, message string, params *Params) error
}

// Service is one notification service, made from a URL.
type Service interface {
	Sender
	// Initialize reads the configuration from the URL. Its errors name the
	// parameter, never a key.
	Initialize(serviceURL *url.URL, logger StdLogger) error
	// SetLogger sets where progress is told; nil for nowhere.
	SetLogger(logger StdLogger)
	// GetID returns the service's scheme, such as "pagerduty".
	GetID() string
}

// HTTPClient makes one HTTP request. *http.Client is one.
type HTTPClient interface {
	Do(req *http.Request) (*http.Response, error)
}

var _ HTTPClient = (*http.Client)(nil)
