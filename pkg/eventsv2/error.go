package eventsv2

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Kinds of failure, for errors.Is.
var (
	// ErrInvalidKey: PagerDuty does not know the integration key, or it is not one
	// of the Events API v2.
	ErrInvalidKey = errors.New("invalid integration key")
	// ErrUnauthorized: PagerDuty answered 401.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrForbidden: PagerDuty answered 403.
	ErrForbidden = errors.New("forbidden")
	// ErrRateLimited: the answer was 429, the event was not taken in.
	ErrRateLimited = errors.New("rate limited")
	// ErrUnreachable: the way to the server is closed for good. Its certificate
	// cannot be verified (one that is only not valid yet can be later), it speaks no TLS,
	// the proxy opens no tunnel without a login or may not be used, or the BaseURL is none.
	ErrUnreachable = errors.New("unreachable")
	// ErrNotYetValid: the server's certificate is not valid yet. Mostly this machine's clock is
	// behind, until it is set some time after the boot; so the failure is temporary.
	ErrNotYetValid = errors.New("certificate is not valid yet")
	// ErrSilent: this program has closed the connection, by which nothing came while
	// another one brought an answer ([Client.Twice]). It says nothing about the server.
	ErrSilent = errors.New("the connection had gone silent and was given up")
)

// Error is why an attempt did not end with a [Receipt].
type Error struct {
	// Status is that of the answer, 0 if there was none.
	Status int

	// Message is the server's own reason: one line of at most 1 KB, without control
	// characters and without the integration key.
	Message string

	// RetryAfter is how long the server asks to wait, at most 24 h; 0 if it does
	// not say.
	RetryAfter time.Duration

	// Sent reports that the event may have been accepted although no proper answer
	// says so: the connection was lost after it stood, or a gateway gave up (502,
	// 504). Sending the event again is safe if it has a dedup key.
	Sent bool

	// Rejected reports that PagerDuty will never take the event, or does not take the key:
	// the answer is a 400, 401 or 403 in one of PagerDuty's own forms. Without it something
	// on the way has answered, such as a proxy or a firewall, or PagerDuty is in trouble.
	Rejected bool

	// Err is the cause if there was no answer.
	Err error

	host  string
	form  form          // of the answer
	limit time.Duration // of the attempt, if that has ended it
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether the error is of the kind of one of the sentinels.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrInvalidKey:
		return e.Rejected && e.Status == http.StatusBadRequest && namesKey(e.Message)
	case ErrUnauthorized:
		return e.Rejected && e.Status == http.StatusUnauthorized
	case ErrForbidden:
		return e.Rejected && e.Status == http.StatusForbidden
	case ErrRateLimited:
		return e.Status == http.StatusTooManyRequests
	case ErrNotYetValid:
		return e.Status == 0 && isEarly(e.Err)
	case ErrUnreachable:
		return e.Status == 0 && isForGood(e.Err)
	}
	return false
}

// namesKey recognises PagerDuty's "Invalid routing key" and "Length of
// 'routing_key' is incorrect", which come with the status of any other invalid
// event.
func namesKey(message string) bool {
	message = strings.ToLower(message)
	return strings.Contains(message, "routing_key") || strings.Contains(message, "routing key")
}

// KeyRejected reports that PagerDuty rejects the integration key, whatever event comes with
// it.
func (e *Error) KeyRejected() bool {
	return e.Is(ErrInvalidKey) || e.Is(ErrUnauthorized) || e.Is(ErrForbidden)
}

// Temporary reports whether the same event may be accepted later: after every answer that
// is no rejection of PagerDuty's, and after most failures of the network. The end of an
// attempt's time is temporary, and so is a certificate that is not valid yet; the caller's
// own cancellation is not.
func (e *Error) Temporary() bool {
	if e.Status == 0 {
		return !errors.Is(e.Err, context.Canceled) && !isForGood(e.Err)
	}
	return !e.Rejected
}

// Intercepted reports that something before PagerDuty, such as a proxy, a captive portal or
// a firewall, has answered in its place. That says nothing about the event or the key.
func (e *Error) Intercepted() bool {
	return e.Status != 0 && !e.Rejected && e.Status != http.StatusTooManyRequests && !e.serverError()
}

// serverError reports that the server could not take the event when it came. Whether
// PagerDuty or something before it has said that makes no difference.
func (e *Error) serverError() bool {
	return e.Status == http.StatusRequestTimeout || e.Status >= 500 && e.Status <= 599
}

// accepts reports whether an answer says that the event was taken. PagerDuty's is
// 202 with JSON; its support speaks of 200 and 201 as well
// (https://github.com/dikhan/pagerduty-client/issues/11). A page that comes with
// those is a proxy's, and the event is lost if that counts; so is what nobody has asked to
// be compressed, as it cannot be looked at.
func accepts(status int, header http.Header, answer []byte) bool {
	if !isSuccess(status) || status == http.StatusAccepted {
		return isSuccess(status)
	}
	media, _, _ := mime.ParseMediaType(header.Get("Content-Type")) // of a damaged one the answer itself decides
	return !isPage(answer) && media != "text/html" && !isEncoded(header)
}

func isSuccess(status int) bool { return status >= 200 && status <= 299 }

func (e *Error) redirected() bool { return e.Status >= 300 && e.Status <= 399 }

// refusal makes the error of an answer that does not accept.
func refusal(resp *http.Response, answer []byte, key Key, host string) *Error {
	e := &Error{
		Status:     resp.StatusCode,
		Message:    reasonOf(resp.Header, answer, key),
		RetryAfter: retryAfter(resp.Header, resp.StatusCode, time.Now()),
		Sent:       resp.StatusCode == http.StatusBadGateway || resp.StatusCode == http.StatusGatewayTimeout,
		Rejected:   isRejection(resp.StatusCode, answer),
		host:       host,
		form:       formOf(resp.Header, answer),
	}
	if e.redirected() {
		e.Message = redirection(resp, key)
	}
	return e
}

// redirection tells where a redirect points, scheme and host only: the rest of
// such an address may be somebody's login.
func redirection(resp *http.Response, key Key) string {
	u, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || u.Host == "" {
		return ""
	}
	return legible(u.Scheme+"://"+u.Host, key)
}

// unanswered makes the error of an exchange that brought no answer. ctx is the
// caller's, not the attempt's.
func (w *wire) unanswered(ctx context.Context, err error, key Key, connected bool) *Error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	err = w.trust.later(err)
	e := &Error{host: w.host, Sent: connected || !w.traced && !isBeforeSending(err)}
	switch cause := ctx.Err(); {
	case cause != nil && !errors.Is(err, cause):
		// A context with a cause of its own makes net/http return that.
		err = &causeError{withoutKey(err, key).Error(), cause}
	case cause == nil && errors.Is(err, context.Canceled):
		// Something else has cancelled the request; the caller still wants it.
		err = &causeError{text: withoutKey(err, key).Error()}
	}
	e.Err = withoutKey(err, key)
	return e
}

// causeError is a cause that was rewritten: kind is what remains of it for
// errors.Is.
type causeError struct {
	text string
	kind error
}

func (e *causeError) Error() string { return e.text }
func (e *causeError) Unwrap() error { return e.kind }

// withoutKey returns err, or if its text holds the key (a server that is none may
// send back what it got, and net/http quotes it) the scrubbed text in its place.
func withoutKey(err error, key Key) error {
	text := err.Error()
	clean := legible(text, key)
	if scrub(oneLine(text), key) == oneLine(text) {
		return err
	}
	for _, kind := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, kind) {
			return &causeError{clean, kind}
		}
	}
	return &causeError{text: clean}
}
