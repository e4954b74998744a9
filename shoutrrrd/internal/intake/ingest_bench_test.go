package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/door"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// BenchmarkIngest compares, over 64 connections, a handler that only decodes the
// JSON with the front door on the real queue, fsync included.
func BenchmarkIngest(b *testing.B) {
	nothing := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var value map[string]any
		if err := json.NewDecoder(r.Body).Decode(&value); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	})
	discard := slog.New(slog.DiscardHandler)
	b.Run("decode only", func(b *testing.B) { ingest(b, nothing, false) })
	b.Run("decode only, behind the door's server", func(b *testing.B) { ingest(b, nothing, true) })
	b.Run("front door, memory", func(b *testing.B) {
		ingest(b, New(Options{Store: nowhere{}, Now: time.Now, Log: discard, Route: func(eventsv2.Key) Route { return Route{Name: "db"} }}), true)
	})
	b.Run("front door, queue", func(b *testing.B) {
		ingest(b, New(Options{Store: openStore(b, 0), Now: time.Now, Log: discard, Route: func(eventsv2.Key) Route { return Route{Name: "db"} }}), true)
	})
}

// nowhere keeps nothing.
type nowhere struct{}

func (nowhere) Lane(context.Context, eventsv2.Key) (queue.Lane, error) { return queue.Lane{ID: 1}, nil }

func (nowhere) Put(context.Context, queue.New) (queue.Placed, error) { return queue.Placed{ID: 1}, nil }

func ingest(b *testing.B, handler http.Handler, behind bool) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	if behind {
		s := door.New(l, door.Options{Handler: handler, Log: slog.New(slog.DiscardHandler), MaxConnections: 1000})
		go func() { ended <- s.Serve() }()
		defer func() { _ = s.Shutdown(b.Context()); <-ended }()
	} else {
		s := &http.Server{Handler: handler}
		go func() { ended <- s.Serve(l) }()
		defer func() { _ = s.Shutdown(b.Context()); <-ended }()
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, MaxConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	body := []byte(strings.Replace(trigger("", "error", ""), `"summary"`, `"custom_details":{"log":"`+strings.Repeat("x", 420)+`"},"summary"`, 1))
	b.SetParallelism(32) // 64 on two processors
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			resp, err := client.Post("http://"+l.Addr().String()+"/v2/enqueue", "application/json", bytes.NewReader(body))
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusAccepted {
				b.Errorf("status %d", resp.StatusCode)
				return
			}
		}
	})
}
