package intake

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

// Bodies that programs send, in the encodings and shapes of the world, and what is kept of
// them. Each stands in testdata/texts.json as text, or in hexadecimal digits.
func TestTextsOfTheWorld(t *testing.T) {
	file, err := os.ReadFile("testdata/texts.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name, ContentType, Body, Hex         string
		Summary, DedupKey, Severity, Details string
		Path                                 string
	}
	if err := json.Unmarshal(file, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			body := []byte(strings.ReplaceAll(c.Body, "KEY", testKey))
			if c.Hex != "" {
				digits := strings.ReplaceAll(strings.Join(strings.Fields(c.Hex), ""), "KEY", hex.EncodeToString([]byte(testKey)))
				if body, err = hex.DecodeString(digits); err != nil {
					t.Fatal(err)
				}
			}
			store := &memory{}
			r := httptest.NewRequest(http.MethodPost, "/v2/enqueue", bytes.NewReader(body))
			r.Header.Set("Content-Type", c.ContentType)
			w := httptest.NewRecorder()
			newDoor(store, false).ServeHTTP(w, r)
			if w.Code != http.StatusAccepted || len(store.puts) != 1 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			event, err := eventsv2.ParseEvent(store.puts[0].Body)
			if err != nil {
				t.Fatal(err)
			}
			details := event.Payload.DetailsText
			if shown, found := event.Payload.CustomDetails.Get("log"); found {
				details = string(shown)
			}
			got := [4]string{event.Payload.Summary, event.DedupKey, string(event.Payload.Severity), details}
			want := [4]string{c.Summary, c.DedupKey, c.Severity, c.Details}
			if c.DedupKey == "" {
				want[1] = got[1]
			}
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if strings.ContainsAny(string(store.puts[0].Body), "\x1b\x7f") || bytes.Contains(store.puts[0].Body, []byte(`\u00`)) {
				t.Errorf("control characters are kept: %q", store.puts[0].Body)
			}
		})
	}
}

// Two incidents whose dedup keys are in an encoding that nobody has declared stay two, and the
// resolve closes its own only.
func TestUndeclaredDedupKeysStayApart(t *testing.T) {
	const first, second = "\xd1\xe5\xf0\xe2\xe5\xf0-1", "\xcf\xf0\xe8\xed\xf2\xe5\xf0-1"
	store := &memory{}
	d := newDoor(store, false)
	for _, e := range [][2]string{{"trigger", first}, {"trigger", second}, {"resolve", first}} {
		body := `{"routing_key":"` + testKey + `","event_action":"` + e[0] + `","dedup_key":"` + e[1] + `","payload":{"summary":"` + e[1] + `","source":"h","severity":"critical"}}`
		answerTo(t.Context(), d, "/v2/enqueue", []byte(body))
	}
	if len(store.puts) != 3 {
		t.Fatalf("%d events are kept", len(store.puts))
	}
	if a, b, c := store.puts[0].DedupKey, store.puts[1].DedupKey, store.puts[2].DedupKey; a == b || a != c {
		t.Errorf("got %q, %q and %q", a, b, c)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(trigger("caf\xe9", "error", "")), "application/json; charset=iso-8859-1")
	f.Add([]byte("{\x00}\x00"), "")
	f.Add([]byte("\x1b$B%5"), `text/plain; charset="iso-2022-jp"; x`)
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		decoded, from := decode(body, contentType)
		if !bytes.Equal(decoded, bytes.ToValidUTF8(decoded, nil)) || from == "" && !bytes.Equal(decoded, body) {
			t.Errorf("%q of %q became %q from %q", body, contentType, decoded, from)
		}
	})
}
