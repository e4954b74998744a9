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
	"strings"
	"syscall"
	"time"
)

// baseURLError is a BaseURL that cannot be used.
type baseURLError struct{ reason string }

func (e *baseURLError) Error() string { return "bad base URL: " + e.reason }

// proxyError is a proxy that did not open a tunnel.
type proxyError struct {
	host   string
	status int
}

func (e *proxyError) Error() string {
	return fmt.Sprintf("the proxy %s opens no tunnel (%d %s)", e.host, e.status, http.StatusText(e.status))
}

// isForGood reports whether the cause stays until somebody changes something. A
// certificate that is not valid yet becomes so by itself: mostly it is this machine's clock
// that is behind, until it is set some time after the boot. See [trust.later] for one that
// has more than that wrong.
func isForGood(err error) bool {
	if isUntrusted(err) && !isEarly(err) || speaksNoTLS(err) {
		return true
	}
	var base *baseURLError
	var plain *plainProxyError
	var unreadable *unreadableProxyError
	var proxy *proxyError
	return errors.As(err, &base) || errors.As(err, &unreadable) || errors.As(err, &plain) || errors.As(err, &proxy) && proxy.status == http.StatusProxyAuthRequired
}

// isUntrusted reports whether the certificate of the server was not accepted.
func isUntrusted(err error) bool {
	var verification *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var roots x509.SystemRootsError
	return errors.As(err, &verification) || errors.As(err, &unknown) || errors.As(err, &host) ||
		errors.As(err, &invalid) || errors.As(err, &roots)
}

// isEarly reports whether a certificate was not accepted because it is not valid yet. The
// library has one reason for that and for one that has expired.
func isEarly(err error) bool {
	var invalid x509.CertificateInvalidError
	return errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil && !time.Now().After(invalid.Cert.NotAfter)
}

// speaksNoTLS reports whether the other side answered the handshake in plain
// HTTP, as the emulator and a relay without TLS do.
func speaksNoTLS(err error) bool {
	if errors.Is(err, http.ErrSchemeMismatch) {
		return true
	}
	var record tls.RecordHeaderError
	return errors.As(err, &record) && string(record.RecordHeader[:]) == "HTTP/"
}

// isBeforeSending reports whether the cause shows that no request was written.
// It serves for a Doer that does not report its connections.
func isBeforeSending(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect" || op.Op == "socks connect") {
		return true
	}
	var dns *net.DNSError
	return errors.As(err, &dns) || isUntrusted(err) || isForGood(err)
}

// explain tells a cause in the words of its innermost part, and what to do.
func explain(err error) (cause, advice string) {
	var dns *net.DNSError
	var errno syscall.Errno
	var timeout net.Error
	var proxy *proxyError
	switch {
	case errors.As(err, &dns):
		return "cannot look up " + dns.Name + " (" + dns.Err + ")", "check the name of the host and the DNS"
	case errors.As(err, &proxy):
		if proxy.status == http.StatusProxyAuthRequired {
			return proxy.Error(), "give user and password in HTTPS_PROXY"
		}
		return proxy.Error(), "check HTTPS_PROXY and NO_PROXY"
	case errors.As(err, &errno):
		return viaProxy(err) + errno.Error(), "check the network and that the host is the right one"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return viaProxy(err) + "timeout", "check the network"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return viaProxy(err) + "the connection was closed", ""
	}
	return strings.TrimRight(oneLine(err.Error()), ". "), ""
}

// viaProxy says that it was the proxy which could not be reached.
func viaProxy(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "proxyconnect" {
		return "proxy: "
	}
	return ""
}

// validFrom is how a certificate's beginning and this machine's time are told: the year is
// what is wrong of a clock at boot.
const validFrom = "2006-01-02 15:04:05 UTC"

// explainDistrust tells why a certificate was not accepted, and what to do.
func explainDistrust(err error) (cause, advice string) {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		return oneLine(unknown.Error()), "if you trust its CA, add it to the system's certificates or to the file that SSL_CERT_FILE names"
	case errors.As(err, &host):
		return oneLine(host.Error()), "check the name of the host"
	case isEarly(err) && errors.As(err, &invalid):
		return "certificate is not valid yet (clock?): it is valid from " + invalid.Cert.NotBefore.UTC().Format(validFrom) + " on, and this machine's clock says " + time.Now().UTC().Format(validFrom), "set this machine's clock, if it is wrong; the event can be sent again"
	case errors.As(err, &invalid):
		return oneLine(invalid.Error()), "check this machine's clock, then the server's certificate"
	}
	return oneLine(err.Error()), "check the system's certificates"
}
