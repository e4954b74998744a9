package eventsv2

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/containrrr/shoutrrr/internal/bodies"
)

func TestReasons(t *testing.T) {
	const severity = "'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')"
	tests := []struct{ name, body, want string }{
		{"PagerDuty's", `{"status":"invalid event","message":"Event object is invalid","errors":["` + severity + `"]}`, severity},
		{"another order", `{"errors":["a","b"],"message":"Event object is invalid","status":"invalid event"}`, "a; b"},
		{"the same twice", `{"errors":["a","a"]}`, "a"},
		{"blank errors", `{"message":"Event object is invalid","errors":[""," "]}`, "Event object is invalid"},
		{"a message that adds something", `{"status":"unrecognized object","message":"Event object format is unrecognized","errors":["JSON parse error"]}`, "Event object format is unrecognized: JSON parse error"},
		{"a message that adds nothing", `{"message":"a is blank","errors":["a is blank"]}`, "a is blank"},
		{"no errors", `{"status":"throttle exceeded","message":"Requests for this service are arriving too quickly.  Please retry later."}`, "Requests for this service are arriving too quickly. Please retry later."},
		{"throttled with errors", `{"status":"throttle exceeded","message":"Slow down.","errors":["Enhance Your Calm."]}`, "Slow down: Enhance Your Calm."},
		{"status alone", `{"status":"invalid event"}`, "invalid event"},
		{"errors as text", `{"message":"Event object is invalid","errors":"x is wrong"}`, "x is wrong"},
		{"errors by member", `{"errors":{"links":["should have at most 50 item(s)"],"payload":{"summary":["is long"]}}}`, "links: should have at most 50 item(s); payload: summary: is long"},
		{"errors as objects", `{"errors":[{"code":1,"message":"first"},{"detail":"second"}]}`, "first; second"},
		{"change event", `{"error":["links should have at most 50 item(s)"]}`, "links should have at most 50 item(s)"},
		{"REST", `{"error":{"message":"Invalid Input Provided","code":2001,"errors":["Name required"]}}`, "Invalid Input Provided: Name required"},
		{"error as text", `{"error":"Invalid routing key"}`, "Invalid routing key"},
		{"error and message", `{"error":"Not Found","message":"No route","status":404}`, "No route: Not Found"},
		{"problem document", `{"title":"Bad Gateway","detail":"upstream is down"}`, "upstream is down"},
		{"other names' case", `{"Message":"m","ERRORS":["e"]}`, "m: e"},
		{"a JSON text", `"Invalid routing key"`, "Invalid routing key"},
		{"a JSON list", `["a",["b"],3,null]`, "a; b"},
		{"an object without any of it", `{"reason":7}`, `{"reason":7}`},
		{"an empty object", `{}`, `{}`},
		{"more after it", `{"message":"m"}{"message":"n"}`, "m"},
		{"byte order mark", "\ufeff" + `{"message":"m"}`, "m"},
		{"half a body", `{"status":"invalid event","message":"Event object is invalid","errors":["a is bl`, "Event object is invalid"},
		{"half a body with a reason", `{"errors":["a is blank","b is bl`, "a is blank"},
		{"less than half a body", `{"sta`, `{"sta`},
		{"brackets", strings.Repeat("[", 60_000), strings.Repeat("[", maxMessageBytes-3) + "…"},
		{"plain", "Invalid routing key\n", "Invalid routing key"},
		{"several lines", "one\r\n\ttwo\u2028three\n\n", "one two three"},
		{"terminal escapes", "a\x1b[31mred\x1b[0m\a\u009b2J\u202eb", "a[31mred[0m2Jb"},
		{"not UTF-8", "caf\xe9 \xff\xfe", "caf\ufffd \ufffd"},
		{"blank", " \r\n\t", ""},
		{"empty", "", ""},
		{"NUL", "\x00\x00", ""},
		{"a page", "<!DOCTYPE html><html><head><title>502 Bad\n Gateway</title></head><body><h1>nginx</h1></body></html>", "502 Bad Gateway"},
		{"a page in capitals", "<HTML><TITLE lang=en>No &amp; never</TITLE>", "No & never"},
		{"a page without title", "<html><head><style>p{color:red}</style><script>if (a<b) {}</script></head><!-- no > --><body><p>Access&nbsp;denied by <b>policy</b></p></body>", "Access denied by policy"},
		{"a page with an empty title", "<title> </title><p>sorry", "sorry"},
		{"half a page", "<html><head><title>503 Service Un", "503 Service Un"},
		{"half a tag", "<p>sorry</", "sorry"},
		{"half a script", "<p>sorry<script>x=1", "sorry"},
		{"XML", `<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>No</Message></Error>`, "AccessDenied No"},
		{"a lower case longer than its letter", "<p>\u023a \u023a<title>x</title>", "\u023a \u023a x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t, false, answerWith(400, "application/json", tt.body))
			_, err := newClient(t, s).Post(context.Background(), mustKey(t, testKey), []byte(`{}`))
			var e *Error
			if !errors.As(err, &e) || e.Message != tt.want {
				t.Errorf("got %q, want %q", e.Message, tt.want)
			}
		})
	}
}

