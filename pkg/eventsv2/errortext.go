package eventsv2

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Error says what happened, where, and what to do next.
func (e *Error) Error() string {
	var what, next string
	if e.Status == 0 {
		what, next = e.tellUnanswered()
	} else {
		what, next = e.tellAnswer()
	}
	if next == "" {
		return what
	}
	return what + "; " + next
}

func (e *Error) tellAnswer() (what, next string) {
	host := e.where()
	switch {
	case e.Status == http.StatusTooManyRequests:
		return e.reasoned("rate limited by " + host), e.later("retry", "retry in a minute or more")
	case e.serverError():
		next = e.later("retry", "retry later")
		if e.Sent {
			next += ": the event may have arrived, the same dedup key keeps it from paging twice"
		}
		return e.reasoned(host + " cannot take the event now"), next
	case e.KeyRejected():
		return e.reasoned(host + " refused the integration key"), "check that it belongs to an Events API v2 integration"
	case e.redirected():
		return e.reasoned(host + " redirects, which is not followed"), "give the host that takes the events itself"
	case e.Status == http.StatusProxyAuthRequired:
		return e.reasoned("the proxy before " + host + " wants a login"), "give user and password in HTTPS_PROXY"
	case e.Status == http.StatusNotFound, e.Status == http.StatusMethodNotAllowed, e.Status == http.StatusGone:
		return e.reasoned(host + " does not offer the Events API v2"), "check the host and the port"
	case e.Intercepted():
		return e.because(fmt.Sprintf("%s answers %d with %s", host, e.Status, cmp.Or(e.form, formUnknown))), "check the host and the port, and have the proxy or firewall before it let the events pass"
	}
	return e.reasoned(host + " refused the event"), "correct the event before you send it again"
}

func (e *Error) tellUnanswered() (what, next string) {
	host := e.where()
	if e.Err == nil {
		return "no answer from " + host, "retry later"
	}
	var base *baseURLError
	switch {
	case errors.As(e.Err, &base):
		return base.Error(), "give one such as " + DefaultBaseURL
	case errors.Is(e.Err, context.Canceled):
		what = "stopped before " + host + " answered: context canceled"
		return what, e.arrived("")
	case speaksNoTLS(e.Err):
		return host + " speaks plain HTTP, not TLS", "check the port, or turn TLS off for this host (disabletls=yes)"
	case isUntrusted(e.Err):
		cause, advice := explainDistrust(e.Err)
		return "cannot trust the certificate of " + host + ": " + cause, advice
	case errors.Is(e.Err, context.DeadlineExceeded) && e.limit > 0:
		return "no answer from " + host + " within " + e.limit.String(), e.arrived("check the network")
	}
	cause, advice := explain(e.Err)
	return "no answer from " + host + ": " + cause, e.arrived(advice)
}

// arrived replaces the advice once the event may have arrived: then the network
// is not what matters most.
func (e *Error) arrived(advice string) string {
	if e.Sent {
		return "the event may have arrived, the same dedup key keeps it from paging twice"
	}
	return advice
}

// reasoned appends the status and the server's reason.
func (e *Error) reasoned(what string) string {
	return e.because(fmt.Sprintf("%s (%d)", what, e.Status))
}

// because appends the server's reason.
func (e *Error) because(what string) string {
	if e.Message == "" {
		return what
	}
	return what + ": " + strings.TrimRight(e.Message, ". ")
}

func (e *Error) later(verb, otherwise string) string {
	if e.RetryAfter <= 0 {
		return otherwise
	}
	if e.RetryAfter < time.Second {
		return verb + " after " + e.RetryAfter.String()
	}
	return verb + " after " + e.RetryAfter.Round(time.Second).String()
}

func (e *Error) where() string {
	if e.host == "" {
		return "the server"
	}
	return e.host
}
