// Package eventsv2 speaks PagerDuty's Events API v2.
//
// An [Event] is built, checked with [Event.Validate], made to fit with
// [Event.Fit] and encoded with [Event.AppendJSON]. A [Client] posts the encoded
// bytes: one attempt, one [Receipt] or one [*Error]. Whether to try again, and
// when, is a function of that error and the time left: [Retry.Next].
//
// A relay reads what other clients send with [Repair], stores it without its key,
// and completes the stored bytes with [Key.AppendTo].
//
// What a relay and package pagerduty need beside that is exported as well and may
// change with them: AppendString, ParseEvent, Repair, RepairChange, Invalid.AppendJSON,
// Event.Tell, Event.AppendHead, Event.AppendTail, Event.Fit, Key.AppendTo, CutSummary,
// Rendezvous and Client.Twice. Programs need Event, Change, Validate, AppendJSON,
// Client and Retry.
//
// The package keeps no state but the connections of [SharedTransport], reads no
// clock beyond what an HTTP exchange needs, and never prints an integration key: a [Key] shows itself
// as a fingerprint in every format, and what a server answers is scrubbed of it.
//
// The wire is documented at
// https://developer.pagerduty.com/docs/send-alert-event and
// https://developer.pagerduty.com/docs/events-api-v2-overview.
package eventsv2