func TestCompressedAnswerIsNotShown(t *testing.T) {
	s := newServer(t, false, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "br")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "\x0b\x02\x80hello\x03")
	})
	_, err := newClient(t, s).Post(context.Background(), mustKey(t, testKey), []byte(`{}`))
	var e *Error
	if !errors.As(err, &e) || e.Message != "" {
		t.Errorf("got %v", err)
	}
}

func TestLongReasonIsCutBetweenRunes(t *testing.T) {
	for pad := range 4 {
		got := legible(strings.Repeat("x", pad)+strings.Repeat("ü€", 1000), Key{})
		if len(got) > maxMessageBytes || len(got) < maxMessageBytes-4 || !utf8.ValidString(got) || !strings.HasSuffix(got, "…") {
			t.Errorf("pad %d: %d bytes, valid %v", pad, len(got), utf8.ValidString(got))
		}
	}
}

// echoes are the ways in which a server, or what stands in its place, sends back
// what it got.
func echoes(body string) map[string]string {
	quoted, _ := json.Marshal(body)
	escaped := strings.Map(func(r rune) rune { return r }, body)
	var unicoded strings.Builder
	for _, r := range body {
		unicoded.WriteString(`\u00` + string("0123456789abcdef"[r>>4]) + string("0123456789abcdef"[r&15]))
	}
	return map[string]string{
		"plain":            "you sent " + escaped,
		"upper":            strings.ToUpper(body),
		"lower":            strings.ToLower(body),
		"json message":     `{"message":` + string(quoted) + `}`,
		"json errors":      `{"errors":[` + string(quoted) + `,` + string(quoted) + `]}`,
		"json errors text": `{"errors":` + string(quoted) + `}`,
		"json error list":  `{"error":[` + string(quoted) + `]}`,
		"json error":       `{"error":{"message":` + string(quoted) + `}}`,
		"json status":      `{"status":` + string(quoted) + `}`,
		"json name":        `{"errors":{` + string(quoted) + `:["is odd"]}}`,
		"json escapes":     `{"message":"` + unicoded.String() + `"}`,
		"json dedup key":   `{"dedup_key":` + string(quoted) + `,"message":"m"}`,
		"unknown json":     body,
		"half a body":      body[:len(body)-9],
		"html title":       "<title>" + body + "</title>",
		"html text":        "<p>" + body + "</p>",
		"broken by colour": strings.ReplaceAll(body, "89ab", "89\x1b\u200bab"),
		"broken by lines":  strings.ReplaceAll(body, "89ab", "89\nab"),
		"not UTF-8":        "\xff\xfe" + body + "\xff",
		"at the cut":       strings.Repeat("x", maxMessageBytes-20) + body,
		"many":             strings.Repeat(body, 200),
	}
}

func TestKeyNeverComesBack(t *testing.T) {
	key := mustKey(t, testKey)
	body := `{"routing_key":"` + testKey + `"}`
	for name, echo := range echoes(body) {
		for _, status := range []int{202, 302, 400, 401, 429, 500} {
			s := newServer(t, false, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", "http://"+testKey+".example/"+testKey)
				w.Header().Set("Retry-After", testKey)
				answerWith(status, "", echo)(w, r)
			})
			receipt, err := newClient(t, s).Post(context.Background(), key, []byte(body))
			checkNoKey(t, name+": receipt", receipt.DedupKey+receipt.Message)
			checkErrorHasNoKey(t, name, err)
		}
	}
}

func checkErrorHasNoKey(t *testing.T, name string, err error) {
	t.Helper()
	for e := err; e != nil; e = errors.Unwrap(e) {
		checkNoKey(t, name+": error", e.Error())
	}
	var e *Error
	if errors.As(err, &e) {
		checkNoKey(t, name+": message", e.Message)
	}
}

