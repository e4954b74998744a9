package intake

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/PagerDuty/go-pagerduty"
	"github.com/containrrr/shoutrrr/internal/keyleak"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/google/go-cmp/cmp"
)

// PagerDuty's own Go client takes the relay for PagerDuty.
func TestGoPagerduty(t *testing.T) {
	store := openStore(t, 0)
	f := newFront(t, Options{Store: store})
	client := pagerduty.NewClient("", pagerduty.WithV2EventsAPIEndpoint(f.url))

	payload := &pagerduty.V2Payload{Summary: "disk full", Source: "web-1", Severity: "critical", Details: map[string]any{"free": "0 %"}}
	made, err := client.ManageEventWithContext(t.Context(), &pagerduty.V2Event{RoutingKey: testKey, Action: "trigger", Payload: payload})
	if err != nil || made.Status != "success" || made.Message != "Event processed" || len(made.DedupKey) != 32 {
		t.Fatalf("trigger: %+v, %v", made, err)
	}
	want := []string{"trigger critical " + made.DedupKey}
	for _, action := range []string{"acknowledge", "resolve"} {
		resp, err := client.ManageEventWithContext(t.Context(), &pagerduty.V2Event{RoutingKey: testKey, Action: action, DedupKey: made.DedupKey})
		if err != nil || resp.Status != "success" || resp.DedupKey != made.DedupKey {
			t.Errorf("%s: %+v, %v", action, resp, err)
		}
		want = append([]string{action + " error " + made.DedupKey}, want...)
	}
	change, err := client.CreateChangeEventWithContext(t.Context(), pagerduty.ChangeEvent{
		RoutingKey: testKey, Payload: pagerduty.ChangeEventPayload{Summary: "deployed", Source: "ci"},
	})
	if err != nil || change.Status != "success" || change.Message != "Change event processed" {
		t.Errorf("change: %+v, %v", change, err)
	}
	want = append([]string{" info "}, want...)

	page, err := store.Events(t.Context(), queue.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range page.Events {
		got = append(got, fmt.Sprintf("%s %s %s", e.Action, e.Severity, e.DedupKey))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
}

// What it is refused it understands, and does not take for something temporary.
func TestGoPagerdutyRefused(t *testing.T) {
	f := newFront(t, Options{Store: openStore(t, 0)})
	client := pagerduty.NewClient("", pagerduty.WithV2EventsAPIEndpoint(f.url))
	_, err := client.ManageEventWithContext(t.Context(), &pagerduty.V2Event{RoutingKey: testKey, Action: "resolve"})
	var refused pagerduty.APIError
	if !errors.As(err, &refused) || refused.StatusCode != 400 || refused.Temporary() {
		t.Fatalf("got %#v, want a final 400", err)
	}
	if text := err.Error(); !strings.Contains(text, "400") {
		t.Errorf("the error is %q", text)
	}
	keyleak.Check(t, testKey, keyleak.Text("the error", fmt.Sprintf("%v %+v", err, err)))

	f.door.Stop()
	_, err = client.ManageEventWithContext(t.Context(), &pagerduty.V2Event{RoutingKey: testKey, Action: "trigger"})
	if !errors.As(err, &refused) || refused.StatusCode != 503 || !refused.Temporary() {
		t.Fatalf("while the relay stops: %#v, want a temporary 503", err)
	}
}
