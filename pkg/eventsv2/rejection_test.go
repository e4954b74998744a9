package eventsv2

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

const invalidEvent = `{"status":"invalid event","message":"Event object is invalid","errors":["'payload.source' is missing or blank"]}`

// Only PagerDuty rejects an event: what something on the way answers is tried again,
// whatever its status.
func TestOnlyPagerDutyRejects(t *testing.T) {
	statuses := map[int]bool{400: true, 401: true, 403: true}
	for status := 300; status < 500; status++ {
		if _, known := statuses[status]; !known {
			statuses[status] = false
		}
	}
	for _, tt := range []struct {
		name, body string
		rejects    bool
	}{
		{"PagerDuty's", invalidEvent, true},
		{"in another order", `{"errors":["a","b"],"message":"Event object is invalid","status":"invalid event"}`, true},
		{"errors as one text", `{"status":"invalid event","message":"Event object is invalid","errors":"a"}`, true},
		{"unreadable", `{"status":"unrecognized object","message":"Event object format is unrecognized","errors":["JSON parse error"]}`, true},
		{"byte order mark", "\ufeff" + invalidEvent + "\r\n", true},
		{"change event", `{"error":["links should have at most 50 item(s)"]}`, true},
		{"REST", `{"error":{"message":"Invalid Input Provided","code":2001,"errors":["Name required"]}}`, true},
		{"unknown key", "Invalid routing key\n", true},
		{"nothing", "", false},
		{"a proxy's page", "<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>", false},
		{"plain text", "Bad Request: This server only serves TLS", false},
		{"text that quotes it", "blocked: Invalid routing key", false},
		{"half of PagerDuty's", invalidEvent[:len(invalidEvent)-9], false},
		{"more behind it", invalidEvent + "<!-- filtered -->", false},
		{"compressed", "\x1f\x8b\x08\x00\x00", false},
		{"a gateway's", `{"message":"Forbidden"}`, false},
		{"a gateway's with a status", `{"status":"error","message":"request rejected by policy"}`, false},
		{"a gateway's with errors", `{"errors":["request rejected by policy"]}`, false},
		{"errors of another form", `{"status":"invalid event","message":"m","errors":[{"code":1}]}`, false},
		{"errors null", `{"status":"invalid event","message":"m","errors":null}`, false},
		{"no errors", `{"status":"error","message":"Access denied by policy","errors":[]}`, false},
		{"no error of a change event", `{"error":[]}`, false},
		{"no error of the REST API", `{"error":{"message":"m","code":2001,"errors":[]}}`, false},
		{"errors of null", `{"status":"invalid event","message":"m","errors":[null]}`, false},
		{"status as a number", `{"status":400,"message":"Bad Request","errors":["a"]}`, false},
		{"a problem document", `{"title":"Forbidden","status":403,"detail":"policy"}`, false},
		{"error as text", `{"error":"access_denied"}`, false},
		{"Google's", `{"error":{"code":403,"message":"no","errors":[{"domain":"usageLimits"}],"status":"PERMISSION_DENIED"}}`, false},
		{"Azure's", `{"error":{"code":"AuthorizationFailed","message":"no"}}`, false},
		{"a throttled v1", `{"status":"throttle exceeded","message":"Requests for this service are arriving too quickly.  Please retry later.","errors":[]}`, false},
		{"a list", `["a"]`, false},
		{"a JSON text", `"Invalid routing key"`, false},
		{"null", `null`, false},
		{"deep", strings.Repeat("[", maxAnswerBytes), false},
	} {
		for status, may := range statuses {
			e := refusal(&http.Response{StatusCode: status, Header: http.Header{}}, []byte(tt.body), mustKey(t, testKey), "host.example")
			want := may && tt.rejects
			if e.Rejected != want || e.Temporary() == want {
				t.Errorf("%s, %d: rejected %v, temporary %v, want rejected %v (%v)", tt.name, status, e.Rejected, e.Temporary(), want, e)
			}
			if !want && (errors.Is(e, ErrInvalidKey) || errors.Is(e, ErrUnauthorized) || errors.Is(e, ErrForbidden) || e.KeyRejected()) {
				t.Errorf("%s, %d: says something of the key: %v", tt.name, status, e)
			}
			if intercepted := !want && status != 408 && status != 429; e.Intercepted() != intercepted {
				t.Errorf("%s, %d: intercepted is %v", tt.name, status, e.Intercepted())
			}
		}
	}
}

// The whole way, from an answer on a connection to what is done next.
func TestIntermediariesWordIsTriedAgain(t *testing.T) {
	middle := Retry{Jitter: func() float64 { return 0.5 }}
	for status, body := range map[int]string{400: "<html>", 403: `{"message":"Forbidden"}`, 404: "", 413: "too large", 302: "", 407: "", 451: invalidEvent} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			s := newServer(t, false, answerWith(status, "", body))
			_, err := newClient(t, s).Post(context.Background(), mustKey(t, testKey), []byte(`{}`))
			if wait, again := middle.Next(err, 1, time.Hour); !again || wait != time.Second {
				t.Errorf("waits %s, tries again %v: %v", wait, again, err)
			}
		})
	}
}

// An answer with another status of success than PagerDuty's 202 accepts only if it can be
// PagerDuty's: a login page does not, whatever it is packed in.
func TestWhatAccepts(t *testing.T) {
	const page, packed = "<html>log in</html>", "\x1f\x8b\x08\x00\x00"
	for _, tt := range []struct {
		status          int
		media, encoding string
		body            string
		accepts         bool
	}{
		{202, "", "", "", true},
		{202, "text/html", "gzip", packed, true},
		{200, "application/json", "", `{"status":"success"}`, true},
		{201, "text/plain; charset=utf-8", "identity", "ok", true},
		{200, "", "", "", true},
		{200, "text/html; charset", "", page, false},
		{200, "text/html", "", "", false},
		{200, "Text/HTML; charset=utf-8", "", "log in", false},
		{200, "", "gzip", packed, false},
		{200, "application/json", "br", packed, false},
		{302, "", "", "", false},
	} {
		header := http.Header{"Content-Type": {tt.media}, "Content-Encoding": {tt.encoding}}
		if got := accepts(tt.status, header, []byte(tt.body)); got != tt.accepts {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

func FuzzRejection(f *testing.F) {
	f.Add(400, []byte(invalidEvent))
	f.Add(403, []byte(`{"error":{"message":"Invalid Input Provided","code":2001,"errors":["Name required"]}}`))
	f.Add(401, []byte("Invalid routing key"))
	f.Add(400, []byte("<html>"))
	f.Fuzz(func(t *testing.T, status int, answer []byte) {
		e := refusal(&http.Response{StatusCode: status, Header: http.Header{}}, answer, mustKey(t, testKey), "host.example")
		switch {
		case e.Rejected && status != 400 && status != 401 && status != 403:
			t.Errorf("%d rejects", status)
		case e.Rejected && isPage(answer):
			t.Errorf("a page rejects: %q", answer)
		case e.Rejected == e.Temporary():
			t.Errorf("rejected %v and temporary %v", e.Rejected, e.Temporary())
		case e.KeyRejected() && !e.Rejected:
			t.Error("the key is rejected by an intermediary")
		}
	})
}
