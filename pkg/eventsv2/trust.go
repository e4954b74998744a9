package eventsv2

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"
)

// trust says what the certificates of a server are verified against, as far as that is
// known: not of an HTTP of the caller's that is no *http.Transport.
type trust struct {
	roots []*x509.CertPool // each in its turn, nil for the system's; none if that is not known
	host  string
}

// trustOf returns what a transport verifies the certificates of a server against.
func trustOf(transport http.RoundTripper, server *url.URL) trust {
	host := server.Hostname()
	switch t := transport.(type) {
	case *lazyTransport:
		return trust{[]*x509.CertPool{t.pool, nil}, host}
	case *http.Transport:
		if t.TLSClientConfig != nil {
			return trust{[]*x509.CertPool{t.TLSClientConfig.RootCAs}, cmp.Or(t.TLSClientConfig.ServerName, host)}
		}
		return trust{[]*x509.CertPool{nil}, host}
	}
	return trust{}
}

// later returns what will be wrong with a certificate that is not valid yet once it is: to
// wait for one of an unknown authority, or of another host, would be in vain.
// crypto/x509 looks at the time first, and then at nothing else. If nothing will be wrong,
// or that is not known, the cause is returned as it is.
func (r trust) later(err error) error {
	var verification *tls.CertificateVerificationError
	if len(r.roots) == 0 || !isEarly(err) || !errors.As(err, &verification) || len(verification.UnverifiedCertificates) == 0 {
		return err
	}
	certificates := verification.UnverifiedCertificates
	options := x509.VerifyOptions{DNSName: r.host, Intermediates: x509.NewCertPool(), CurrentTime: time.Now()}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "proxyconnect" { // the certificate is the proxy's
		options.DNSName = ""
	}
	for _, c := range certificates {
		if options.CurrentTime.Before(c.NotBefore) {
			options.CurrentTime = c.NotBefore
		}
	}
	for _, c := range certificates[1:] {
		options.Intermediates.AddCert(c)
	}
	var found error
	for _, options.Roots = range r.roots {
		var invalid x509.CertificateInvalidError
		if _, found = certificates[0].Verify(options); found == nil || errors.As(found, &invalid) && invalid.Reason == x509.Expired {
			return err // time alone can help
		}
	}
	return &tls.CertificateVerificationError{UnverifiedCertificates: certificates, Err: found}
}
