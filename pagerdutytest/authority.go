package pagerdutytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"time"
)

// The hosts of the Events API.
const (
	hostUS = "events.pagerduty.com"
	hostEU = "events.eu.pagerduty.com"
)

const (
	// certificates begin early: the client's clock may be behind.
	validBefore = time.Hour
	validFor    = 24 * time.Hour
	// maxCertificates bounds the cache against a client that makes names up.
	maxCertificates = 256
)

// Authority is a CA for one run: its key never leaves the process and it ends
// after a day. [NewAuthority] makes one; a zero Authority is of no use.
type Authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate

	mu     sync.Mutex
	issued map[string]*tls.Certificate
}

// NewAuthority makes a CA that is valid from an hour before now until a day
// after.
func NewAuthority(now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the sandbox CA: %w", err)
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "shoutrrr sandbox CA"},
		NotBefore:             now.Add(-validBefore),
		NotAfter:              now.Add(validFor),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := sign(template, template, key, key)
	if err != nil {
		return nil, fmt.Errorf("make the sandbox CA: %w", err)
	}
	// Parsed back, it has the key identifier that strict verifiers want in leafs.
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make the sandbox CA: %w", err)
	}
	return &Authority{key: key, cert: cert, issued: make(map[string]*tls.Certificate)}, nil
}

func sign(template, parent *x509.Certificate, public, by *ecdsa.PrivateKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial.Add(serial, big.NewInt(1)) // zero is not allowed
	return x509.CreateCertificate(rand.Reader, template, parent, &public.PublicKey, by)
}

// CertPEM returns the CA's certificate.
func (a *Authority) CertPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// Pool returns a pool that holds the CA alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// Issue makes a certificate for names and IP addresses, as long as the CA lives.
func (a *Authority) Issue(hosts ...string) (tls.Certificate, error) {
	if len(hosts) == 0 {
		return tls.Certificate{}, errors.New("issue a certificate: no host given")
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: shorten(hosts[0], 64)}, // X.520 allows no more
		NotBefore:   a.cert.NotBefore,
		NotAfter:    a.cert.NotAfter,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("issue a certificate for %s: %w", hosts[0], err)
	}
	der, err := sign(template, a.cert, key, a.key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("issue a certificate for %s: %w", hosts[0], err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// certificate returns the certificate for one host, made when first asked for.
func (a *Authority) certificate(host string) (*tls.Certificate, error) {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	a.mu.Lock()
	defer a.mu.Unlock()
	if cert := a.issued[host]; cert != nil {
		return cert, nil
	}
	hosts := []string{host}
	if ip := net.ParseIP(host); host == "localhost" || (ip != nil && ip.IsLoopback()) {
		// One certificate for whatever a server on this machine is called.
		hosts = append(hosts, "localhost", "127.0.0.1", "::1", hostUS, hostEU)
	}
	cert, err := a.Issue(hosts...)
	if err != nil {
		return nil, err
	}
	if len(a.issued) >= maxCertificates {
		clear(a.issued)
	}
	a.issued[host] = &cert
	return &cert, nil
}

// config serves the certificate of the name that the client asks for; a client
// that connects to an IP address names none, and gets the one for the address
// that it meant.
func (a *Authority) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			host := hello.ServerName
			if host == "" {
				host = meantAddress(hello.Conn)
			}
			return a.certificate(host)
		},
	}
}

// meantAddress is the host of the CONNECT, else the address that was dialled.
func meantAddress(c net.Conn) string {
	address := targetOfTunnel(c)
	if address == "" {
		address = c.LocalAddr().String()
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}
