package pagerdutytest

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"time"
)

// exchange is one request with the fault that it met, on its way to an answer.
type exchange struct {
	e       *Emulator
	entry   *Entry
	request *http.Request
	verdict verdict
	fault   Fault
	faulty  bool
	answer  answer
}

// run does to the event and to the sender what the fault says. The journal is
// closed before the first byte leaves, so that who has the answer finds it there.
func (x *exchange) run(w http.ResponseWriter) {
	ctx, f := x.request.Context(), x.fault
	if !f.After && !wait(ctx, f.Delay) {
		panic(http.ErrAbortHandler)
	}
	x.settle()
	if f.After && !wait(ctx, f.Delay) {
		x.e.update(func() { x.entry.Status, x.entry.Answer = 0, nil })
		panic(http.ErrAbortHandler)
	}
	switch f.Name {
	case FaultHang:
		<-ctx.Done()
		panic(http.ErrAbortHandler)
	case FaultResetBefore, FaultResetAfter:
		reset(w)
	case FaultHalfBody:
		x.write(w, len(x.answer.body)/2)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case FaultGoaway:
		// HTTP/2 has no such header: Go's server makes a GOAWAY of it.
		w.Header().Set("Connection", "close")
		fallthrough
	default:
		x.write(w, len(x.answer.body))
	}
}

// settle has the event accepted, if that is its fate, and writes the answer into
// the journal, in one step: who sees the incident also sees the answer.
func (x *exchange) settle() {
	x.e.update(func() {
		f := x.fault
		if !x.faulty || f.accepts() {
			x.answer, x.entry.Outcome = x.e.accept(x.verdict)
		}
		if f.Status != 0 {
			x.answer = f.answer()
		}
		if f.Name == FaultHang || f.Name == FaultResetBefore || f.Name == FaultResetAfter {
			return
		}
		x.answer.adorn(f, x.e.options.Now())
		x.entry.Status, x.entry.Answer = x.answer.status, x.answer.body
		if f.Name == FaultHalfBody {
			x.entry.Answer = x.answer.body[:len(x.answer.body)/2]
		}
	})
}

// accept lets an event into the incidents, unless it is wrong or comes too fast.
// The caller holds mu.
func (e *Emulator) accept(v verdict) (answer, string) {
	now := e.options.Now()
	switch {
	case v.refused != nil:
		return *v.refused, OutcomeRefused
	case !e.limiter.take(v.event.key, now):
		return throttled(), OutcomeThrottled
	case v.change:
		e.changes = append(e.changes, newChange(v.event, now))
		return changeAccepted(), OutcomeChange
	}
	if isBlank(v.event.dedupKey) {
		v.event.dedupKey = newDedupKey()
	}
	return accepted(v.event.dedupKey), e.incidents.apply(v.event, now)
}

// write sends n bytes of the answer and promises all of them.
func (x *exchange) write(w http.ResponseWriter, n int) {
	for name, values := range x.answer.header {
		w.Header()[name] = values
	}
	if x.answer.status != http.StatusNoContent && x.answer.status != http.StatusNotModified {
		w.Header().Set("Content-Length", strconv.Itoa(len(x.answer.body)))
	}
	w.WriteHeader(x.answer.status)
	_, _ = w.Write(x.answer.body[:n]) // the sender may be gone: that is for the sender to find out
}

// wait reports whether d passed while the sender was there.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// reset cuts the connection without a goodbye: a TCP reset on HTTP/1.1, a reset
// of the stream on HTTP/2, where other requests share the connection.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	raw := innermost(conn)
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = raw.Close() // and not conn: TLS would say goodbye first
}
