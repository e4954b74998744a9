package eventsv2

import (
	"errors"
	"net/netip"
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
