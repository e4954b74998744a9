package shoutrrr

import (
	"context"
	"runtime/debug"
	"strings"

	"github.com/containrrr/shoutrrr/pkg/router"
	"github.com/containrrr/shoutrrr/pkg/types"
)

// defaultRouter is what Send uses. It remembers which incidents are open, so that
// a later Send can acknowledge or resolve them.
var defaultRouter router.ServiceRouter

// Send delivers the message to the service of the URL, and tries again for up to
// 5 minutes while that can help. It blocks until then: who must not wait uses
// [SendContext], or a sender. Each of params overrides the URL's parameters,
// the last one first; nil means none.
//
// Without a dedup key, messages with the same source, title and text are one
// incident; others are incidents of their own.
//
// Its error is nil once PagerDuty has accepted the event. A *pagerduty.ConfigError
// tells what is wrong with the URL or the params, pagerduty.ErrBlankMessage that
// there is nothing to say, a *pagerduty.AmbiguousIncidentError that several
// incidents may be meant, and [ErrUnknownService] that the scheme is not known:
// nothing was sent. A *pagerduty.DeliveryError, around the *eventsv2.Error of the
// last attempt, says that the event was not accepted.
func Send(rawURL, message string, params ...*types.Params) error {
	return SendContext(context.Background(), rawURL, message, params...)
}

// SendContext is [Send] that ends with the context, which must not be nil.
func SendContext(ctx context.Context, rawURL, message string, params ...*types.Params) error {
	return defaultRouter.RouteContext(ctx, rawURL, message, merge(params))
}

func merge(params []*types.Params) *types.Params {
	switch len(params) {
	case 0:
		return nil
	case 1:
		return params[0]
	}
	merged := make(types.Params)
	for _, p := range params {
		if p == nil {
			continue
		}
		for name, value := range *p {
			merged[strings.ToLower(strings.TrimSpace(name))] = value
		}
	}
	return &merged
}

// CreateSender returns a sender for the URLs. A sender that is kept works out
// what is constant only once. Its Send returns an error for each URL, so none without
// URLs, and blocks for up to 5 minutes while an event can only be tried again: set its
// Timeout, such as 10 seconds, give a context (SendContext), or leave the sending to
// the background (SendAsync, SendAsyncContext) or to the end (Enqueue and
// FlushContext).
func CreateSender(rawURLs ...string) (*router.ServiceRouter, error) {
	return NewSenderWithOptions(nil, types.SenderOptions{}, rawURLs...)
}

// CreateSenderWithOptions returns a sender for the URLs that delivers as the
// options say; see [CreateSender].
func CreateSenderWithOptions(opts types.SenderOptions, rawURLs ...string) (*router.ServiceRouter, error) {
	return NewSenderWithOptions(nil, opts, rawURLs...)
}

// NewSender returns a sender for the URLs that logs what fails; see [CreateSender].
// The logger, or the pointer in it, may be nil.
func NewSender(logger types.StdLogger, serviceURLs ...string) (*router.ServiceRouter, error) {
	return NewSenderWithOptions(logger, types.SenderOptions{}, serviceURLs...)
}

// NewSenderWithOptions returns a sender for the URLs that delivers as the options
// say and logs what fails to the logger, which may be nil; see [CreateSender].
func NewSenderWithOptions(logger types.StdLogger, opts types.SenderOptions, serviceURLs ...string) (*router.ServiceRouter, error) {
	return router.NewWithOptions(logger, opts, serviceURLs...)
}

// SetLogger sets where [Send] tells its progress; nil for nowhere.
func SetLogger(logger types.StdLogger) {
	defaultRouter.SetLogger(logger)
}

// ErrUnknownService is returned for a URL of a scheme that is not known.
var ErrUnknownService = router.ErrUnknownService

const modulePath = "github.com/containrrr/shoutrrr"

// Version returns the version of this module that the program was built with. A
// build in the module's own folder has a pseudo-version with its commit, or
// "(devel)" if Go was told to leave that out. It is "(devel)" as well for a program
// that has the module by a replace with a folder.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return versionOf(info)
}

func versionOf(info *debug.BuildInfo) string {
	for _, module := range append([]*debug.Module{&info.Main}, info.Deps...) {
		if module.Path != modulePath {
			continue
		}
		if module.Replace != nil { // Version is then that of the module which is replaced
			module = module.Replace
		}
		if module.Version != "" {
			return module.Version
		}
	}
	return "(devel)"
}
