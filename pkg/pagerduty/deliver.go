package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/pkg/types"
)

// Receipt says that PagerDuty accepted an event. Acceptance is not yet an
// incident: PagerDuty works on it afterwards.
type Receipt struct {
	Action   eventsv2.Action
	DedupKey string // the key of the incident, as PagerDuty returned it
	Key      string // fingerprint of the integration key, never the key itself
	Status   int    // HTTP status, 2xx
	Message  string // PagerDuty's own words
	Attempts int
	Matched  bool // as in [Prepared]
	Warnings []string
}

// DeliveryError says that an event was not accepted. It wraps what the last
// attempt met, an [*eventsv2.Error], and if the caller gave up during a wait, the
// cause of the context as well.
type DeliveryError struct {
	Action   eventsv2.Action
	DedupKey string
	Key      string // fingerprint of the integration key, never the key itself
	Host     string // that was asked, with its port
	Attempts int
	// MaybeAccepted is true if an answer was lost on the way: the incident may
	// be open. Sending again with the same dedup key does no harm.
	MaybeAccepted bool
	Warnings      []string
	Err           error
	// LastFailure is why the last attempt failed that the caller did not interrupt; nil
	// if there was none.
	LastFailure error
	// Unanswered is how long the attempt had brought nothing that the caller interrupted;
	// 0 if none was under way.
	Unanswered time.Duration

	timedOut bool
}

// ErrTimeout is what an event met that was given up because its time was up, for
// errors.Is with a [*DeliveryError].
var ErrTimeout = errors.New("the time for the delivery is up")

// Is reports whether target is [ErrTimeout] and the time was up.
func (e *DeliveryError) Is(target error) bool { return target == ErrTimeout && e.timedOut }

// Error says what happened and to which event.
func (e *DeliveryError) Error() string {
	tries := "1 attempt"
	if e.Attempts != 1 {
		tries = fmt.Sprintf("%d attempts", e.Attempts)
	}
	fate := "not accepted"
	if e.MaybeAccepted {
		fate = "not known to be accepted (an answer was lost)"
	}
	return fmt.Sprintf("%s %s after %s: %v (key %s, dedup key %s)", e.Action, fate, tries, e.Err, e.Key, e.DedupKey)
}

// Unwrap returns what the last attempt met.
func (e *DeliveryError) Unwrap() error { return e.Err }

// Deliver sends the message and tries again for as long as that can help and the
// context and the options allow. Its errors are [*ConfigError],
// [ErrBlankMessage], [*AmbiguousIncidentError] and [ErrNotInitialized], with which
// nothing was sent, and [*DeliveryError].
//
// It blocks for as long: an answer takes a part of a second, an attempt at most 30
// seconds, all of them 5 minutes unless the options or the context say otherwise. An
// attempt that hangs leaves time for another one, by a connection of its own, if 4
// seconds or more were given.
func (s *Service) Deliver(ctx context.Context, message string, params *types.Params) (Receipt, error) {
	start := time.Now()
	p, err := s.Prepare(message, params, start)
	if err != nil {
		return Receipt{}, err
	}
	d := delivery{service: s, prepared: &p, budget: s.opts.Budget()}
	if err := CheckOptions(types.SenderOptions{Timeout: d.budget}); err != nil { // a field of the sender that was set later
		return Receipt{}, err
	}
	d.deadline = start.Add(d.budget)
	if limit, ok := ctx.Deadline(); ok && limit.Before(d.deadline) {
		d.deadline = limit
	}
	d.limit = attemptLimit(d.deadline.Sub(start))
	d.announce()
	answer, err := d.run(ctx)
	d.remember(err)
	d.warnLoggers()
	if err != nil {
		return Receipt{}, d.failure(err)
	}
	return d.receipt(answer), nil
}

// attemptTimeout bounds one attempt: a server that takes the event and then says
// nothing must not use up the time for all of them.
const attemptTimeout = 30 * time.Second

// twoAttempts is the shortest time that two attempts fit into: half of it for one that
// hangs, up to 1.25 s for the wait, and the rest for a handshake and an answer.
const twoAttempts = 4 * time.Second

// attemptLimit bounds one attempt of a delivery that has so much time: half of it, so
// that an attempt that hangs does not use up all.
func attemptLimit(whole time.Duration) time.Duration {
	if whole < twoAttempts {
		return attemptTimeout
	}
	return min(attemptTimeout, whole/2)
}

