package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Of more events than one call takes, the ones that were accepted first are in the first call, however they
// were typed: the relay puts only those of one call in order.
func TestManyOutOfOrder(t *testing.T) {
	var typed []string
	for id := 2*atOnce + 5; id > 0; id-- {
		typed = append(typed, strconv.Itoa(id))
	}
	typed = append(typed, "007", "7") // twice, and in another spelling
	calls := new(bulkCalls)
	base, err := url.Parse("http://relay")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	b := &bulk{
		what: requeuing, why: "test", relay: &relay{base: base, transport: calls},
		sys: &system{stdout: &out, stderr: io.Discard, isTerminal: func(any) bool { return false }},
	}
	if err := b.runMany(t.Context(), typed); exitCode(err) != exitAccepted {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("requeued %d of %[1]d events\n", 2*atOnce+5); out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	if len(calls.ids) != 2*atOnce+5 || !slices.IsSorted(calls.ids) {
		t.Errorf("%d events, sorted: %v", len(calls.ids), slices.IsSorted(calls.ids))
	}
}

// bulkCalls takes every event that it is called for.
type bulkCalls struct{ ids []int }

func (c *bulkCalls) RoundTrip(req *http.Request) (*http.Response, error) {
	var body struct{ IDs []string }
	if err := json.NewDecoder(req.Body).Decode(&body); err != nil {
		return nil, err
	}
	for _, id := range body.IDs {
		n, err := strconv.Atoi(id)
		if err != nil {
			return nil, err
		}
		c.ids = append(c.ids, n)
	}
	answer := fmt.Sprintf(`{"done":%d,"left_count":0}`, len(body.IDs))
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(answer))}, nil
}
