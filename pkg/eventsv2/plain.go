package eventsv2

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// CheckPlainHost returns why an integration key may not go to a host over plain HTTP,
// nil if it may: PagerDuty itself is reached by https alone. The host has no port.
//
// Only letters, digits, dots, dashes and underscores of ASCII are taken. Other letters
// are folded on the way to the name server (IDNA makes pagerduty of ｐagerduty, and a
// dot of an ideographic full stop), so that a comparison before that would miss
// PagerDuty. An international name can be given in its ASCII form, xn--….
func CheckPlainHost(host string) error {
	name := strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	if _, err := netip.ParseAddr(name); err == nil {
		return nil
	}
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "" || strings.ContainsFunc(name, func(r rune) bool { return r >= 0x80 || r == '%' }) {
		return errors.New("without TLS a host is written in letters, digits, dots and dashes of ASCII, an international name as xn--…")
	}
	if strings.HasSuffix("."+strings.TrimRight(name, "."), ".pagerduty.com") {
		return errors.New("PagerDuty is reached by https: http would send the integration key in clear")
	}
	return nil
}

// ProxyFromEnvironment is the proxy of a request as [http.ProxyFromEnvironment] finds
// it, and an error if the request would go to it in clear: a proxy reads all of a
// request to an http URL, the integration key and the token included. A host that
// NO_PROXY names, and this machine, is reached without a proxy.
func ProxyFromEnvironment(req *http.Request) (*url.URL, error) {
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
