package pagerdutytest

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func authority(t *testing.T, now time.Time) *Authority {
	t.Helper()
	a, err := NewAuthority(now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAuthorityIsACAForADay(t *testing.T) {
	a := authority(t, epoch)
	block, rest := pem.Decode(a.CertPEM())
	if block == nil || len(rest) != 0 {
		t.Fatalf("got %s", a.CertPEM())
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if !ca.IsCA || !ca.BasicConstraintsValid || !ca.MaxPathLenZero || ca.KeyUsage&x509.KeyUsageCertSign == 0 || len(ca.SubjectKeyId) == 0 {
		t.Errorf("it is no constrained CA: %+v", ca)
	}
	if ca.Subject.CommonName != "shoutrrr sandbox CA" || !ca.NotBefore.Equal(epoch.Add(-time.Hour)) || !ca.NotAfter.Equal(epoch.Add(24*time.Hour)) {
		t.Errorf("got %s from %s to %s", ca.Subject, ca.NotBefore, ca.NotAfter)
	}
}

func TestIssue(t *testing.T) {
	a := authority(t, epoch)
	cert, err := a.Issue("events.pagerduty.com", "127.0.0.1", "2001:db8::5")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if leaf.IsCA || string(leaf.AuthorityKeyId) != string(a.cert.SubjectKeyId) || leaf.SerialNumber.Cmp(a.cert.SerialNumber) == 0 {
		t.Errorf("got %+v", leaf)
	}
	for _, tt := range []struct {
		name string
		at   time.Time
		ok   bool
	}{
		{"events.pagerduty.com", epoch, true},
		{"events.pagerduty.com", epoch.Add(-59 * time.Minute), true},
		{"[127.0.0.1]", epoch, true},
		{"[2001:db8::5]", epoch.Add(23 * time.Hour), true},
		{"other.pagerduty.com", epoch, false},
		{"events.pagerduty.com", epoch.Add(-2 * time.Hour), false},
		{"events.pagerduty.com", epoch.Add(25 * time.Hour), false},
	} {
		_, err := leaf.Verify(x509.VerifyOptions{Roots: a.Pool(), DNSName: tt.name, CurrentTime: tt.at})
		if (err == nil) != tt.ok {
			t.Errorf("%s at %s: got %v", tt.name, tt.at, err)
		}
	}
}

func TestIssueRefuses(t *testing.T) {
	a := authority(t, epoch)
	if _, err := a.Issue(); err == nil || !strings.Contains(err.Error(), "no host given") {
		t.Errorf("got %v", err)
	}
	if _, err := a.Issue("wörld.example"); err == nil || !strings.Contains(err.Error(), "wörld.example") {
		t.Errorf("got %v", err)
	}
	if _, err := a.Issue(strings.Repeat("long.", 40) + "example"); err != nil {
		t.Errorf("a long name: %v", err)
	}
}

func TestCertificatesAreKeptButNotForEver(t *testing.T) {
	a := authority(t, epoch)
	first, err := a.certificate("Events.PagerDuty.com.")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := a.certificate("events.pagerduty.com"); err != nil || again != first {
		t.Errorf("got another certificate for the same host, %v", err)
	}
	for i := range maxCertificates + 1 {
		if _, err := a.certificate(fmt.Sprint("h", i, ".example")); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(a.issued); got > maxCertificates {
		t.Errorf("got %d certificates in the cache", got)
	}
}
