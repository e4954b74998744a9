package eventsv2

import (
	"context"
	"encoding/json"
	"testing"
	"time"
)

// benchBody is an event as Alertmanager sends it, of about 600 bytes.
const benchBody = `{"routing_key":"0123456789abcdef0123456789abcdef","dedup_key":"6d3c2a9e1f7b4805a1c2d3e4f5061728394a5b6c7d8e9fa0b1c2d3e4f5061728",` +
	`"event_action":"trigger","payload":{"summary":"[FIRING:1] DiskFull (db-1 postgres critical)","source":"db-1.example.com","severity":"critical",` +
	`"timestamp":"2026-11-24T10:00:00.123Z","component":"postgres","group":"billing","class":"disk full","custom_details":{"firing":"Labels:\n - alertname = DiskFull\n - instance = db-1\n",` +
	`"num_firing":"1","num_resolved":"0","resolved":""}},"client":"Alertmanager","client_url":"https://alertmanager.example.com/#/alerts?receiver=ops"}`

var benchOptions = RepairOptions{Now: time.Unix(1_800_000_000, 0), NewDedupKey: func() string { return "made" }}

func BenchmarkRepair(b *testing.B) {
	body := []byte(benchBody)
	buffer := make([]byte, 0, 2*len(body))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		event, lines, err := Repair(context.Background(), body, benchOptions)
		if err != nil || len(lines) > 0 {
			b.Fatal(lines, err)
		}
		event.RoutingKey = Key{}
		buffer = event.AppendJSON(buffer[:0])
	}
}

// BenchmarkUnmarshal is what a program does at least that decodes the event.
func BenchmarkUnmarshal(b *testing.B) {
	type plain struct {
		RoutingKey string `json:"routing_key"`
		Action     string `json:"event_action"`
		DedupKey   string `json:"dedup_key"`
		Client     string `json:"client"`
		ClientURL  string `json:"client_url"`
		Payload    struct {
			Summary       string          `json:"summary"`
			Source        string          `json:"source"`
			Severity      string          `json:"severity"`
			Timestamp     string          `json:"timestamp"`
			Component     string          `json:"component"`
			Group         string          `json:"group"`
			Class         string          `json:"class"`
			CustomDetails json.RawMessage `json:"custom_details"`
		} `json:"payload"`
		Links  []Link  `json:"links"`
		Images []Image `json:"images"`
	}
	body := []byte(benchBody)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		var event plain
		if err := json.Unmarshal(body, &event); err != nil {
			b.Fatal(err)
		}
	}
}
