package eventsv2

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/containrrr/shoutrrr/internal/prove"
)

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
func (f roundTripFunc) Do(req *http.Request) (*http.Response, error)        { return f(req) }

// stubAccept answers as PagerDuty does, with as little of its own as it can.
func stubAccept(req *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, req.Body)
	_ = req.Body.Close()
	const answer = `{"status":"success","message":"Event processed","dedup_key":"srv01/HTTP"}`
	return &http.Response{
		StatusCode:    http.StatusAccepted,
		ContentLength: int64(len(answer)),
		Body:          io.NopCloser(bytes.NewReader([]byte(answer))),
		Request:       req,
	}, nil
}

// BenchmarkPostStub measures what a Post costs besides the network.
func BenchmarkPostStub(b *testing.B) {
	body := []byte(`{"routing_key":"` + testKey + `","event_action":"trigger"}`)
	shared := &Client{}
	shared.once.Do(shared.prepare)
	shared.wire.send = stubAccept
	for _, bench := range []struct {
		name   string
		client *Client
	}{
		{"shared transport", shared},
		{"Doer", &Client{HTTP: roundTripFunc(stubAccept)}},
		{"http.Client", &Client{HTTP: &http.Client{Transport: roundTripFunc(stubAccept)}}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			key := mustKey(b, testKey)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bench.client.Post(context.Background(), key, body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("net/http by hand", func(b *testing.B) {
		client := &http.Client{Transport: roundTripFunc(stubAccept)}
		b.ReportAllocs()
		for b.Loop() {
			if err := postByHand(client, body); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// postByHand is what a program without this package would write.
func postByHand(client *http.Client, body []byte) error {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, DefaultBaseURL+enqueuePath, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		DedupKey string `json:"dedup_key"`
	}
	return json.NewDecoder(resp.Body).Decode(&answer)
}

// BenchmarkBundle is what the first TLS request of a process pays for its roots.
func BenchmarkBundle(b *testing.B) {
	files := bundleFiles()
	if len(readBundle(files)) == 0 {
		prove.Missing(b, "a file of certificates")
	}
	b.ReportAllocs()
	for b.Loop() {
		lazyWith(files...).load()
	}
}
