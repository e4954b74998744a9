package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/containrrr/shoutrrr/internal/redact"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/pkg/types"
)

// progress tells how a delivery goes that is not over at once: on a terminal by one line
// that stays, with the first failure, and a countdown that redraws the line below it;
// elsewhere by one line for each wait.
type progress struct {
	w        io.Writer
	live     bool // w is a terminal
	verbose  bool
	retryFor time.Duration // how long each URL is tried
	several  bool          // there are several URLs
	keys     *redact.Set   // of all URLs

	mu    sync.Mutex
	asked map[int]asked // those that nothing has answered or failed yet, by the position of the URL
	waits map[int]wait  // by the position of the URL
	drawn bool          // the countdown is on the screen
	tick  *time.Ticker
	ended chan struct{}
}

// wait is the time until the next attempt for one URL.
type wait struct {
	reason  string // such as "429 rate limited"
	key     string // fingerprint
	attempt int    // the number of the next one
	until   time.Time
}

// asked is the first attempt for one URL, as long as it goes on.
type asked struct {
	host  string
	since time.Time
}

// unanswered is how long an attempt may bring nothing before a person is told so.
// PagerDuty answers in a fraction of a second.
const unanswered = 3 * time.Second

func newProgress(sys *system, verbose, several bool, retryFor time.Duration) *progress {
	return &progress{
		w: sys.stderr, live: sys.isTerminal(sys.stderr), verbose: verbose, several: several, retryFor: retryFor,
		asked: make(map[int]asked), waits: make(map[int]wait), ended: make(chan struct{}),
	}
}

// begin says that a URL's first attempt begins now.
func (p *progress) begin(index int, host string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked[index] = asked{host, time.Now()}
	p.draw()
}

// attempt tells an attempt that is over, and the wait that follows.
func (p *progress) attempt(index int, a types.Attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.forget(index)
	about := ""
	if p.several {
		about = fmt.Sprintf("URL %d (%s, %s): ", index+1, a.Host, a.Key)
	}
	if p.verbose {
		notifyHidden(p.w, about, p.keys.Hide(attemptText(a)))
	}
	if a.Wait > 0 {
		next := wait{
			reason: reasonOf(a.Err), key: a.Key, attempt: a.Number + 1,
			until: a.Start.Add(a.Elapsed + a.Wait),
		}
		p.waits[index] = next
		if p.live && a.Number == 1 {
			notifyHidden(p.w, about, p.keys.Hide(p.firstFailure(a)))
		}
		if !p.live && !p.verbose {
			notifyHidden(p.w, about, next.text(a.Wait))
		}
	}
	p.draw()
}

// firstFailure is the line that stays: what happened, at which host, and until when it is
// tried again. With -v the line of the attempt has told what happened.
func (p *progress) firstFailure(a types.Attempt) string {
	until := "trying until " + clockTime(a.Start.Add(p.retryFor), a.Start) + " at the latest"
	if p.verbose {
		return until
	}
	return a.Err.Error() + "; " + until
}

// clockTime is a time of this day, and a date and a time of another one.
func clockTime(at, now time.Time) string {
	if at.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return at.Format("15:04:05 MST")
	}
	return at.Format("2006-01-02 15:04:05 MST")
}

// done forgets a URL that is through.
func (p *progress) done(index int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.forget(index)
	p.draw()
}

func (p *progress) forget(index int) {
	delete(p.asked, index)
	delete(p.waits, index)
}

// above has something written while the countdown is out of the way.
func (p *progress) above(write func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	write()
	p.draw()
}

func (p *progress) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	if p.tick != nil {
		p.tick.Stop()
		p.tick = nil
		close(p.ended)
	}
}

// clear takes the countdown off the screen. The caller holds mu.
func (p *progress) clear() {
	if p.drawn {
		_, _ = io.WriteString(p.w, "\r\x1b[K") // a terminal that is gone needs no cleaning
		p.drawn = false
	}
}

// draw puts the countdown on the screen, and has it go on. The caller holds mu.
func (p *progress) draw() {
	if !p.live || len(p.waits)+len(p.asked) == 0 {
		return
	}
	if text := p.state(time.Now()); text != "" {
		_, _ = io.WriteString(p.w, "\r\x1b[K"+text)
		p.drawn = true
	}
	if p.tick == nil {
		p.tick = time.NewTicker(time.Second)
		go p.goOn(p.tick)
	}
}

