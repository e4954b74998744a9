package eventsv2

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestErrorIsAnError(t *testing.T) {
	var _ error = (*Error)(nil)
	var none error = &Error{}
	if none.Error() == "" || !(&Error{}).Temporary() {
		t.Error("the zero Error should read as no answer")
	}
}

func TestErrorKinds(t *testing.T) {
	kinds := []error{ErrInvalidKey, ErrUnauthorized, ErrForbidden, ErrRateLimited, ErrUnreachable, context.Canceled}
	tests := []struct {
		name string
		err  *Error
		want []error
	}{
		{"invalid event", &Error{Rejected: true, Status: 400, Message: "'payload.source' is missing or blank"}, nil},
		{"unknown key", &Error{Rejected: true, Status: 400, Message: "Invalid routing key"}, []error{ErrInvalidKey}},
		{"key in another case", &Error{Rejected: true, Status: 400, Message: "invalid Routing Key"}, []error{ErrInvalidKey}},
		{"short key", &Error{Rejected: true, Status: 400, Message: "Length of 'routing_key' is incorrect (should be 32 characters)"}, []error{ErrInvalidKey}},
		{"a 500 that names the key", &Error{Status: 500, Message: "routing_key store is down"}, nil},
		{"401", &Error{Rejected: true, Status: 401}, []error{ErrUnauthorized}},
		{"401 of a proxy", &Error{Status: 401}, nil},
		{"403", &Error{Rejected: true, Status: 403}, []error{ErrForbidden}},
		{"403 of a proxy", &Error{Status: 403}, nil},
		{"400 of a proxy that names the key", &Error{Status: 400, Message: "routing_key is no header"}, nil},
		{"429", &Error{Status: 429}, []error{ErrRateLimited}},
		{"302", &Error{Status: 302}, nil},
		{"407", &Error{Status: 407}, nil},
		{"404", &Error{Status: 404}, nil},
		{"503", &Error{Status: 503}, nil},
		{"refused connection", &Error{Err: syscall.ECONNREFUSED}, nil},
		{"certificate", &Error{Err: &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}}, []error{ErrUnreachable}},
		{"bare certificate error", &Error{Err: x509.HostnameError{Certificate: &x509.Certificate{}, Host: "h"}}, []error{ErrUnreachable}},
		{"plain HTTP", &Error{Err: http.ErrSchemeMismatch}, []error{ErrUnreachable}},
		{"garbage instead of TLS", &Error{Err: tls.RecordHeaderError{RecordHeader: [5]byte{1, 2, 3, 4, 5}}}, nil},
		{"canceled", &Error{Err: fmt.Errorf("x: %w", context.Canceled)}, []error{context.Canceled}},
		{"deadline", &Error{Err: context.DeadlineExceeded}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := fmt.Errorf("wrapped: %w", tt.err)
			for _, kind := range kinds {
				if got, want := errors.Is(err, kind), slices.Contains(tt.want, kind); got != want {
					t.Errorf("errors.Is(%v): got %v, want %v", kind, got, want)
				}
			}
		})
	}
}

// TestRedactKeepsTheKind of a cause whose text had to be replaced.
func TestRedactKeepsTheKind(t *testing.T) {
	key := mustKey(t, testKey)
	for _, kind := range []error{context.Canceled, context.DeadlineExceeded} {
		got := withoutKey(fmt.Errorf("posting %s: %w", strings.ToUpper(testKey), kind), key)
		if !errors.Is(got, kind) {
			t.Errorf("%v is lost", kind)
		}
		checkNoKey(t, "cause", got.Error())
	}
	if plain := errors.New("no key in here"); withoutKey(plain, key) != plain {
		t.Error("a harmless cause was replaced")
	}
}

