// Package pagerduty is the pagerduty:// service: it turns a URL, parameters and
// a message into an event and delivers it.
//
//	pagerduty://[host[:port]]/KEY[,KEY…][?parameters]
//
// [Parse] reads the URL into a [Config]. A [Service] made of it keeps the
// connection, the constant part of the event and the [Ledger] of incidents that
// are open; [Service.Deliver] sends one message, tries again while that helps,
// and says what became of it.
//
// Address, Fingerprints, Redacted and Scrub of a Config serve to name a URL without
// its secrets.
package pagerduty