func (p *progress) goOn(tick *time.Ticker) {
	for {
		select {
		case <-p.ended:
			return
		case <-tick.C:
			p.mu.Lock()
			if p.tick != nil {
				p.draw()
			}
			p.mu.Unlock()
		}
	}
}

// lineWidth is what fits on one line of every terminal: a longer one would wrap,
// and a wrapped line cannot be redrawn.
const lineWidth = 79

// state is the line that is drawn again each second: what is waited for.
func (p *progress) state(now time.Time) string {
	if len(p.waits) > 0 {
		return countdown(p.waits, now)
	}
	return cut(p.keys.Hide(silence(p.asked, p.retryFor, now)))
}

// cut has a text fit into one line of every terminal.
func cut(text string) string {
	if runes := []rune(text); len(runes) > lineWidth {
		return string(runes[:lineWidth-1]) + "…"
	}
	return text
}

// silence is the line for the first attempts that have brought nothing for a while, "" if
// there is none: the one that has waited longest, and how many there are beside it.
func silence(all map[int]asked, retryFor time.Duration, now time.Time) string {
	var first asked
	n := 0
	for _, a := range all {
		if now.Sub(a.since) < unanswered {
			continue
		}
		if n++; n == 1 || a.since.Before(first.since) {
			first = a
		}
	}
	if n == 0 {
		return ""
	}
	text := fmt.Sprintf("no answer from %s for %s; until %s at the latest", first.host, span(now.Sub(first.since)), clockTime(first.since.Add(retryFor), now))
	if n > 1 {
		text = fmt.Sprintf("%s; %d more waiting", text, n-1)
	}
	return text
}

// countdown is the line for all waits: the one that ends first, and how many
// there are beside it.
func countdown(waits map[int]wait, now time.Time) string {
	var first wait
	for _, w := range waits {
		if first.until.IsZero() || w.until.Before(first.until) {
			first = w
		}
	}
	text := first.text(first.until.Sub(now))
	if others := len(waits) - 1; others > 0 {
		text = fmt.Sprintf("%s (%s); %d more waiting", text, first.key, others)
	}
	return cut(text)
}

func (w wait) text(left time.Duration) string {
	switch {
	case left <= -unanswered:
		return fmt.Sprintf("%s; no answer to attempt %d for %s", w.reason, w.attempt, span(-left))
	case left <= 0:
		return fmt.Sprintf("%s, attempt %d now", w.reason, w.attempt)
	}
	return fmt.Sprintf("%s, attempt %d in %s", w.reason, w.attempt, span(left))
}

// span writes a time as people say it. Nobody waits 0 s.
func span(d time.Duration) string {
	seconds := max(int(d.Round(time.Second)/time.Second), 1)
	if seconds < 120 {
		return fmt.Sprintf("%d s", seconds)
	}
	return fmt.Sprintf("%d min %d s", seconds/60, seconds%60)
}

// reasonOf is why an attempt failed, in two or three words.
func reasonOf(err error) string {
	var failed *eventsv2.Error
	switch {
	case errors.Is(err, eventsv2.ErrNotYetValid):
		return "certificate not valid yet"
	case !errors.As(err, &failed) || failed.Status == 0:
		return "no answer"
	}
	if failed.Status == http.StatusTooManyRequests {
		return "429 rate limited"
	}
	if text := http.StatusText(failed.Status); text != "" {
		return fmt.Sprintf("%d %s", failed.Status, text)
	}
	return fmt.Sprintf("status %d", failed.Status)
}

// attemptText is the line of -v.
func attemptText(a types.Attempt) string {
	text := fmt.Sprintf("attempt %d after %d ms: ", a.Number, a.Elapsed.Milliseconds())
	if a.Err == nil {
		return text + fmt.Sprintf("%d accepted", a.Status)
	}
	text += a.Err.Error()
	if a.Wait > 0 {
		text += fmt.Sprintf("; attempt %d in %s", a.Number+1, span(a.Wait))
	}
	return text
}
