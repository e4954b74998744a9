package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/insight"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// held are the ids of the lanes that are paused.
func (b *bench) held() (ids []int64) {
	b.t.Helper()
	lanes, err := b.store.Lanes(context.Background())
	if err != nil {
		b.t.Fatal(err)
	}
	for _, l := range lanes {
		if l.Held {
			ids = append(ids, l.ID)
		}
	}
	return ids
}

// The two keys share the first 32 bits of their fingerprints: whoever looks for such a pair finds one within a minute.
// What is done to the lane of the one is not done to the other.
func TestPauseOfALaneWithASimilarFingerprint(t *testing.T) {
	const onCall, stranger = "920223f1560d76d5d8be6be42b77b1c6", "f7b6af6bb2443542f3b7e1a554c835d4"
	b := newBench(t, func(p *parts) {
		p.told.Describe = func(key eventsv2.Key) insight.Named {
			if key.Reveal() == onCall {
				return insight.Named{Name: "db-oncall"}
			}
			return insight.Named{Name: key.Fingerprint()}
		}
	})
	b.put(onCall, "a", queue.Error, body("x"))
	b.put(stranger, "b", queue.Error, body("x"))
	name := mustKey(t, stranger).Fingerprint()
	if g := b.post("/api/lanes/"+name[:len("key-")+8]+"/pause", ""); g.status != http.StatusNotFound {
		t.Errorf("the digits that both have: %d %s", g.status, g.body)
	}
	if g := b.post("/api/lanes/"+name+"/pause", ""); g.status != http.StatusOK {
		t.Fatalf("%d %s", g.status, g.body)
	}
	if ids := b.held(); len(ids) != 1 || ids[0] != 2 {
		t.Errorf("lanes %d are paused, want the second alone", ids)
	}
	if events, _ := b.found("/api/events?lane=" + name); len(events) != 1 {
		t.Errorf("%d events of the stranger's lane, want 1", len(events))
	}
}

func TestPauseOfAnAmbiguousName(t *testing.T) {
	b := newBench(t, func(p *parts) {
		p.told.Describe = func(eventsv2.Key) insight.Named { return insight.Named{Name: "twice"} }
	})
	b.put(dbKey, "a", queue.Error, body("x"))
	b.put(otherKey, "b", queue.Error, body("x"))
	for _, call := range []call{
		{method: "POST", path: "/api/lanes/twice/pause"},
		{method: "POST", path: "/api/lanes/twice/resume"},
		{method: "GET", path: "/api/lanes/twice"},
		{method: "GET", path: "/api/events?lane=twice"},
	} {
		g := b.do(call)
		var answer struct {
			Error      string
			Candidates []insight.LaneName
		}
		if err := json.Unmarshal([]byte(g.body), &answer); err != nil {
			t.Errorf("%s: %v in %s", call.path, err, g.body)
		}
		if g.status != http.StatusConflict || len(answer.Candidates) != 2 || answer.Candidates[0].ID != "1" || answer.Candidates[1].ID != "2" ||
			answer.Candidates[1].Fingerprint != mustKey(t, otherKey).Fingerprint() || !strings.Contains(answer.Error, "number") {
			t.Errorf("%s: %d %s", call.path, g.status, g.body)
		}
	}
	if ids := b.held(); ids != nil {
		t.Errorf("lanes %d are paused by a name that two have", ids)
	}
	if g := b.post("/api/lanes/2/pause", ""); g.status != http.StatusOK {
		t.Errorf("by its number: %d %s", g.status, g.body)
	}
	if ids := b.held(); len(ids) != 1 || ids[0] != 2 {
		t.Errorf("lanes %d are paused, want the second alone", ids)
	}
}
