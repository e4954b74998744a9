package pagerdutytest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// ProxyOptions says which connections a proxy ends itself.
type ProxyOptions struct {
	// Listen is the address. Defaults to a free port of 127.0.0.1.
	Listen string
	// Hosts are the hosts that the emulator stands for, on any port. Defaults to
	// events.pagerduty.com and events.eu.pagerduty.com. Connections to other
	// hosts are passed on untouched.
	Hosts []string
	// All has the emulator stand for every host.
	All bool
	// CA issues the certificates. Defaults to a new one.
	CA *Authority
	// Token is what clients have to know: URL holds it, and TLSGreeting does. Defaults
	// to none, so that every user of this machine may use the proxy.
	Token string
	// ErrorLog hears of connections that failed, such as those of clients that do
	// not trust the CA. Defaults to none.
	ErrorLog *log.Logger
}

// Proxy brings programs to the emulator whose URLs name PagerDuty's hosts: a
// CONNECT proxy that ends TLS itself and, for clients that know no proxy, a TLS
// listener with the same certificates.
type Proxy struct {
	ca     *Authority
	token  string // "" admits everybody
	all    bool
	hosts  map[string]bool
	front  *service // speaks with clients of the proxy
	inside *service // speaks TLS with those who think that they speak with PagerDuty
	queue  *tunnelQueue
	listen net.Listener
	direct net.Listener
	once   sync.Once

	mu      sync.Mutex
	closed  bool
	tunnels map[net.Conn]bool
	running sync.WaitGroup
}

// StartProxy starts a proxy that hands its requests to e. Requests that come
// through it do not reach the second door.
func StartProxy(e *Emulator, o ProxyOptions) (*Proxy, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if len(o.Hosts) == 0 {
		o.Hosts = []string{hostUS, hostEU}
	}
	p := &Proxy{ca: o.CA, token: o.Token, all: o.All, hosts: make(map[string]bool), queue: newTunnelQueue(), tunnels: make(map[net.Conn]bool)}
	for _, host := range o.Hosts {
		p.hosts[canonical(host)] = true
	}
	var err error
	if p.ca == nil {
		if p.ca, err = NewAuthority(e.options.Now()); err != nil {
			return nil, err
		}
	}
	if p.listen, err = net.Listen("tcp", o.Listen); err != nil {
		return nil, fmt.Errorf("start the proxy: %w", err)
	}
	if p.direct, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		_ = p.listen.Close()
		return nil, fmt.Errorf("start the proxy: %w", err)
	}
	p.inside = newService(e, e, p.ca.config(), o.ErrorLog, true)
	p.inside.serve(p.queue)
	p.inside.serve(greeted{p.direct, p.TLSGreeting()})
	p.front = newService(p.handler(e), e, nil, o.ErrorLog, true)
	p.front.serve(p.listen)
	return p, nil
}

// URL returns the proxy's URL, for HTTPS_PROXY. It holds the token, if there is one.
func (p *Proxy) URL() string { return "http://" + userInfo(p.token) + p.listen.Addr().String() }

// CA returns the authority that clients have to trust.
func (p *Proxy) CA() *Authority { return p.ca }

// TLSAddr returns the host and port of the TLS listener, for clients that know no
// proxy but can be sent to another address.
func (p *Proxy) TLSAddr() string { return p.direct.Addr().String() }

// TLSGreeting returns what a client of TLSAddr sends before its TLS handshake: a line
// with the token, nothing if there is none.
func (p *Proxy) TLSGreeting() string {
	if p.token == "" {
		return ""
	}
	return "token " + p.token + "\r\n"
}

// Close ends all connections and waits for them.
func (p *Proxy) Close() error {
	p.once.Do(func() {
		p.mu.Lock()
		p.closed = true
		for c := range p.tunnels {
			_ = c.Close() // ends the copying on both sides
		}
		p.mu.Unlock()
		p.front.close()
		p.inside.close()
		p.running.Wait()
	})
	return nil
}

