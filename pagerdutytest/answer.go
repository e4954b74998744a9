package pagerdutytest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// answer is what is sent back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// alertAnswer has the members of PagerDuty's answers in their order.
type alertAnswer struct {
	Status   string   `json:"status"`
	Message  string   `json:"message"`
	DedupKey string   `json:"dedup_key,omitempty"`
	Errors   []string `json:"errors,omitempty"`
}

// changeRefusal is the other shape in which change events are refused.
type changeRefusal struct {
	Error []string `json:"error"`
}

// invalidRoutingKey is said for a key of good form that does not exist, as bare
// text.
const invalidRoutingKey = "Invalid routing key"

// throttleMessage has two spaces before its second sentence, as PagerDuty sends
// it.
const throttleMessage = "Requests for this service are arriving too quickly.  Please retry later."

func jsonAnswer(status int, content any) answer {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(content) // plain structs of text cannot fail
	return answer{status: status, header: http.Header{"Content-Type": {"application/json"}}, body: bytes.TrimSpace(b.Bytes())}
}

func textAnswer(status int, content string) answer {
	return answer{status: status, header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}}, body: []byte(content)}
}

// refusal is the 400 for an event that was read and is not right.
func refusal(change bool, problems []problem) answer {
	texts := make([]string, len(problems))
	for i, p := range problems {
		texts[i] = p.alertText()
		if change {
			texts[i] = p.changeText()
		}
	}
	return badEvent(change, texts...)
}

func badEvent(change bool, texts ...string) answer {
	if change {
		return jsonAnswer(http.StatusBadRequest, changeRefusal{texts})
	}
	return jsonAnswer(http.StatusBadRequest, alertAnswer{Status: "invalid event", Message: "Event object is invalid", Errors: texts})
}

// unreadable is the 400 for a body that is no JSON object.
func unreadable(change bool) answer {
	const reason = "JSON parse error"
	if change {
		return jsonAnswer(http.StatusBadRequest, changeRefusal{[]string{reason}})
	}
	return jsonAnswer(http.StatusBadRequest, alertAnswer{
		Status: "unrecognized object", Message: "Event object format is unrecognized", Errors: []string{reason},
	})
}

func throttled() answer {
	return jsonAnswer(http.StatusTooManyRequests, alertAnswer{Status: "throttle exceeded", Message: throttleMessage})
}

func accepted(dedupKey string) answer {
	return jsonAnswer(http.StatusAccepted, alertAnswer{Status: "success", Message: "Event processed", DedupKey: dedupKey})
}

func changeAccepted() answer {
	return jsonAnswer(http.StatusAccepted, alertAnswer{Status: "success", Message: "Change event processed"})
}

// answer makes the answer of a fault with a status.
func (f Fault) answer() answer {
	var a answer
	switch {
	case f.Body != "":
		a = textAnswer(f.Status, f.Body)
		if json.Valid(a.body) {
			a.header.Set("Content-Type", "application/json")
		} else if strings.HasPrefix(strings.TrimSpace(f.Body), "<") {
			a.header.Set("Content-Type", "text/html; charset=utf-8")
		}
	case f.NoBody, f.Status == http.StatusNoContent, f.Status == http.StatusNotModified:
		a = answer{status: f.Status, header: make(http.Header)}
	case f.Status == http.StatusTooManyRequests:
		a = throttled()
	case f.Status < 300:
		a = jsonAnswer(f.Status, alertAnswer{Status: "success", Message: "Event processed"})
	case f.Status == http.StatusBadRequest, f.Status == http.StatusUnauthorized, f.Status == http.StatusForbidden:
		a = jsonAnswer(f.Status, alertAnswer{Status: "error", Message: http.StatusText(f.Status), Errors: []string{http.StatusText(f.Status)}})
	default: // PagerDuty has no such answer: something before it has
		a = jsonAnswer(f.Status, alertAnswer{Status: "error", Message: http.StatusText(f.Status)})
	}
	return a
}

// adorn adds the headers of a fault.
func (a *answer) adorn(f Fault, now time.Time) {
	for name, values := range f.Header {
		a.header[http.CanonicalHeaderKey(name)] = values
	}
	if f.RetryAfter == "" {
		return
	}
	value := f.RetryAfter
	if later, found := strings.CutPrefix(value, "date+"); found {
		if d, err := time.ParseDuration(later); err == nil {
			value = now.Add(d).UTC().Format(http.TimeFormat)
		}
	}
	a.header.Set("Retry-After", value)
}
