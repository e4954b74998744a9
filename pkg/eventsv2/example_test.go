package eventsv2_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

// One attempt: what it brought, and whether another one is worth it.
func ExampleClient() {
	pagerDuty := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, `{"status":"success","message":"Event processed","dedup_key":"web-1"}`)
	}))
	defer pagerDuty.Close()
	key, err := eventsv2.ParseKey("eb243592faa24ba2a5511afdf565c889")
	if err != nil {
		log.Fatal(err)
	}
	event := eventsv2.Event{
		RoutingKey: key,
		Action:     eventsv2.Trigger,
		DedupKey:   "web-1",
		Payload:    eventsv2.Payload{Summary: "Web server unresponsive", Source: "web-1", Severity: eventsv2.SeverityCritical},
	}
	if err := event.Validate(); err != nil {
		log.Fatal(err)
	}
	client := &eventsv2.Client{BaseURL: pagerDuty.URL} // without one: PagerDuty's
	receipt, err := client.Post(context.Background(), key, event.AppendJSON(nil))
	var failed *eventsv2.Error
	if errors.As(err, &failed) {
		fmt.Println("again later:", failed.Temporary())
	}
	fmt.Println(receipt.Status, receipt.DedupKey)
	// Output: 202 web-1
}