// delivery is one event on its way.
type delivery struct {
	service  *Service
	prepared *Prepared
	budget   time.Duration // 0 or less: one attempt
	deadline time.Time
	limit    time.Duration // of one attempt
	attempts int
	lost     bool  // a request was sent and its answer never seen
	limited  bool  // the last failure was a rate limit
	inRow    int   // failures of that kind in a row
	failed   error // why the last attempt failed that was not interrupted

	interrupted bool          // the caller gave up
	unanswered  time.Duration // how long the attempt had lasted that was interrupted

	announced bool // the ledger did not know the trigger before
	warned    bool // that the ledger does not work
}

func (d *delivery) run(ctx context.Context) (eventsv2.Receipt, error) {
	s := d.service
	for {
		begin := time.Now()
		answer, err := d.attempt(ctx)
		d.attempts++
		d.lost = d.lost || sent(err)
		wait, again := time.Duration(0), false
		switch {
		case err == nil:
		case interrupted(ctx):
			d.interrupted, d.unanswered = true, time.Since(begin)
		default:
			d.failed = err
			wait, again = s.retry.Next(err, d.streak(err), time.Until(d.deadline))
		}
		d.report(begin, answer, err, wait)
		if !again {
			return answer, err
		}
		if pause(ctx, wait) != nil {
			if interrupted(ctx) {
				d.interrupted = true
				err = errors.Join(context.Cause(ctx), err)
			}
			return answer, err
		}
	}
}

