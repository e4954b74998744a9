package conformance

import (
	"bytes"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// enqueueSchema is PagerDuty's published schema of an event, with formats checked.
var enqueueSchema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	return compiler.Compile(filepath.Join("testdata", "enqueue.schema.json"))
})

func checkSchema(body []byte) error {
	schema, err := enqueueSchema()
	if err != nil {
		return err
	}
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return schema.Validate(instance)
}

// wantSchema fails the test for each recorded body that PagerDuty's schema refuses.
func wantSchema(t *testing.T, requests []request) {
	t.Helper()
	for i, r := range requests {
		if r.path != "/v2/enqueue" {
			t.Errorf("request %d went to %s, want /v2/enqueue", i+1, r.path)
		}
		if err := checkSchema(r.body); err != nil {
			t.Errorf("request %d breaks the published schema: %v", i+1, err)
		}
	}
}

func TestSchema(t *testing.T) {
	const key = `"routing_key":"0123456789abcdef0123456789abcdef"`
	const payload = `"payload":{"summary":"s","source":"db-1","severity":"error"}`
	payloadWith := func(member string) string {
		return `{` + key + `,"event_action":"trigger","payload":{"summary":"s","source":"db-1","severity":"error",` + member + `}}`
	}
	triggerWith := func(member string) string {
		return `{` + key + `,"event_action":"trigger",` + payload + `,` + member + `}`
	}
	tests := []struct {
		name, body string
		fails      string // where the schema must point, "" for a valid body
	}{
		{"trigger", `{` + key + `,"event_action":"trigger",` + payload + `}`, ""},
		{"key of letters past f", `{"routing_key":"R028DIE06SNKNO6V5ACSLRV7Y0TUVG7T","event_action":"trigger",` + payload + `}`, ""},
		{"acknowledge without payload", `{` + key + `,"event_action":"acknowledge","dedup_key":"k"}`, ""},
		{"full payload", payloadWith(`"timestamp":"2026-03-01T10:00:00.000Z","component":"c","group":"g","class":"k","custom_details":{"a":[1,{"b":null}]}`), ""},
		{"everything else", triggerWith(`"dedup_key":"k","client":"c","client_url":"https://c.example.com","links":[{"href":"http://l.example.com","text":"t"}],"images":[{"src":"https://i.example.com/a.png","href":"https://h.example.com","alt":"a"}]`), ""},

		{"details at the top, as in version 1", triggerWith(`"details":{"a":1}`), "details"},
		{"custom_details at the top", triggerWith(`"custom_details":{"a":1}`), "custom_details"},
		{"contexts, as in version 1", triggerWith(`"contexts":[]`), "contexts"},
		{"service_key, as in version 1", triggerWith(`"service_key":"x"`), "service_key"},
		{"details in the payload", payloadWith(`"details":{"a":1}`), "details"},
		{"details as a text", payloadWith(`"custom_details":"a=1"`), "custom_details"},
		{"details as an array", payloadWith(`"custom_details":[1]`), "custom_details"},
		{"no payload on a trigger", `{` + key + `,"event_action":"trigger"}`, "payload"},
		{"null payload", `{` + key + `,"event_action":"resolve","dedup_key":"k","payload":null}`, "payload"},
		{"empty payload", `{` + key + `,"event_action":"trigger","payload":{}}`, "summary"},
		{"empty payload on a resolve", `{` + key + `,"event_action":"resolve","dedup_key":"k","payload":{"summary":"","source":"","severity":""}}`, "summary"},
		{"no dedup key on a resolve", `{` + key + `,"event_action":"resolve"}`, "dedup_key"},
		{"blank dedup key", triggerWith(`"dedup_key":""`), "dedup_key"},
		{"dedup key too long", triggerWith(`"dedup_key":"` + strings.Repeat("k", 256) + `"`), "dedup_key"},
		{"no routing key", `{"event_action":"trigger",` + payload + `}`, "routing_key"},
		{"short routing key", `{"routing_key":"0123","event_action":"trigger",` + payload + `}`, "routing_key"},
		{"no action", `{` + key + `,` + payload + `}`, "event_action"},
		{"action in capitals", `{` + key + `,"event_action":"Trigger",` + payload + `}`, "event_action"},
		{"wrong severity", strings.Replace(triggerWith(`"client":"c"`), `"error"`, `"warn"`, 1), "severity"},
		{"severity in capitals", strings.Replace(triggerWith(`"client":"c"`), `"error"`, `"Error"`, 1), "severity"},
		{"no source", `{` + key + `,"event_action":"trigger","payload":{"summary":"s","severity":"error"}}`, "source"},
		{"blank summary", strings.Replace(triggerWith(`"client":"c"`), `"s"`, `" "`, 1), "summary"},
		{"summary too long", strings.Replace(triggerWith(`"client":"c"`), `"s"`, `"`+strings.Repeat("ü", 1025)+`"`, 1), "summary"},
		{"timestamp in words", payloadWith(`"timestamp":"yesterday"`), "timestamp"},
		{"timestamp as a number", payloadWith(`"timestamp":1700000000`), "timestamp"},
		{"component null", payloadWith(`"component":null`), "component"},
		{"image over http", triggerWith(`"images":[{"src":"http://i.example.com/a.png"}]`), "src"},
		{"image without src", triggerWith(`"images":[{"href":"https://i.example.com/a.png"}]`), "src"},
		{"image with text", triggerWith(`"images":[{"src":"https://i.example.com/a.png","text":"a"}]`), "text"},
		{"link without href", triggerWith(`"links":[{"text":"a"}]`), "href"},
		{"link with a type", triggerWith(`"links":[{"type":"link","href":"https://l.example.com"}]`), "type"},
		{"links no array", triggerWith(`"links":{"href":"https://l.example.com"}`), "links"},
		{"client_url no URL", triggerWith(`"client_url":"not a url"`), "client_url"},
		{"an array of events", `[{` + key + `,"event_action":"trigger",` + payload + `}]`, "object"},
		{"no JSON", `{`, "EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantFailure(t, checkSchema([]byte(tt.body)), tt.fails)
		})
	}
}
