package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/keyleak"
	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pagerdutytest"
)

// story is what one writer has submitted: events of one chain after the other,
// with those that got a 202.
type story struct {
	chain string
	acked []bool // by number; even numbers are triggers, odd ones resolves
}

// write submits events of some chains in turn until the daemon is gone. An event
// without an answer may or may not have been kept; the next one follows in any case.
func write(ctx context.Context, p *process, client *http.Client, stories []*story) {
	for i := 0; ctx.Err() == nil; i++ {
		s := stories[i%len(stories)]
		n := len(s.acked)
		s.acked = append(s.acked, false)
		action := []string{"trigger", "resolve"}[n%2]
		body := fmt.Sprintf(`{"routing_key":%q,"event_action":%q,"dedup_key":%q,"payload":{"summary":"event %d","source":"test","severity":"error","custom_details":{"n":%d}}}`,
			testKey, action, s.chain, n, n)
		status := p.post(ctx, client, body)
		if status == 0 {
			return // the daemon is gone
		}
		s.acked[n] = status == http.StatusAccepted
	}
}

// TestKill ends the daemon at any instant, hundreds of times, while clients write
// and the upstream fails now and then. Whatever got a 202 arrives; what arrives
// twice has the same dedup key; nothing overtakes within a chain.
func TestKill(t *testing.T) {
	t.Parallel()
	kills, seed := prove.Share(t, 10, 200, 1000), prove.Seed(t)
	t.Logf("%d kills", kills)
	random := rand.New(rand.NewPCG(seed, 0))

	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{Limit: -1, Seed: seed, MaxEntries: 1_000_000})
	for _, text := range []string{"500:probability=0.003:count=-1", "reset-after:probability=0.003:count=-1"} {
		fault, err := pagerdutytest.ParseFault(text)
		if err != nil {
			t.Fatal(err)
		}
		upstream.Inject(fault)
	}
	dir := t.TempDir()
	args := []string{"--upstream", upstream.URL(), "--rate", "100000", "--retention", "1m", "--settle-while-waiting", "all"} // each event is awaited
	const writers, chains = 8, 64                                                                                            // each chain is delivered one event after the other, so there are many
	stories := make([]*story, chains)
	for i := range stories {
		stories[i] = &story{chain: fmt.Sprintf("chain-%d", i)}
	}
	logs := &strings.Builder{}
	for range kills {
		p := launch(t, dir, nil, args...)
		if random.IntN(5) == 0 { // during the start
			<-time.After(time.Duration(random.IntN(30)) * time.Millisecond)
			p.kill()
			continue
		}
		if !p.await() {
			t.Fatalf("the daemon does not start any more:\n%s", p.log)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var writing sync.WaitGroup
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: writers}}
		for own := range slices.Chunk(stories, chains/writers) {
			writing.Go(func() { write(ctx, p, client, own) })
		}
		<-time.After(time.Duration(5+random.IntN(120)) * time.Millisecond)
		p.kill()
		writing.Wait()
		cancel()
		client.CloseIdleConnections()
		logs.WriteString(p.log.String())
	}
	p := start(t, dir, args...)
	p.drained(t, 4*time.Minute)
	if err := p.stop(t); err != nil {
		t.Errorf("the end: %v", err)
	}
	acked, arrived := judge(t, stories, upstream.Journal())
	t.Logf("%d events got a 202, %d requests were accepted upstream", acked, arrived)
	if acked < kills {
		t.Errorf("only %d events got a 202: the test has tested nothing", acked)
	}
	keyleak.Check(t, testKey, keyleak.Text("the logs", logs.String()+p.log.String()))
}

// judge compares what was promised with what arrived.
func judge(t *testing.T, stories []*story, journal []pagerdutytest.Entry) (acked, arrived int) {
	t.Helper()
	got := map[string]map[int]bool{}
	last := map[string]int{}
	for _, entry := range journal {
		if entry.Outcome == "" || entry.Outcome == pagerdutytest.OutcomeRefused || entry.Outcome == pagerdutytest.OutcomeThrottled {
			if entry.Outcome != "" {
				t.Errorf("refused upstream: %s", entry)
			}
			continue
		}
		arrived++
		var event struct {
			DedupKey string `json:"dedup_key"`
			Payload  struct {
				CustomDetails struct {
					N int `json:"n"`
				} `json:"custom_details"`
			} `json:"payload"`
		}
		if err := json.Unmarshal(entry.Body, &event); err != nil {
			t.Fatal(err)
		}
		n := event.Payload.CustomDetails.N
		if got[event.DedupKey] == nil {
			got[event.DedupKey] = map[int]bool{}
		}
		if n < last[event.DedupKey] {
			t.Errorf("event %d of %s arrived after event %d", n, event.DedupKey, last[event.DedupKey])
		}
		last[event.DedupKey] = n
		got[event.DedupKey][n] = true
	}
	for _, s := range stories {
		for n, promised := range s.acked {
			if !promised {
				continue
			}
			acked++
			if !got[s.chain][n] && !s.coalesced(n, got[s.chain]) {
				t.Errorf("event %d of %s got a 202 and never arrived", n, s.chain)
			}
		}
	}
	return acked, arrived
}

// coalesced reports whether a trigger arrived as a part of a later one: that is
// allowed as long as nothing else was promised between the two.
func (s *story) coalesced(n int, got map[int]bool) bool {
	for later := n + 1; n%2 == 0 && later < len(s.acked); later++ {
		if later%2 == 0 && got[later] {
			return true
		}
		if later%2 == 1 && (s.acked[later] || got[later]) {
			return false
		}
	}
	return false
}

// TestKillAtSystemCall ends the daemon exactly when it asks the kernel for
// something the nth time: a write of the queue's file, an fsync, or a write to a
// socket or the log, which is where commit and answer are told apart.
func TestKillAtSystemCall(t *testing.T) {
	t.Parallel()
	prove.Long(t)
	prove.Need(t, "strace")
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{Limit: -1, MaxEntries: 1_000_000})
	dir := t.TempDir()
	args := []string{"--upstream", upstream.URL(), "--rate", "100000", "--settle-while-waiting", "all"}
	stories := make([]*story, 16)
	for i := range stories {
		stories[i] = &story{chain: fmt.Sprintf("chain-%d", i)}
	}
	killed := 0
	for _, call := range []string{"pwrite64", "fsync,fdatasync", "write"} {
		for n := 1; n <= 20; n++ { // strace counts for each thread apart
			wrapper := []string{"strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", call, n)}
			p := launch(t, dir, wrapper, args...)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			if p.await() {
				client := &http.Client{Transport: &http.Transport{}}
				write(ctx, p, client, stories)
				client.CloseIdleConnections()
			}
			select {
			case err := <-p.ended:
				killed++
				p.ended <- err
			case <-ctx.Done(): // it has asked for less than that
			}
			cancel()
			p.kill()
		}
	}
	if killed < 30 {
		t.Errorf("only %d of 60 daemons were killed by what they asked for", killed)
	}
	p := start(t, dir, args...)
	p.drained(t, 2*time.Minute)
	acked, arrived := judge(t, stories, upstream.Journal())
	t.Logf("%d daemons killed, %d events got a 202, %d requests were accepted upstream", killed, acked, arrived)
}
