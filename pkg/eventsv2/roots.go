package eventsv2

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"runtime"
	"strings"
)

// bundleFiles returns the files in which crypto/x509 looks for the CA bundle, in
// its order: its certFiles in root_linux.go and root_bsd.go. Where the system
// itself verifies (macOS, Windows), and where this is not known, there is none.
func bundleFiles() []string {
	if strings.Contains(os.Getenv("GODEBUG"), "x509usefallbackroots=1") {
		return nil // somebody wants other roots than the system's
	}
	var files []string
	switch runtime.GOOS {
	case "linux":
		files = []string{
			"/etc/ssl/certs/ca-certificates.crt",
			"/etc/pki/tls/certs/ca-bundle.crt",
			"/etc/ssl/ca-bundle.pem",
			"/etc/pki/tls/cacert.pem",
			"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
			"/etc/ssl/cert.pem",
		}
	case "dragonfly", "freebsd", "netbsd", "openbsd":
		files = []string{
			"/usr/local/etc/ssl/cert.pem",
			"/etc/ssl/cert.pem",
			"/usr/local/share/certs/ca-root-nss.crt",
			"/etc/openssl/certs/ca-certificates.crt",
		}
	default:
		return nil
	}
	if file := os.Getenv("SSL_CERT_FILE"); file != "" {
		return []string{file}
	}
	return files
}

// readBundle returns the first of the files that can be read, nil if none can.
// Where that one has no certificate, crypto/x509 does not look at the next either.
func readBundle(files []string) []byte {
	for _, file := range files {
		if data, err := os.ReadFile(file); err == nil {
			return data
		}
	}
	return nil
}

// moreRootsMayHelp reports whether a handshake that failed against the bundle can
// succeed against all of the system's roots: no issuer was found, or the issuer
// in the bundle was not valid (expired, say, and renewed in the folder). A wrong
// host name or an expired certificate of the server itself is final.
func moreRootsMayHelp(err error) bool {
	var verification *tls.CertificateVerificationError
	if !errors.As(err, &verification) {
		return false
	}
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		return true
	}
	var invalid x509.CertificateInvalidError
	if !errors.As(err, &invalid) || invalid.Cert == nil || len(verification.UnverifiedCertificates) == 0 {
		return false
	}
	return !invalid.Cert.Equal(verification.UnverifiedCertificates[0])
}
