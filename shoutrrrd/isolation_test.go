package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// choosy is an upstream that treats some bodies in its own way and takes the others.
type choosy struct {
	*httptest.Server
	mu       sync.Mutex
	accepted map[string]bool // dedup keys
	requests map[string]int  // by dedup key
	by       map[string]int  // by integration key
}

func newChoosy(t *testing.T, treat func(w http.ResponseWriter, body string) (treated bool)) *choosy {
	t.Helper()
	u := &choosy{accepted: map[string]bool{}, requests: map[string]int{}, by: map[string]int{}}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // a part of one is no JSON
		var e struct {
			RoutingKey string `json:"routing_key"`
			DedupKey   string `json:"dedup_key"`
		}
		if err := json.Unmarshal(body, &e); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		u.mu.Lock()
		u.requests[e.DedupKey]++
		u.by[e.RoutingKey]++
		u.mu.Unlock()
		if treat(w, string(body)) {
			return
		}
		u.mu.Lock()
		u.accepted[e.DedupKey] = true
		u.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		_, _ = fmt.Fprintf(w, `{"status":"success","message":"Event processed","dedup_key":%q}`, e.DedupKey)
	}))
	t.Cleanup(u.Close)
	return u
}

func (u *choosy) has(dedup string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.accepted[dedup]
}

func (u *choosy) tried(dedup string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.requests[dedup]
}

const otherKey = "0123456789abcdef0123456789abcde7"

// An event whose body something on the way answers with a redirect, or resets the
// connection at, waits alone: events of its own key and of others leave, the upstream
// does not count as down, and nothing of it becomes a dead letter.
func TestDislikedEventWaitsAlone(t *testing.T) {
	t.Parallel()
	for name, treat := range map[string]func(http.ResponseWriter){
		"redirect": func(w http.ResponseWriter) {
			w.Header().Set("Location", "https://blocked.example/why")
			w.WriteHeader(http.StatusFound)
		},
		"reset": func(w http.ResponseWriter) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			upstream := newChoosy(t, func(w http.ResponseWriter, body string) bool {
				if strings.Contains(body, "poison") {
					treat(w)
					return true
				}
				return false
			})
			p := start(t, t.TempDir(), "--upstream", upstream.URL)
			p.flood(t, 1, func(int) string { return trigger("disliked", "critical", "poison") })
			eventually(t, "the disliked event was tried", 20*time.Second, func() bool { return upstream.tried("disliked") > 0 })
			for i := range 10 { // it is tried again meanwhile
				own, other := fmt.Sprintf("own-%d", i), fmt.Sprintf("other-%d", i)
				p.flood(t, 1, func(int) string { return trigger(own, "critical", "good") })
				p.flood(t, 1, func(int) string { return strings.Replace(trigger(other, "error", "good"), testKey, otherKey, 1) })
				eventually(t, "the others have left", 20*time.Second, func() bool { return upstream.has(own) && upstream.has(other) })
			}
			eventually(t, "the disliked event was tried again", 20*time.Second, func() bool { return upstream.tried("disliked") > 2 })
			var status struct {
				Queued, Dead int
				Lanes        []struct{ Condition string }
			}
			p.getJSON(t, "/api/status", &status)
			if status.Queued != 1 || status.Dead != 0 {
				t.Errorf("%+v, want the disliked event alone in the queue", status)
			}
			if log := p.log.String(); strings.Contains(log, "upstream down") {
				t.Errorf("one event has taken the upstream down:\n%s", log)
			}
		})
	}
}