// canonical is a host as it is compared.
func canonical(host string) string {
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

func (p *Proxy) intercepts(host string) bool { return p.all || p.hosts[canonical(host)] }

// handler takes CONNECT, and requests for http:// URLs in their absolute form.
func (p *Proxy) handler(e *Emulator) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !knowsToken(r.Header.Get("Proxy-Authorization"), p.token) {
			w.Header().Set("Proxy-Authenticate", `Basic realm="sandbox"`)
			http.Error(w, "this proxy is for the program that runs in the sandbox: its HTTPS_PROXY has the token", http.StatusProxyAuthRequired)
			return
		}
		r.Header.Del("Proxy-Authorization") // it is no part of the event
		host := r.URL.Hostname()
		if r.Method == http.MethodConnect {
			host, _, _ = net.SplitHostPort(r.Host)
		}
		switch {
		case r.Method == http.MethodConnect && host == "":
			http.Error(w, "CONNECT wants host:port", http.StatusBadRequest)
		case r.Method == http.MethodConnect && p.intercepts(host):
			p.intercept(w, r)
		case r.Method == http.MethodConnect:
			p.pass(w, r)
		case host != "" && p.intercepts(host):
			e.ServeHTTP(w, r)
		default:
			http.Error(w, "this proxy takes CONNECT only, and http:// URLs of PagerDuty's hosts", http.StatusNotImplemented)
		}
	})
}

// established is the answer to CONNECT. net/http would add headers that have no
// place before a tunnel.
const established = "HTTP/1.1 200 Connection established\r\n\r\n"

// intercept ends the tunnel here.
func (p *Proxy) intercept(w http.ResponseWriter, r *http.Request) {
	c := hijack(w)
	if c == nil {
		return
	}
	c.target = r.Host
	if _, err := io.WriteString(c, established); err != nil {
		_ = c.Close()
		return
	}
	p.queue.put(c)
}

// pass carries the bytes of a tunnel to where they were meant to go.
func (p *Proxy) pass(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 30*time.Second)
	defer cancel()
	far, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.Host)
	if err != nil {
		http.Error(w, "cannot reach "+r.Host+": "+err.Error(), http.StatusBadGateway)
		return
	}
	near := hijack(w)
	if near == nil || !p.enter(near, far) {
		_ = far.Close()
		return
	}
	defer p.exit(near, far)
	if _, err := io.WriteString(near, established); err != nil {
		return
	}
	back := make(chan struct{})
	go func() {
		defer close(back)
		carry(near, far)
	}()
	carry(far, near)
	<-back
}

// enter notes a tunnel for Close, unless that has been called.
func (p *Proxy) enter(near, far net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = near.Close()
		return false
	}
	p.tunnels[near], p.tunnels[far] = true, true
	p.running.Add(1)
	return true
}

func (p *Proxy) exit(near, far net.Conn) {
	_, _ = near.Close(), far.Close()
	p.mu.Lock()
	delete(p.tunnels, near)
	delete(p.tunnels, far)
	p.mu.Unlock()
	p.running.Done()
}

// carry copies one direction and passes its end on: the other may go on.
func carry(to, from net.Conn) {
	_, _ = io.Copy(to, from) // whichever side failed, the tunnel ends
	if half, ok := innermost(to).(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// tunnel is a connection behind CONNECT.
type tunnel struct {
	net.Conn
	early  *bufio.Reader // what the client sent without waiting for the answer
	target string
}

func (t *tunnel) Read(p []byte) (int, error) {
	if t.early.Buffered() > 0 {
		return t.early.Read(p)
	}
	return t.Conn.Read(p)
}

// NetConn is the connection below, for [innermost].
func (t *tunnel) NetConn() net.Conn { return t.Conn }

// hijack takes the connection over. HTTP/2, on which that fails, is not spoken
// by the front.
func hijack(w http.ResponseWriter) *tunnel {
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "CONNECT wants HTTP/1.1", http.StatusHTTPVersionNotSupported)
		return nil
	}
	return &tunnel{Conn: c, early: rw.Reader}
}

// targetOfTunnel returns the CONNECT target of a connection, or "".
func targetOfTunnel(c net.Conn) string {
	for {
		if t, ok := c.(*tunnel); ok {
			return t.target
		}
		outer, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return ""
		}
		c = outer.NetConn()
	}
}

// tunnelQueue is a net.Listener that accepts the tunnels that are put into it.
type tunnelQueue struct {
	arrived chan *tunnel
	closed  chan struct{}
	once    sync.Once
}

func newTunnelQueue() *tunnelQueue {
	return &tunnelQueue{arrived: make(chan *tunnel), closed: make(chan struct{})}
}

func (q *tunnelQueue) put(t *tunnel) {
	select {
	case q.arrived <- t:
	case <-q.closed:
		_ = t.Close()
	}
}

// Accept waits for the next tunnel.
func (q *tunnelQueue) Accept() (net.Conn, error) {
	select {
	case t := <-q.arrived:
		return t, nil
	case <-q.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (q *tunnelQueue) Close() error {
	q.once.Do(func() { close(q.closed) })
	return nil
}

// Addr is an address in name only.
func (q *tunnelQueue) Addr() net.Addr { return &net.UnixAddr{Name: "tunnels", Net: "unix"} }
