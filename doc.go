// Package shoutrrr sends events to PagerDuty: a page arrives once, with all that
// the responder needs, however badly the network or PagerDuty behaves.
//
// One call is enough:
//
//	err := shoutrrr.Send("pagerduty:///KEY?severity=critical", "Database down")
//
// where KEY is the integration key of an "Events API v2" integration. A program
// that sends often keeps a sender, made with [CreateSender], which opens one
// connection and encodes what is constant once; its Deliver method returns the
// dedup key of the incident. [SendContext] ends with a context.
//
// An event that meets a rate limit, a server's failure or a broken network is
// sent again, for 5 minutes unless types.SenderOptions say otherwise. Errors
// tell whether that would help: see eventsv2.Error. No error and no log record
// holds an integration key.
package shoutrrr
