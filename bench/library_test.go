package main

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/containrrr/shoutrrr/pkg/router"
	"github.com/containrrr/shoutrrr/pkg/types"
)

// What is compared is only fair if both send the same event.
func TestBothSendTheSame(t *testing.T) {
	for name, c := range map[string]struct {
		params   *types.Params
		severity string
		details  map[string]string
	}{
		"no params":            {nil, "error", nil},
		"severity and details": {withDetails(), severity, handDetails()},
	} {
		t.Run(name, func(t *testing.T) {
			var ours, theirs []byte
			r, err := router.NewWithOptions(nil, stubOptions(&ours), serviceURL)
			if err != nil {
				t.Fatal(err)
			}
			if errs := r.Send(message, c.params); errs[0] != nil {
				t.Fatal(errs[0])
			}
			var sent struct {
				DedupKey string `json:"dedup_key"`
			}
			if err := json.Unmarshal(ours, &sent); err != nil {
				t.Fatal(err)
			}
			h := byHand{client: &http.Client{Transport: stub{&theirs}}, url: enqueueURL}
			if _, err := h.send(context.Background(), sent.DedupKey, c.severity, c.details); err != nil {
				t.Fatal(err)
			}
			if err := sameEvent(ours, theirs); err != nil {
				t.Error(err)
			}
		})
	}
}

func BenchmarkRouter(b *testing.B) {
	b.Run("plain", routerPlain)
	b.Run("details", routerWithDetails)
	b.Run("distinct", benchDistinct)
}

func BenchmarkByHand(b *testing.B) {
	b.Run("plain", handPlain)
	b.Run("details", handWithDetails)
}

func BenchmarkURLEachTime(b *testing.B) {
	b.Run("send", benchRoute)
	b.Run("parse", benchParse)
}
