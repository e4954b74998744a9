package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

// Webhook posts the message as JSON. Its TLS, proxies and roots are those of the
// upstreams, and as there a redirect is not followed.
type Webhook struct {
	URL       string      // a secret
	Header    http.Header // secrets
	UserAgent string
}

// maxAnswer is what is read of an answer, so that the connection can be used again.
const maxAnswer = 64 << 10

// Send implements [Sender]. Of the answer only the status is told: the rest may repeat
// what was sent, secrets among it.
func (w Webhook) Send(ctx context.Context, m Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("the URL of the webhook cannot be used") // its text would hold the URL
	}
	for name, values := range w.Header {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", w.UserAgent)
	resp, err := eventsv2.SharedTransport().RoundTrip(req)
	if err != nil {
		return fmt.Errorf("no answer from %s: %w", req.URL.Host, err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode <= 399:
		return fmt.Errorf("%s answers %d: redirects are not followed, give the address that it redirects to", req.URL.Host, resp.StatusCode)
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return fmt.Errorf("%s answers %d %s", req.URL.Host, resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	return nil
}
