package eventsv2

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// ProxyFromEnvironment is the proxy of a request as [http.ProxyFromEnvironment] finds
// it, and an error if the request would go to it in clear: a proxy reads all of a
// request to an http URL, the integration key and the token included. A host that
// NO_PROXY names, and this machine, is reached without a proxy.
//
// A variable that cannot be read is an error as well. net/http would go past the proxy, or look
// up a piece of its password in the DNS.
func ProxyFromEnvironment(req *http.Request) (*url.URL, error) {
	if err := environment().check(req.URL); err != nil {
		return nil, err
	}
	proxy, err := http.ProxyFromEnvironment(req)
	if err == nil && proxy != nil && req.URL.Scheme == "http" {
		return nil, &plainProxyError{proxy: proxy.Host, host: req.URL.Hostname()}
	}
	return proxy, err
}

// plainProxyError is a request that would go to a proxy in clear.
type plainProxyError struct{ proxy, host string }

func (e *plainProxyError) Error() string {
	return fmt.Sprintf("the proxy %s of HTTP_PROXY would get the integration key in clear; use https, or add %s to NO_PROXY", e.proxy, e.host)
}

// unreadableProxyError is a proxy variable that cannot be read. It holds nothing of its value.
type unreadableProxyError struct{ name string }

func (e *unreadableProxyError) Error() string {
	// user:password@ does not stand behind //: what hides passwords would hide it.
	return e.name + " cannot be read: write http://host:port without quotes; with a login, user:password@host:port behind the //, and in it @ / # ? % as %40 %2F %23 %3F %25"
}

// proxyVariables are what the environment says of proxies.
type proxyVariables struct {
	http, https string
	httpName    string // of the variable that counts
	httpsName   string
	none        string
}

// environment is read once, as net/http does it.
var environment = sync.OnceValue(func() proxyVariables { return readProxyVariables(os.Getenv) })

func readProxyVariables(getenv func(string) string) (v proxyVariables) {
	first := func(names ...string) (name, value string) {
		for _, name := range names {
			if value := getenv(name); value != "" {
				return name, value
			}
		}
		return "", ""
	}
	v.httpName, v.http = first("HTTP_PROXY", "http_proxy")
	v.httpsName, v.https = first("HTTPS_PROXY", "https_proxy")
	_, v.none = first("NO_PROXY", "no_proxy")
	return v
}

// check returns why the proxy of a request cannot be known, nil if it can or there is none.
func (v proxyVariables) check(to *url.URL) error {
	name, value := v.httpName, v.http
	if to.Scheme == "https" {
		name, value = v.httpsName, v.https
	}
	if value == "" || isReadableProxy(value) || v.isDirect(to.Hostname()) {
		return nil
	}
	return &unreadableProxyError{name}
}

// isReadableProxy reports whether net/http reads the value as it is meant. What holds // has a
// scheme. An @ behind the host shows that the host is a piece of the password: that held one of / # ?.
func isReadableProxy(value string) bool {
	if !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
		return false
	}
	full := value
	if !strings.Contains(value, "//") {
		full = "http://" + value
	}
	u, err := url.Parse(full)
	if err != nil || !isProxyScheme(u.Scheme) {
		return false
	}
	host := u.Hostname()
	if _, err := netip.ParseAddr(host); err != nil && (host == "" || strings.ContainsFunc(host, isNoHostLetter)) {
		return false
	}
	return !strings.HasSuffix(u.Host, ":") && !strings.Contains(u.Path+u.RawQuery+u.Fragment, "@")
}

func isProxyScheme(scheme string) bool {
	switch scheme {
	case "http", "https", "socks5", "socks5h":
		return true
	}
	return false
}

// isNoHostLetter reports whether a name of a host has no such character. Names of other alphabets
// have letters beyond ASCII. What is not UTF-8 is here as utf8.RuneError.
func isNoHostLetter(r rune) bool {
	if r < utf8.RuneSelf {
		return !isAlphanumeric(byte(r)) && !strings.ContainsRune("-._", r)
	}
	return r == utf8.RuneError || unicode.IsSpace(r) || unicode.IsControl(r)
}

// isDirect reports whether a host is reached without a proxy, by the rules of net/http.
func (v proxyVariables) isDirect(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	addr, err := netip.ParseAddr(host)
	if host == "localhost" || err == nil && addr.Unmap().IsLoopback() {
		return true
	}
	for entry := range strings.SplitSeq(v.none, ",") {
		entry = strings.ToLower(strings.TrimSpace(entry))
		if at := strings.LastIndexByte(entry, ':'); at >= 0 && strings.Count(entry, ":") == 1 { // a port
			entry = entry[:at]
		}
		if entry == "" {
			continue
		}
		if network, no := netip.ParsePrefix(entry); no == nil && err == nil && network.Contains(addr.Unmap()) {
			return true
		}
		entry = strings.TrimPrefix(entry, "*")
		if entry == "" || host == strings.TrimPrefix(entry, ".") || strings.HasSuffix(host, "."+strings.TrimPrefix(entry, ".")) {
			return true
		}
	}
	return false
}