// attempt makes one attempt that ends with its share of the budget. The client itself
// ends it after attemptTimeout, so that a context, which costs more than the encoding
// of the event, is needed for a short budget and the last stretch only.
func (d *delivery) attempt(ctx context.Context) (eventsv2.Receipt, error) {
	if limit := min(d.limit, time.Until(d.deadline)); d.budget > 0 && limit < attemptTimeout {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	return d.service.client.Post(ctx, d.prepared.Event.RoutingKey, d.prepared.Body)
}

// streak counts the failures of one kind in a row: the long waits of a rate limit
// do not go on from the short ones of a broken connection.
func (d *delivery) streak(err error) int {
	limited := errors.Is(err, eventsv2.ErrRateLimited)
	if limited != d.limited {
		d.limited, d.inRow = limited, 0
	}
	d.inRow++
	return d.inRow
}

// interrupted tells a caller who gave up from time that ran out: only the latter
// leaves the last attempt's failure as the reason.
func interrupted(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }

func sent(err error) bool {
	if err == nil {
		return false // as errors.As would say, which wants memory for the answer
	}
	var failed *eventsv2.Error
	return errors.As(err, &failed) && failed.Sent
}

// pause waits, or returns the context's error.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// report tells the options' hook and loggers about an attempt.
func (d *delivery) report(begin time.Time, answer eventsv2.Receipt, err error, wait time.Duration) {
	s, ev := d.service, d.prepared.Event
	logger := s.logger.Load()
	if s.opts.OnAttempt == nil && s.opts.Logger == nil && logger == nil {
		return
	}
	a := types.Attempt{
		Service: Scheme, Host: s.config.Address(), Index: s.opts.Index,
		Key: s.prints[d.prepared.key], Action: string(ev.Action), DedupKey: ev.DedupKey,
		Number: d.attempts, Start: begin, Elapsed: time.Since(begin),
		Status: answer.Status, Err: err, Wait: wait,
	}
	var failed *eventsv2.Error
	if errors.As(err, &failed) {
		a.Status = failed.Status
	}
	if s.opts.OnAttempt != nil {
		s.opts.OnAttempt(a)
	}
	if s.opts.Logger != nil {
		logAttempt(s.opts.Logger, a)
	}
	if logger != nil && err != nil {
		logger.Printf("pagerduty: %s, attempt %d: %v", a.Action, a.Number, err)
	}
}

func logAttempt(logger *slog.Logger, a types.Attempt) {
	attrs := []slog.Attr{
		slog.String("host", a.Host), slog.String("key", a.Key),
		slog.String("action", a.Action), slog.String("dedup_key", a.DedupKey),
		slog.Int("attempt", a.Number), slog.Int("status", a.Status), slog.Duration("elapsed", a.Elapsed),
	}
	level, text := slog.LevelInfo, "event accepted"
	switch {
	case a.Err != nil && a.Wait > 0:
		level, text = slog.LevelWarn, "event not accepted, trying again"
		attrs = append(attrs, slog.Duration("wait", a.Wait), slog.Any("err", a.Err))
	case a.Err != nil:
		level, text = slog.LevelError, "event not accepted"
		attrs = append(attrs, slog.Any("err", a.Err))
	}
	logger.LogAttrs(context.Background(), level, text, attrs...)
}

// warnLoggers logs the warnings: a caller of Send gets no receipt that has them.
func (d *delivery) warnLoggers() {
	s := d.service
	logger := s.logger.Load()
	for _, warning := range d.prepared.Warnings {
		if s.opts.Logger != nil {
			s.opts.Logger.LogAttrs(context.Background(), slog.LevelWarn, "event with a warning",
				slog.String("dedup_key", d.prepared.Event.DedupKey), slog.String("warning", warning))
		}
		if logger != nil {
			logger.Printf("pagerduty: %s: %s", d.prepared.Event.Action, warning)
		}
	}
}

// announce has the ledger know a trigger before it leaves: if this process dies
// on the way, the incident may be open and somebody will want to resolve it.
func (d *delivery) announce() {
	if d.prepared.Event.Action == eventsv2.Trigger {
		var err error
		d.announced, err = d.service.opts.Ledger.Add(d.incident())
		d.warnLedger(err)
	}
}

// remember keeps the ledger true to what PagerDuty has, or may have: a trigger
// whose answer was lost counts as open, a resolve whose answer was lost does not
// count as resolved.
func (d *delivery) remember(failure error) {
	s, p := d.service, d.prepared
	var err error
	switch {
	case p.Event.Action == eventsv2.Trigger && (failure == nil || d.lost) && d.announced:
		_, err = s.opts.Ledger.Add(d.incident()) // a resolve may have come in between
	case p.Event.Action == eventsv2.Trigger && (failure == nil || d.lost):
		err = s.opts.Ledger.Put(d.incident())
	case p.Event.Action == eventsv2.Trigger && d.announced,
		p.Event.Action == eventsv2.Resolve && failure == nil:
		err = s.opts.Ledger.Remove(s.ids[p.key], p.Event.DedupKey)
	}
	d.warnLedger(err)
}

func (d *delivery) incident() Incident {
	s, p, ev := d.service, d.prepared, d.prepared.Event
	return Incident{
		KeyID: s.ids[p.key], DedupKey: ev.DedupKey, Triggered: time.Now(),
		Source: s.config.Scrub(ev.Payload.Source), Summary: s.config.Scrub(ev.Payload.Summary),
	}
}

// warnLedger tells once that the ledger does not work.
func (d *delivery) warnLedger(err error) {
	if err != nil && !d.warned {
		d.warned = true
		d.prepared.warn("a later acknowledge or resolve will need the dedup key %s: %v", oneWord(d.prepared.Event.DedupKey), err)
	}
}

func (d *delivery) receipt(answer eventsv2.Receipt) Receipt {
	p := d.prepared
	r := Receipt{
		Action: p.Event.Action, DedupKey: p.Event.DedupKey, Key: d.service.prints[p.key],
		Status: answer.Status, Message: answer.Message,
		Attempts: d.attempts, Matched: p.Matched, Warnings: p.Warnings,
	}
	if answer.DedupKey != "" {
		r.DedupKey = answer.DedupKey
	}
	return r
}

func (d *delivery) failure(err error) error {
	p := d.prepared
	return &DeliveryError{
		Action: p.Event.Action, DedupKey: p.Event.DedupKey, Key: d.service.prints[p.key], Host: d.service.config.Address(),
		Attempts: d.attempts, MaybeAccepted: d.lost, Warnings: p.Warnings, Err: err,
		LastFailure: d.failed, Unanswered: d.unanswered, timedOut: d.timedOut(err),
	}
}

// timedOut reports whether more time might have brought the event through.
func (d *delivery) timedOut(err error) bool {
	var failed *eventsv2.Error
	return !d.interrupted && (errors.Is(err, context.DeadlineExceeded) || d.budget > 0 && errors.As(err, &failed) && failed.Temporary())
}
