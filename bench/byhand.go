package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// byHand is how a program without the library posts an event.
type byHand struct {
	client *http.Client
	url    string
}

type handEvent struct {
	RoutingKey  string      `json:"routing_key"`
	EventAction string      `json:"event_action"`
	DedupKey    string      `json:"dedup_key"`
	Payload     handPayload `json:"payload"`
}

type handPayload struct {
	Summary       string            `json:"summary"`
	Source        string            `json:"source"`
	Severity      string            `json:"severity"`
	Timestamp     string            `json:"timestamp"`
	CustomDetails map[string]string `json:"custom_details,omitempty"`
}

type handReceipt struct {
	Status   string `json:"status"`
	Message  string `json:"message"`
	DedupKey string `json:"dedup_key"`
}

// send posts one event and returns the dedup key that the server reports.
func (h *byHand) send(ctx context.Context, dedupKey, severity string, details map[string]string) (string, error) {
	body, err := json.Marshal(handEvent{
		RoutingKey: integrationKey, EventAction: "trigger", DedupKey: dedupKey,
		Payload: handPayload{
			Summary: message, Source: "default", Severity: severity,
			Timestamp:     time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
			CustomDetails: details,
		},
	})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := h.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusAccepted {
		return "", fmt.Errorf("%s: %s", resp.Status, answer)
	}
	var receipt handReceipt
	if err := json.Unmarshal(answer, &receipt); err != nil {
		return "", err
	}
	return receipt.DedupKey, nil
}
