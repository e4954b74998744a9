package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	pagerduty "github.com/PagerDuty/go-pagerduty"

	"github.com/containrrr/shoutrrr/pagerdutytest"
)

// PagerDuty's 28 August 2025, as its own report has it, and what we send on that day.
const (
	peakShare = 0.95 // of the requests were answered with 502
	peakFull  = 38 * time.Minute
	thenShare = 0.18
	thenFull  = 130 * time.Minute

	augustKeys  = 20
	augustEvery = 200 * time.Millisecond // on the average: 300 a minute
	severeOf    = 20                     // one in so many is critical

	// patience is how long PagerDuty takes everything again before what it has not got is
	// counted as lost.
	patience = 2 * time.Minute
)

// augustDay is one run: all ways to PagerDuty get the same events at the same times.
type augustDay struct {
	peak, then time.Duration
	seed       uint64
	events     []augustEvent
}

// augustEvent is one event of the day.
type augustEvent struct {
	at       time.Duration // from the beginning on
	key      string
	dedup    string
	severity string
}

// newAugustDay draws the events of the day.
func newAugustDay(s setting) augustDay {
	d := augustDay{peak: s.peak, then: s.then, seed: s.seed}
	if s.full {
		d.peak, d.then = peakFull, thenFull
	}
	random := rand.New(rand.NewPCG(d.seed, 28))
	for at := time.Duration(0); at < d.peak+d.then; at += time.Duration(random.Int64N(int64(2 * augustEvery))) {
		severity := []string{"error", "warning", "info"}[random.IntN(3)]
		if random.IntN(severeOf) == 0 {
			severity = "critical"
		}
		d.events = append(d.events, augustEvent{at, augustKey(random.IntN(augustKeys)), fmt.Sprint("issue-", len(d.events)), severity})
	}
	return d
}

func augustKey(n int) string { return fmt.Sprintf("%032d", n+1) }

// way is one way to PagerDuty, with an emulator of its own.
type way struct {
	name     string
	colour   string
	emulator *pagerdutytest.Emulator
	send     func(ctx context.Context, e augustEvent) error // one event; its error is counted, and nothing else is done about it
	dedup    func(e augustEvent) string                     // as PagerDuty sees it

	mu        sync.Mutex
	sent      int
	errors    int // that send has returned
	taken     map[string]time.Time
	requests  int
	forgotten bool // the journal has forgotten some that were not read
}

