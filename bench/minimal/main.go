// Minimal posts one event with what the standard library offers first:
// encoding/json and http.Post. It is what `shoutrrr send` is measured against.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

type event struct {
	RoutingKey  string  `json:"routing_key"`
	EventAction string  `json:"event_action"`
	DedupKey    string  `json:"dedup_key"`
	Payload     payload `json:"payload"`
}

type payload struct {
	Summary   string `json:"summary"`
	Source    string `json:"source"`
	Severity  string `json:"severity"`
	Timestamp string `json:"timestamp"`
}

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: minimal URL INTEGRATION-KEY DEDUP-KEY MESSAGE")
		os.Exit(64)
	}
	if err := send(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, "minimal:", err)
		os.Exit(1)
	}
}

func send(url, key, dedupKey, message string) error {
	body, err := json.Marshal(event{
		RoutingKey: key, EventAction: "trigger", DedupKey: dedupKey,
		Payload: payload{
			Summary: message, Source: "default", Severity: "error",
			Timestamp: time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
		},
	})
	if err != nil {
		return err
	}
	resp, err := http.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("%s: %s", resp.Status, answer)
	}
	var receipt struct {
		DedupKey string `json:"dedup_key"`
	}
	if err := json.Unmarshal(answer, &receipt); err != nil {
		return err
	}
	fmt.Println("accepted:", receipt.DedupKey)
	return nil
}
