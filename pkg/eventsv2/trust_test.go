package eventsv2

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A certificate that is not valid yet is worth another attempt if the roots of the client
// that was given know it. Where they are not known, it is too: nobody here can say more.
func TestCertificateNotValidYet(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(time.Hour), NotAfter: time.Now().Add(2 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that fail
	server.StartTLS()
	t.Cleanup(server.Close)
	known := x509.NewCertPool()
	known.AddCert(leaf)
	transport := func(roots *x509.CertPool, name string) *http.Transport {
		own := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: name}}
		t.Cleanup(own.CloseIdleConnections)
		return own
	}
	for _, tt := range []struct {
		name      string
		http      Doer
		temporary bool
	}{
		{"known", &http.Client{Transport: transport(known, "")}, true},
		{"known, with a name of its own", &http.Client{Transport: transport(known, "127.0.0.1")}, true},
		{"another name", &http.Client{Transport: transport(known, "events.example.com")}, false},
		{"unknown authority", &http.Client{Transport: transport(x509.NewCertPool(), "")}, false},
		{"the system's roots", nil, false},
		{"roots that are not known", roundTripFunc(transport(x509.NewCertPool(), "").RoundTrip), true},
	} {
		_, err := (&Client{BaseURL: server.URL, HTTP: tt.http}).Post(t.Context(), Key{}, []byte("{}"))
		var failed *Error
		if !errors.As(err, &failed) || failed.Temporary() != tt.temporary || errors.Is(err, ErrUnreachable) == tt.temporary {
			t.Errorf("%s: %v, want temporary %t", tt.name, err, tt.temporary)
		}
		if says := strings.Contains(err.Error(), ": certificate is not valid yet (clock?): it is valid from "); errors.Is(err, ErrNotYetValid) != tt.temporary || says != tt.temporary {
			t.Errorf("%s: %v, want not valid yet %t", tt.name, err, tt.temporary)
		}
	}
}
