package eventsv2

import (
	"encoding/json"
	"net/http"
	"strings"
)

// isRejection reports whether an answer is PagerDuty's word that it will never take the
// event, or that it does not take the key. That is a 400, 401 or 403 in one of the forms
// that PagerDuty and its clients document:
//
//	{"status":"invalid event","message":"…","errors":["…"]}    alert events; errors may be one text
//	{"error":["…"]}                                            change events
//	{"error":{"message":"…","code":2001,"errors":["…"]}}       the REST API's
//	Invalid routing key                                        a key that it does not know
//
// A proxy, a gateway or a firewall answers with these statuses as well, and with others: a
// page of its own, another object, or nothing. If that counted, a wrong setting on the way
// would make dead letters of a night's pages. PagerDuty's own forms differ by endpoint, and
// what is mistaken for an intermediary's word is only sent again.
func isRejection(status int, answer []byte) bool {
	switch status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
	default:
		return false
	}
	answer = trimAnswer(answer)
	if strings.EqualFold(string(answer), invalidRoutingKey) {
		return true
	}
	var form struct {
		Status, Message *string
		Errors, Error   json.RawMessage
	}
	if json.Unmarshal(answer, &form) != nil {
		return false
	}
	if form.Error != nil {
		return areTexts(form.Error) || isRESTError(form.Error)
	}
	// Events API v1 answers 403 with this when it is asked too often.
	const throttled = "throttle exceeded"
	return form.Status != nil && form.Message != nil && *form.Status != throttled && (areTexts(form.Errors) || isText(form.Errors))
}

// invalidRoutingKey is the whole answer, in plain text, to a key that PagerDuty does not know.
const invalidRoutingKey = "Invalid routing key"

// isRESTError reports whether an "error" is that of the REST API. Google and Azure have
// objects of that name as well, without such errors.
func isRESTError(value json.RawMessage) bool {
	var form struct {
		Message *string
		Code    *float64
		Errors  json.RawMessage
	}
	return json.Unmarshal(value, &form) == nil && form.Message != nil && form.Code != nil && (areTexts(form.Errors) || isText(form.Errors))
}

func areTexts(value json.RawMessage) bool {
	var texts []*string
	if json.Unmarshal(value, &texts) != nil || len(texts) == 0 {
		return false // PagerDuty says at least one thing
	}
	for _, text := range texts {
		if text == nil {
			return false
		}
	}
	return true
}

func isText(value json.RawMessage) bool {
	var text *string
	return json.Unmarshal(value, &text) == nil && text != nil
}
