package eventsv2

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// However PagerDuty's name is spelt, no key goes there in clear: each of these is, or
// becomes on the way to the name server, a name of PagerDuty's.
func TestPlainHost(t *testing.T) {
	for _, host := range []string{
		"events.pagerduty.com", "pagerduty.com", "EVENTS.PagerDuty.COM", "events.pagerduty.com.", "events.pagerduty.com..", "events.eu.pagerduty.com",
		"events.ｐagerduty.com", "events.pagerduty。com", "events．pagerduty.com", "events.pager\u00adduty.com", "events.PAGERDUTY.ⅽom", "events.pagerduty.com\u200b",
		"events.%70agerduty.com", "events.pagerduty.com%00", "events.pagerduty.com ", "events.pagerduty.com:80",
	} {
		if CheckPlainHost(host) == nil {
			t.Errorf("%q was taken", host)
		}
		c := Client{BaseURL: "http://" + host}
		_, err := c.Post(context.Background(), mustKey(t, testKey), []byte("{}"))
		var failed *Error
		if !errors.As(err, &failed) || failed.Sent || failed.Temporary() {
			t.Errorf("%q: the client says %v", host, err)
		}
	}
	for _, host := range []string{"relay", "127.0.0.1", "::1", "[::1]", "fe80::1%eth0", "relay.example.com", "my_relay-1.internal.", "notpagerduty.com", "pagerduty.com.example", "xn--bcher-kva.example"} {
		if err := CheckPlainHost(host); err != nil {
			t.Errorf("%q: %v", host, err)
		}
	}
}

// The error about a proxy says what to do, and trying again cannot help.
func TestPlainProxyError(t *testing.T) {
	err := &Error{Err: &plainProxyError{proxy: "proxy:3128", host: "relay"}, host: "relay"}
	if err.Temporary() || !strings.Contains(err.Error(), "add relay to NO_PROXY") || !strings.Contains(err.Error(), "proxy:3128") {
		t.Errorf("temporary %v: %v", err.Temporary(), err)
	}
}
