package main

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/containrrr/shoutrrr/pagerdutytest"
)

const (
	integrationKey = "0123456789abcdef0123456789abcdef"
	message        = "Disk usage on db-01 is at 95 %"
	acceptance     = `{"status":"success","message":"Event processed","dedup_key":"srv01/disk"}`
)

// receiver is an HTTPS server that accepts every event and does nothing else, so
// that the senders are measured and not it.
type receiver struct {
	server      *http.Server
	Addr        string
	connections atomic.Int64 // accepted so far
	last        atomic.Pointer[[]byte]
}

// newReceiver listens on a free port with a certificate of the authority, and
// speaks HTTP/2 or only HTTP/1.1.
func newReceiver(ca *pagerdutytest.Authority, http2 bool) (*receiver, error) {
	cert, err := ca.Issue("127.0.0.1")
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{Addr: listener.Addr().String()}
	r.server = &http.Server{
		Handler:           r,
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
		Protocols:         new(http.Protocols),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0), // programs that end at once cut their connections
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				r.connections.Add(1)
			}
		},
	}
	r.server.Protocols.SetHTTP1(true)
	r.server.Protocols.SetHTTP2(http2)
	go func() { _ = r.server.ServeTLS(listener, "", "") }()
	return r, nil
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(w, "the event broke off", http.StatusBadRequest)
		return
	}
	r.last.Store(&body)
	w.Header()["Content-Type"] = []string{"application/json"}
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, acceptance)
}

// Last returns the last body that arrived.
func (r *receiver) Last() []byte {
	if body := r.last.Load(); body != nil {
		return *body
	}
	return nil
}

func (r *receiver) Close() { _ = r.server.Close() }

// trustIn writes the system's CA certificates and the authority's into one file,
// as an administrator would, and returns its path.
func trustIn(dir, bundle string, ca *pagerdutytest.Authority) (string, error) {
	system, err := os.ReadFile(bundle)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "bundle.crt")
	return path, os.WriteFile(path, append(system, ca.CertPEM()...), 0o600)
}

// environment is what the measured programs see: no proxy, and the CA
// certificates where a Debian system has them.
func environment(dir, bundle string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + dir,
		"XDG_STATE_HOME=" + filepath.Join(dir, "state"),
		"SSL_CERT_FILE=" + bundle,
		"SSL_CERT_DIR=/etc/ssl/certs",
	}
}
