package door

import (
	"container/list"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/share"
)

// Failure is how a client failed to get in.
type Failure string

const (
	// WrongToken is a bearer token that is unknown.
	WrongToken Failure = "token"
	// WrongSignIn is a token given at the sign-in that is unknown.
	WrongSignIn Failure = "sign_in"
	// ExpiredToken is a token that was known until it expired.
	ExpiredToken Failure = "expired"
)

// AllFailures lists them.
var AllFailures = []Failure{WrongToken, WrongSignIn, ExpiredToken}

// Failures remembers which clients failed to get in. It logs a line in 10 s, and has the answers
// to a client wait that fails again and again. A right token is looked at before that
// and never waits. So a client that does not wait for its answers learns from an answer
// that does not come: only the length of a token keeps it from being guessed.
type Failures struct {
	log   *slog.Logger
	count func(Failure) // for metrics

	mu       sync.Mutex // guards what follows
	clients  map[share.Client]*list.Element
	order    list.List // of *failing, the one whose last failure is longest ago first
	delayed  int       // answers that wait
	untold   map[Failure]int
	expired  []string // whose tokens have expired, since the last line
	last     share.Client
	reporter *time.Timer // runs until nothing has happened for reportEvery
}

// failing is one client that has failed.
type failing struct {
	client  share.Client
	times   int // in a row, without a pause of forgetFailures
	at      time.Time
	delayed int // its answers that wait
}

const (
	reportEvery = 10 * time.Second
	// freeFailures are slips of people, and of programs with an old token.
	freeFailures = 5
	firstDelay   = 250 * time.Millisecond
	maxDelay     = 5 * time.Second
	// forgetFailures is the pause after which a client begins anew.
	forgetFailures = 5 * time.Minute
	// maxFailing clients are remembered; beyond, the one that failed longest ago is
	// forgotten. A client has an IPv6 network of 64 bits.
	maxFailing = 4096
	// maxDelayed answers wait at once, of one client half of them. They hold no place
	// that another connection could not take.
	maxDelayed = 512
)

// NewFailures returns one without any client.
func NewFailures(log *slog.Logger, count func(Failure)) *Failures {
	return &Failures{log: log, count: count, clients: map[share.Client]*list.Element{}, untold: map[Failure]int{}}
}

// refuse notes a failure and returns when its answer may be given. The name is whose
// token has expired.
func (f *Failures) refuse(r *http.Request, how Failure, name string) {
	f.count(how)
	client := share.ClientOf(r.RemoteAddr)
	delay, own := f.note(client, how, name)
	if delay == 0 {
		return
	}
	left := yield(r.Context())
	select { // whether the client waits or not: one that hangs up may not begin anew at once
	case <-time.After(delay):
	case <-left:
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.delayed--
	own.delayed--
}

// note counts a failure and returns for how long its answer waits.
func (f *Failures) note(client share.Client, how Failure, name string) (time.Duration, *failing) {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.untold[how]++
	f.last = client
	if name != "" && !slices.Contains(f.expired, name) { // as many names as the configuration has
		f.expired = append(f.expired, name)
	}
	if f.reporter == nil {
		f.report()
		f.reporter = time.AfterFunc(reportEvery, f.reportLater)
	}

	place, known := f.clients[client]
	if !known {
		if f.order.Len() >= maxFailing {
			oldest := f.order.Front()
			delete(f.clients, oldest.Value.(*failing).client)
			f.order.Remove(oldest)
		}
		place = f.order.PushBack(&failing{client: client, at: now})
		f.clients[client] = place
	}
	own := place.Value.(*failing)
	if now.Sub(own.at) > forgetFailures {
		own.times = 0
	}
	own.times++
	own.at = now
	f.order.MoveToBack(place)
	if own.times <= freeFailures || f.delayed >= maxDelayed || own.delayed >= maxDelayed/2 {
		return 0, own
	}
	f.delayed++
	own.delayed++
	return min(firstDelay<<min(own.times-freeFailures-1, 10), maxDelay), own
}

// reportLater logs what has happened since the last line, and goes on until nothing
// does.
func (f *Failures) reportLater() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.untold) == 0 {
		f.reporter = nil
		return
	}
	f.report()
	f.reporter.Reset(reportEvery)
}

func (f *Failures) report() {
	total := 0
	for _, n := range f.untold {
		total += n
	}
	line := []any{"count", total, "last_client", f.last.String()}
	for _, how := range AllFailures {
		if n := f.untold[how]; n > 0 {
			line = append(line, string(how), n)
		}
	}
	if len(f.expired) > 0 {
		line = append(line, "expired_tokens_of", f.expired)
	}
	f.log.Warn("sign-ins and tokens were refused", line...)
	clear(f.untold)
	f.expired = nil
}

// yield gives back what the request of a context has in hand, so that it can wait
// without holding up others, and returns a channel that is closed when its connection is.
func yield(ctx context.Context) <-chan struct{} {
	in, ok := ctx.Value(inHandKey{}).(*inHand)
	if !ok {
		return nil
	}
	in.yield()
	return in.own.left.Done()
}