// A key that PagerDuty rejects is tried by one event now and then; the others wait,
// and none of them becomes a dead letter.
func TestRejectedKeyWaits(t *testing.T) {
	t.Parallel()
	upstream := newChoosy(t, func(w http.ResponseWriter, body string) bool {
		if !strings.Contains(body, testKey) {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"status":"forbidden","message":"Forbidden","errors":["the service is disabled"]}`)
		return true
	})
	p := start(t, t.TempDir(), "--upstream", upstream.URL, "--rate", "6000")
	p.flood(t, 500, func(i int) string { return trigger(fmt.Sprintf("event-%d", i), "error", "a page") })
	p.flood(t, 1, func(int) string { return strings.Replace(trigger("other", "info", "good"), testKey, otherKey, 1) })
	eventually(t, "the other key's event has left", 30*time.Second, func() bool { return upstream.has("other") })
	var status struct {
		Queued, Dead int
		Lanes        []struct {
			Condition  string
			KeyRefused bool `json:"key_refused"`
			Queued     int
		}
	}
	eventually(t, "the lane waits", 30*time.Second, func() bool {
		p.getJSON(t, "/api/status", &status)
		return len(status.Lanes) == 2 && status.Lanes[0].Condition == "key_rejected" && status.Lanes[1].Queued == 0 // its end is on the disk
	})
	if status.Queued != 500 || status.Dead != 0 || !status.Lanes[0].KeyRefused {
		t.Errorf("%+v, want 500 events that wait", status)
	}
	upstream.mu.Lock()
	defer upstream.mu.Unlock()
	if n := upstream.by[testKey]; n > 110 { // what was in flight together: at most a second's rate, and ten of critical events
		t.Errorf("%d requests with a key that is rejected", n)
	}
}

// Events of thousands of unknown keys do not keep a page from leaving, nor the relay
// from stopping.
func TestUnknownKeysDelayNoPage(t *testing.T) {
	t.Parallel()
	const strangers = 3000
	release := make(chan struct{})
	upstream := newChoosy(t, func(_ http.ResponseWriter, body string) bool {
		if strings.Contains(body, "stranger") {
			<-release // their attempts hang
		}
		return false
	})
	defer close(release)
	p := start(t, t.TempDir(), "--upstream", upstream.URL)
	p.flood(t, strangers, func(i int) string {
		return strings.Replace(trigger(fmt.Sprintf("stranger-%d", i), "info", "spam"), testKey, fmt.Sprintf("%032d", i), 1)
	})
	p.flood(t, 1, func(int) string { return trigger("page", "critical", "Database down") })
	eventually(t, "the page has left", 20*time.Second, func() bool { return upstream.has("page") })
	started := time.Now()
	if err := p.stop(t); err != nil {
		t.Error(err)
	}
	t.Logf("stopped after %s", time.Since(started))
}

// Unknown keys that PagerDuty rejects cannot hold every place for ever: the next unknown
// key gets one, and its page leaves.
func TestRejectedKeysKeepNoPlaceFromOthers(t *testing.T) {
	t.Parallel()
	const strangers = 50
	upstream := newChoosy(t, func(w http.ResponseWriter, body string) bool {
		if !strings.Contains(body, "junk") {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"status":"invalid event","message":"Event object is invalid","errors":["Invalid Routing Key"]}`)
		return true
	})
	p := start(t, t.TempDir(), "--upstream", upstream.URL, "--max-lanes", fmt.Sprint(strangers))
	p.flood(t, strangers, func(i int) string {
		return strings.Replace(trigger(fmt.Sprintf("junk-%d", i), "critical", "spam"), testKey, fmt.Sprintf("%032d", i), 1)
	})
	var status struct {
		Dead int
		Disk struct {
			GivenUp int `json:"events_given_up"`
		}
		Totals struct {
			InTrouble int `json:"in_trouble"`
		}
	}
	eventually(t, "PagerDuty has rejected each of them", 30*time.Second, func() bool {
		p.getJSON(t, "/api/status", &status)
		return status.Totals.InTrouble == strangers
	})
	eventually(t, "a page of another unknown key is accepted", 30*time.Second, func() bool {
		return p.post(t.Context(), http.DefaultClient, trigger("page", "critical", "Database down")) == http.StatusAccepted
	})
	eventually(t, "the page has left", 20*time.Second, func() bool { return upstream.has("page") })
	eventually(t, "the status tells of it", 20*time.Second, func() bool {
		p.getJSON(t, "/api/status", &status)
		return status.Dead == 1 && status.Disk.GivenUp == 1
	})
	if n := p.metric(t, "shoutrrrd_events_given_up_total"); n != 1 {
		t.Errorf("the metric tells of %g", n)
	}
	if page := p.get(t, "/api/dead"); !strings.Contains(page, "the place of its lane was needed") {
		t.Errorf("the dead letters: %s", page)
	}
}