// augustSection has that day come again, for the relay and for what people use in its
// place, side by side.
func augustSection(s setting) error {
	day := newAugustDay(s)
	dir, err := os.MkdirTemp("", "shoutrrrd-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var ways []*way
	for _, open := range []func(string, setting) (*way, func(), error){relayWay, beforeWay, alertmanagerWay, clientWay} {
		w, end, err := open(dir, s)
		if err != nil {
			return err
		}
		if w == nil {
			continue
		}
		defer end()
		ways = append(ways, w)
	}
	fmt.Fprintf(s.out, "\n28 August 2025: %.0f %% of requests get a 502 for %v, then %.0f %% for %v; %d events, seed %d, %d cores\n",
		100*peakShare, day.peak, 100*thenShare, day.then, len(day.events), day.seed, runtime.NumCPU())
	start := day.run(ways)
	for _, w := range ways {
		if w.forgotten {
			return fmt.Errorf("%s: more requests than a journal remembers", w.name)
		}
	}
	day.report(s.out, ways, start)
	if s.plot == "" {
		return nil
	}
	return os.WriteFile(s.plot, []byte(day.plot(ways, start)), 0o644)
}

// newWay opens a way's emulator: with PagerDuty's documented limit, and for each way the
// same seed of its faults.
func newWay(name, colour string, s setting) (*way, *pagerdutytest.Server, error) {
	w := &way{name: name, colour: colour, taken: map[string]time.Time{}, dedup: func(e augustEvent) string { return e.dedup }}
	w.emulator = pagerdutytest.New(pagerdutytest.Options{Seed: s.seed, MaxEntries: 20_000})
	server, err := pagerdutytest.StartServer(w.emulator, pagerdutytest.ServerOptions{})
	return w, server, err
}

// run lets the day pass.
func (d *augustDay) run(ways []*way) (start time.Time) {
	ctx, cancel := context.WithCancel(context.Background())
	fail := func(share float64) {
		for _, w := range ways {
			w.emulator.ClearFaults()
			if share > 0 {
				w.emulator.Inject(pagerdutytest.Fault{Name: "502", Probability: share, Count: -1})
			}
		}
	}
	fail(peakShare)
	start = time.Now()
	turn := time.AfterFunc(d.peak, func() { fail(thenShare) })
	defer turn.Stop()
	var going sync.WaitGroup
	going.Go(func() { // reads the journals before they forget
		for ctx.Err() == nil {
			for _, w := range ways {
				w.read()
			}
			time.Sleep(time.Second)
		}
	})
	for _, e := range d.events {
		time.Sleep(time.Until(start.Add(e.at)))
		for _, w := range ways {
			going.Go(func() {
				w.mu.Lock()
				w.sent++
				w.mu.Unlock()
				err := w.send(ctx, e)
				w.mu.Lock()
				defer w.mu.Unlock()
				if err != nil {
					w.errors++
				}
			})
		}
	}
	time.Sleep(time.Until(start.Add(d.peak + d.then)))
	fail(0)
	for end := time.Now().Add(patience); time.Now().Before(end) && !d.over(ways); {
		time.Sleep(time.Second)
	}
	cancel()
	going.Wait()
	for _, w := range ways {
		w.read()
	}
	return start
}

// over reports whether no way can bring PagerDuty any more.
func (d *augustDay) over(ways []*way) bool {
	for _, w := range ways {
		w.mu.Lock()
		waits := len(w.taken) < len(d.events) && w.sent-w.errors > len(w.taken)
		w.mu.Unlock()
		if waits {
			return false
		}
	}
	return true
}

// read takes what the journal has new. It remembers the last 20,000 requests.
func (w *way) read() {
	journal := w.emulator.Journal()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(journal) == 0 {
		return
	}
	w.forgotten = w.forgotten || journal[0].Number > w.requests+1
	w.requests = journal[len(journal)-1].Number
	for _, x := range journal {
		if _, known := w.taken[x.DedupKey]; !known && x.Status == http.StatusAccepted {
			w.taken[x.DedupKey] = x.Time
		}
	}
}

// waits are how long PagerDuty took to have each critical event that was sent in that
// time, the shortest first; what it never got stands last, as -1.
func (d *augustDay) waits(w *way, start time.Time, from, until time.Duration) (waits []time.Duration) {
	never := 0
	for _, e := range d.events {
		if e.severity != "critical" || e.at < from || e.at >= until {
			continue
		}
		at, taken := w.taken[w.dedup(e)]
		if !taken {
			never++
			continue
		}
		waits = append(waits, at.Sub(start.Add(e.at)))
	}
	slices.Sort(waits)
	for range never {
		waits = append(waits, -1)
	}
	return waits
}

func spread(waits []time.Duration) string {
	if len(waits) == 0 {
		return "-\t-\t-\t-\t"
	}
	var b strings.Builder
	for _, percent := range []int{50, 95, 99, 100} {
		text := "never"
		if x := waits[min(len(waits)-1, len(waits)*percent/100)]; x >= 0 {
			text = seconds(x)
		}
		fmt.Fprintf(&b, "%s\t", text)
	}
	return b.String()
}

func seconds(d time.Duration) string {
	switch {
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.0f ms", d.Seconds()*1000)
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}

func (d *augustDay) report(out io.Writer, ways []*way, start time.Time) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  \tsent\taccepted\tlost\trequests\tpeak: p50\tp95\tp99\tmax\tthen: p50\tp95\tp99\tmax\t")
	for _, w := range ways {
		fmt.Fprintf(t, "  %s\t%d\t%d\t%d\t%d\t%s%s\n", w.name, w.sent, len(w.taken), len(d.events)-len(w.taken), w.requests,
			spread(d.waits(w, start, 0, d.peak)), spread(d.waits(w, start, d.peak, d.peak+d.then)))
	}
	_ = t.Flush()
}

// relayWay is the relay of this tree, before an ordinary client.
func relayWay(dir string, s setting) (*way, func(), error) {
	return relayOf(dir, "../shoutrrrd", "the relay", "#2166ac", s)
}

// beforeWay is the relay of another commit.
func beforeWay(dir string, s setting) (*way, func(), error) {
	if s.before == "" {
		return nil, nil, nil
	}
	tree := filepath.Join(dir, "before")
	if err := os.Mkdir(tree, 0o755); err != nil {
		return nil, nil, err
	}
	archive := exec.Command("git", "-C", "..", "archive", "--format=tar", "-o", tree+".tar", s.before, "--", ".")
	if out, err := archive.CombinedOutput(); err != nil {
		return nil, nil, fmt.Errorf("git archive %s: %w\n%s", s.before, err, out)
	}
	if out, err := exec.Command("tar", "-xf", tree+".tar", "-C", tree).CombinedOutput(); err != nil {
		return nil, nil, fmt.Errorf("unpack %s: %w\n%s", s.before, err, out)
	}
	return relayOf(dir, filepath.Join(tree, "shoutrrrd"), "the relay at "+s.before, "#67a9cf", s)
}

func relayOf(dir, source, name, colour string, s setting) (*way, func(), error) {
	w, server, err := newWay(name, colour, s)
	if err != nil {
		return nil, nil, err
	}
	place, err := os.MkdirTemp(dir, "relay-")
	if err != nil {
		return nil, nil, err
	}
	b := &relayBench{s: s, dir: place, binary: filepath.Join(place, "shoutrrrd")}
	if err := buildRelay(source, b.binary); err != nil {
		return nil, nil, err
	}
	config := filepath.Join(place, "relay.yaml")
	text := "keys:\n"
	for n := range augustKeys {
		text += fmt.Sprintf("  - {alias: service-%d, key: %q}\n", n+1, augustKey(n))
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, nil, err
	}
	relay, err := b.startRelayTo(strings.TrimPrefix(server.URL(), "http://"), filepath.Join(place, "queue.db"), 0, "--config", config)
	if err != nil {
		return nil, nil, err
	}
	w.send = byClient("http://" + relay.addr)
	return w, func() { relay.stop(); server.Close() }, nil
}

// clientWay is PagerDuty's own Go client alone, as an ordinary program uses it. It tries
// each event once: the package has no retry.
func clientWay(_ string, s setting) (*way, func(), error) {
	w, server, err := newWay("go-pagerduty alone", "#b2182b", s)
	if err != nil {
		return nil, nil, err
	}
	w.send = byClient(server.URL())
	return w, func() { server.Close() }, nil
}

func byClient(endpoint string) func(context.Context, augustEvent) error {
	client := pagerduty.NewClient("", pagerduty.WithV2EventsAPIEndpoint(endpoint))
	return func(ctx context.Context, e augustEvent) error {
		_, err := client.ManageEventWithContext(ctx, &pagerduty.V2Event{
			RoutingKey: e.key, Action: "trigger", DedupKey: e.dedup,
			Payload: &pagerduty.V2Payload{Summary: e.dedup, Source: "bench", Severity: e.severity},
		})
		return err
	}
}