func TestErrorTexts(t *testing.T) {
	const host = "events.pagerduty.com"
	twice := "the event may have arrived, the same dedup key keeps it from paging twice"
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	tests := []struct {
		err  *Error
		want string
	}{
		{&Error{Rejected: true, Status: 400, Message: "'payload.severity' is invalid"}, host + " refused the event (400): 'payload.severity' is invalid; correct the event before you send it again"},
		{&Error{Rejected: true, Status: 400}, host + " refused the event (400); correct the event before you send it again"},
		{&Error{Rejected: true, Status: 400, Message: "Invalid routing key"}, host + " refused the integration key (400): Invalid routing key; check that it belongs to an Events API v2 integration"},
		{&Error{Rejected: true, Status: 401, Message: "no"}, host + " refused the integration key (401): no; check that it belongs to an Events API v2 integration"},
		{&Error{Rejected: true, Status: 403}, host + " refused the integration key (403); check that it belongs to an Events API v2 integration"},
		{&Error{Status: 400, Message: "nginx", form: formText}, host + " answers 400 with text that is not PagerDuty's: nginx; check the host and the port, and have the proxy or firewall before it let the events pass"},
		{&Error{Status: 403, Message: "Access denied", form: formPage}, host + " answers 403 with a web page: Access denied; check the host and the port, and have the proxy or firewall before it let the events pass"},
		{&Error{Status: 403, Message: "no", form: formJSON}, host + " answers 403 with JSON that is not PagerDuty's: no; check the host and the port, and have the proxy or firewall before it let the events pass"},
		{&Error{Status: 200, form: formPage}, host + " answers 200 with a web page; check the host and the port, and have the proxy or firewall before it let the events pass"},
		{&Error{Status: 413, form: formEmpty}, host + " answers 413 with nothing; check the host and the port, and have the proxy or firewall before it let the events pass"},
		{&Error{Status: 413}, host + " answers 413 with what is not PagerDuty's answer; check the host and the port, and have the proxy or firewall before it let the events pass"},
		{&Error{Status: 502, Message: "nginx"}, host + " cannot take the event now (502): nginx; retry later"},
		{&Error{Status: 404}, host + " does not offer the Events API v2 (404); check the host and the port"},
		{&Error{Status: 407}, "the proxy before " + host + " wants a login (407); give user and password in HTTPS_PROXY"},
		{&Error{Status: 302, Message: "https://elsewhere.example"}, host + " redirects, which is not followed (302): https://elsewhere.example; give the host that takes the events itself"},
		{&Error{Status: 429, RetryAfter: 30 * time.Second, Message: "Slow down."}, "rate limited by " + host + " (429): Slow down; retry after 30s"},
		{&Error{Status: 429}, "rate limited by " + host + " (429); retry in a minute or more"},
		{&Error{Status: 503, RetryAfter: 1500 * time.Millisecond}, host + " cannot take the event now (503); retry after 2s"},
		{&Error{Status: 500, RetryAfter: 500 * time.Millisecond}, host + " cannot take the event now (500); retry after 500ms"},
		{&Error{Status: 504, Sent: true, Message: "Gateway Timeout"}, host + " cannot take the event now (504): Gateway Timeout; retry later: " + twice},
		{&Error{Err: refused}, "no answer from " + host + ": connection refused; check the network and that the host is the right one"},
		{&Error{Err: &net.OpError{Op: "proxyconnect", Err: refused}}, "no answer from " + host + ": proxy: connection refused; check the network and that the host is the right one"},
		{&Error{Err: &net.DNSError{Err: "no such host", Name: "evnets.example"}}, "no answer from " + host + ": cannot look up evnets.example (no such host); check the name of the host and the DNS"},
		{&Error{Err: io.ErrUnexpectedEOF, Sent: true}, "no answer from " + host + ": the connection was closed; " + twice},
		{&Error{Err: context.DeadlineExceeded, limit: 30 * time.Second}, "no answer from " + host + " within 30s; check the network"},
		{&Error{Err: context.DeadlineExceeded}, "no answer from " + host + ": timeout; check the network"},
		{&Error{Err: context.Canceled}, "stopped before " + host + " answered: context canceled"},
		{&Error{Err: http.ErrSchemeMismatch}, host + " speaks plain HTTP, not TLS; check the port, or turn TLS off for this host (disabletls=yes)"},
		{
			&Error{Err: &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}},
			"cannot trust the certificate of " + host + ": x509: certificate signed by unknown authority; if you trust its CA, add it to the system's certificates or to the file that SSL_CERT_FILE names",
		},
		{&Error{Err: x509.CertificateInvalidError{Reason: x509.Expired, Detail: "d"}}, "cannot trust the certificate of " + host + ": x509: certificate has expired or is not yet valid: d; check this machine's clock, then the server's certificate"},
		{&Error{Err: x509.SystemRootsError{}}, "cannot trust the certificate of " + host + ": x509: failed to load system roots and no roots provided; check the system's certificates"},
		{&Error{Err: errors.New("some\x1b[1m\nthing.")}, "no answer from " + host + ": some[1m thing"},
		{&Error{}, "no answer from " + host + "; retry later"},
	}
	for _, tt := range tests {
		tt.err.host = host
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
	if got := (&Error{Status: 400, Rejected: true}).Error(); !strings.HasPrefix(got, "the server refused") {
		t.Errorf("without a host: got %q", got)
	}
}