// TestKeyNeverComesBackFromWhatIsNoHTTP: net/http quotes what it cannot read.
func TestKeyNeverComesBackFromWhatIsNoHTTP(t *testing.T) {
	body := `{"routing_key":"` + testKey + `"}`
	for name, answer := range map[string]string{
		"echo of the body":   body + "\r\n\r\n",
		"as status line":     "HTTP/1.1 " + testKey + "\r\n\r\n",
		"as status":          "HTTP/1.1 4" + testKey + " no\r\n\r\n",
		"as header":          "HTTP/1.1 400 no\r\n" + body + "\r\n\r\n",
		"as length":          "HTTP/1.1 400 no\r\nContent-Length: " + testKey + "\r\n\r\n",
		"as encoding":        "HTTP/1.1 400 no\r\nTransfer-Encoding: " + testKey + "\r\n\r\n",
		"as chunk":           "HTTP/1.1 400 no\r\nTransfer-Encoding: chunked\r\n\r\n" + testKey + "\r\n",
		"with terminal code": "\x1b]0;" + testKey + "\x07\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			base := rawServer(t, answer)
			_, err := (&Client{BaseURL: base}).Post(context.Background(), mustKey(t, testKey), []byte(body))
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v", err)
			}
			checkErrorHasNoKey(t, name, err)
			if strings.ContainsFunc(err.Error(), unicode.IsControl) {
				t.Errorf("control characters in %q", err)
			}
		})
	}
}

// rawServer answers every connection with the text, once it has read something.
func rawServer(t *testing.T, answer string) (base string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				_, _ = conn.Read(make([]byte, 4096))
				_, _ = io.WriteString(conn, answer)
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

func FuzzAnswer(f *testing.F) {
	body := `{"routing_key":"` + testKey + `"}`
	for _, echo := range echoes(body) {
		f.Add([]byte(echo), uint16(0), uint16(0), uint16(0), "", 400)
	}
	f.Add([]byte(`{"status":"success","message":"Event processed","dedup_key":"srv01/HTTP"}`), uint16(43), uint16(44), uint16(60_000), "application/json", 202)
	f.Add([]byte(`{"error":{"message":"Invalid Input Provided","code":2001,"errors":["Name required"]}}`), uint16(66), uint16(82), uint16(5_000), "", 500)
	f.Add([]byte("<html><script>a<b</script><!-- -->x"), uint16(6), uint16(27), uint16(3_000), "gzip", 502)
	f.Fuzz(func(t *testing.T, answer []byte, from, to, times uint16, encoding string, status int) {
		answer = bodies.Grow(answer, from, to, times, maxAnswerBytes)
		key := mustKey(t, testKey)
		resp := &http.Response{StatusCode: status, Header: http.Header{
			"Content-Encoding": {encoding}, "Location": {string(answer)}, "Retry-After": {string(answer)},
		}}
		refused := refusal(resp, answer, key, "host.example")
		checkLegible(t, refused.Message)
		if text := refused.Error(); strings.ContainsFunc(text, unicode.IsControl) {
			t.Errorf("control characters in %q", text)
		}
		receipt := decodeReceipt(202, answer, key)
		checkLegible(t, receipt.Message)
		checkNoKeyAtAll(t, receipt.DedupKey)
		if n := utf8.RuneCountInString(receipt.DedupKey); n > MaxDedupKey {
			t.Errorf("a dedup key of %d characters", n)
		}
		checkPlainReceipt(t, answer)
	})
}

func checkLegible(t *testing.T, text string) {
	t.Helper()
	if len(text) > maxMessageBytes || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		t.Errorf("not legible: %q", text)
	}
	checkNoKeyAtAll(t, text)
}

func checkNoKeyAtAll(t *testing.T, text string) {
	t.Helper()
	if strings.Contains(strings.ToLower(text), strings.ToLower(testKey)) {
		t.Errorf("holds the key: %q", text)
	}
}

// checkPlainReceipt compares the quick way with encoding/json.
func checkPlainReceipt(t *testing.T, answer []byte) {
	t.Helper()
	message, dedupKey, ok := plainReceipt(answer)
	if !ok {
		return
	}
	var want struct {
		Message  string `json:"message"`
		DedupKey string `json:"dedup_key"`
	}
	if err := json.Unmarshal(answer, &want); err != nil {
		t.Fatalf("%q is no JSON: %v", answer, err)
	}
	if message != want.Message || dedupKey != want.DedupKey {
		t.Errorf("%q: got %q, %q, want %q, %q", answer, message, dedupKey, want.Message, want.DedupKey)
	}
}

func TestPlainReceiptTakesTheUsualForm(t *testing.T) {
	if _, _, ok := plainReceipt([]byte(`{"status":"success","message":"Event processed","dedup_key":"srv01/HTTP"}`)); !ok {
		t.Error("PagerDuty's own answer goes the slow way")
	}
}
