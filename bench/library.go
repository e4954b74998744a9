package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"

	"github.com/containrrr/shoutrrr/pkg/pagerduty"
	"github.com/containrrr/shoutrrr/pkg/router"
	"github.com/containrrr/shoutrrr/pkg/types"
)

const (
	serviceURL = "pagerduty:///" + integrationKey
	enqueueURL = "https://events.pagerduty.com/v2/enqueue"
	severity   = "critical"
	detailsRaw = `{"component":"api","error":"timeout","version":"1.2.3"}`
)

// stub accepts every event at once, with as little of its own as it can.
type stub struct{ last *[]byte }

func (s stub) RoundTrip(req *http.Request) (*http.Response, error) {
	if s.last != nil {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		*s.last = body
	}
	_, _ = io.Copy(io.Discard, req.Body)
	_ = req.Body.Close()
	return &http.Response{
		StatusCode:    http.StatusAccepted,
		ContentLength: int64(len(acceptance)),
		Body:          io.NopCloser(bytes.NewReader([]byte(acceptance))),
		Request:       req,
	}, nil
}

func stubOptions(last *[]byte) types.SenderOptions {
	return types.SenderOptions{HTTPClient: &http.Client{Transport: stub{last}}}
}

// withDetails builds the params as a caller does, anew for each event.
func withDetails() *types.Params {
	return &types.Params{"severity": severity, "details": detailsRaw}
}

func handDetails() map[string]string {
	return map[string]string{"component": "api", "error": "timeout", "version": "1.2.3"}
}

// benchRouter sends with a router that is kept.
func benchRouter(b *testing.B, params func() *types.Params) {
	r, err := router.NewWithOptions(nil, stubOptions(nil), serviceURL)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if errs := r.Send(message, params()); errs[0] != nil {
			b.Fatal(errs[0])
		}
	}
}

// benchHand sends by hand; the dedup key is given, so it is not even derived.
func benchHand(b *testing.B, severity string, details func() map[string]string) {
	h := byHand{client: &http.Client{Transport: stub{}}, url: enqueueURL}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.send(context.Background(), "srv01/disk", severity, details()); err != nil {
			b.Fatal(err)
		}
	}
}

// benchRoute sends as the package-level Send does: from the URL each time.
func benchRoute(b *testing.B) {
	r, err := router.NewWithOptions(nil, stubOptions(nil))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := r.RouteContext(context.Background(), serviceURL, message, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// benchParse does what a router does once for each URL.
func benchParse(b *testing.B) {
	ledger := pagerduty.NewMemoryLedger()
	opts := pagerduty.Options{SenderOptions: stubOptions(nil), Ledger: ledger}
	b.ReportAllocs()
	for b.Loop() {
		config, err := pagerduty.Parse(serviceURL)
		if err != nil {
			b.Fatal(err)
		}
		pagerduty.New(config, opts)
	}
}

// benchDistinct sends events of which each has a dedup key of its own.
func benchDistinct(b *testing.B) {
	n := 0
	benchRouter(b, func() *types.Params {
		n++
		return &types.Params{"dedup_key": "srv01/" + strconv.Itoa(n)}
	})
}

func noParams() *types.Params          { return nil }
func noHandDetails() map[string]string { return nil }
func routerPlain(b *testing.B)         { benchRouter(b, noParams) }
func routerWithDetails(b *testing.B)   { benchRouter(b, withDetails) }
func handPlain(b *testing.B)           { benchHand(b, "error", noHandDetails) }
func handWithDetails(b *testing.B)     { benchHand(b, severity, handDetails) }

// library compares a kept router with doing it by hand, both on a transport that
// does nothing.
func library(s setting) error {
	t := newTable(s.out, "Library on a stub transport, per event")
	for _, c := range []struct {
		what       string
		ours, hand func(*testing.B)
	}{
		{"no params", routerPlain, handPlain},
		{"severity and details", routerWithDetails, handWithDetails},
	} {
		if err := compareEvents(t, "router / by hand, "+c.what, c.ours, c.hand, atMost(1)); err != nil {
			return err
		}
	}
	t.flush()
	return nil
}

// keptRouter shows that a router which is kept does not parse its URL again.
func keptRouter(s setting) error {
	t := newTable(s.out, "A router that is kept, per event")
	if err := compareEvents(t, "kept router / Send with the URL", routerPlain, benchRoute, atMost(1)); err != nil {
		return err
	}
	parse := testing.Benchmark(benchParse)
	t.flush()
	fmt.Fprintf(s.out, "  reading the URL and making the service, done once: %d allocations, %d bytes\n",
		parse.AllocsPerOp(), parse.AllocedBytesPerOp())
	return nil
}

// compareEvents prints what ours costs in terms of theirs, in time as the median
// of a few rounds in turn.
func compareEvents(t table, what string, ours, theirs func(*testing.B), g goal) error {
	const rounds = 5
	var a, b testing.BenchmarkResult
	var mine, other []float64
	for range rounds {
		a, b = testing.Benchmark(ours), testing.Benchmark(theirs)
		if a.N == 0 || b.N == 0 {
			return fmt.Errorf("%s: an event was not accepted", what)
		}
		mine, other = append(mine, float64(a.NsPerOp())), append(other, float64(b.NsPerOp()))
	}
	pair := func(x, y int64) ratios { return ratios{float64(x) / float64(y)} }
	t.row(what+": allocations", pair(a.AllocsPerOp(), b.AllocsPerOp()), g, fmt.Sprintf("%d / %d", a.AllocsPerOp(), b.AllocsPerOp()))
	t.row(what+": bytes", pair(a.AllocedBytesPerOp(), b.AllocedBytesPerOp()), g, fmt.Sprintf("%d / %d", a.AllocedBytesPerOp(), b.AllocedBytesPerOp()))
	t.row(what+": time", ratiosOf(mine, other), noGoal, fmt.Sprintf("%.1f µs / %.1f µs", median(mine)/1e3, median(other)/1e3))
	return nil
}
