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
//
// What blocks, and for how long:
//
//   - [Send], and of a sender Send, SendItems, Route and Flush: until the event is
//     accepted, a part of a second as a rule, or given up, after 5 minutes at most.
//   - The same with a Timeout in the options or the sender: that long at most. An
//     attempt that hangs leaves half of a short one for another attempt.
//   - [SendContext], and of a sender SendContext, Deliver, SendItemsContext,
//     RouteContext and FlushContext: until the context ends, too.
//   - SendAsync, SendAsyncContext and Enqueue of a sender: not at all.
//
// Without a dedup key, events with the same source, title and message are one
// incident: a repetition adds to it, any other text pages. Without a source the
// machine counts as one. Whoever wants different texts in one incident gives the
// parameter dedup_key.
//
// No context may be nil, as in the standard library.
package shoutrrr
