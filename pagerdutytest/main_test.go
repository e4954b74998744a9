package pagerdutytest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testKey  = "0123456789abcdef0123456789abcdef"
	otherKey = "fedcba9876543210fedcba9876543210"
)

// minimal is an event of the given action that PagerDuty takes.
func minimal(action, dedupKey string) string {
	return fmt.Sprintf(`{"routing_key":%q,"event_action":%q,"dedup_key":%q,"payload":{"summary":"disk full","source":"db1","severity":"critical"}}`,
		testKey, action, dedupKey)
}

// plainClient makes a client that shares no connection with other tests.
func plainClient(t *testing.T) *http.Client {
	t.Helper()
	return clientOf(t, &http.Transport{})
}

func clientOf(t *testing.T, transport *http.Transport) *http.Client {
	t.Helper()
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport: transport,
		Timeout:   20 * time.Second, // a hang that is a bug must end
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
}

type reply struct {
	status int
	header http.Header
	body   string
	proto  string
}

// try posts JSON and reads the whole answer.
func try(client *http.Client, url, body string) (reply, error) {
	resp, err := client.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(got), resp.Proto}, err
}

// post is try for those who expect an answer.
func post(t *testing.T, client *http.Client, url, body string) reply {
	t.Helper()
	got, err := try(client, url, body)
	if err != nil {
		t.Fatalf("POST %s: %v", url, err)
	}
	return got
}

// do sends a request that is not simply posted.
func do(t *testing.T, client *http.Client, method, url, body string, header ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return reply{resp.StatusCode, resp.Header, string(got), resp.Proto}
}

// until waits for a condition that holds after some change of the emulator.
func until(t *testing.T, e *Emulator, condition func() bool) {
	t.Helper()
	timeout := time.NewTimer(20 * time.Second)
	defer timeout.Stop()
	for {
		updated := e.Updated()
		if condition() {
			return
		}
		select {
		case <-updated:
		case <-timeout.C:
			t.Fatalf("the condition never held\n%s", e.journalText())
		}
	}
}
