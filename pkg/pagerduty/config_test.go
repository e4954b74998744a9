package pagerduty

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/pkg/types"
)

const (
	testKey  = "0123456789abcdef0123456789abcdef"
	otherKey = "fedcba9876543210fedcba9876543210"
)

func mustParse(t testing.TB, rawURL string) *Config {
	t.Helper()
	c, err := Parse(rawURL)
	if err != nil {
		t.Fatalf("Parse(%q): %v", rawURL, err)
	}
	return c
}

func TestParseWhereTo(t *testing.T) {
	for _, tc := range []struct{ url, base, address string }{
		{"pagerduty:///" + testKey, "https://events.pagerduty.com", "events.pagerduty.com"},
		{"PagerDuty:///" + testKey, "https://events.pagerduty.com", "events.pagerduty.com"},
		{" pagerduty:///" + testKey + "/ \n", "https://events.pagerduty.com", "events.pagerduty.com"},
		{"pagerduty://events.eu.pagerduty.com/" + testKey, "https://events.eu.pagerduty.com", "events.eu.pagerduty.com"},
		{"pagerduty://relay:8443/" + testKey, "https://relay:8443", "relay:8443"},
		{"pagerduty://relay:443/" + testKey, "https://relay", "relay"},
		{"pagerduty://relay/" + testKey + "?disabletls=yes", "http://relay", "relay"},
		{"pagerduty://127.0.0.1:8686/" + testKey + "?DisableTLS=TRUE", "http://127.0.0.1:8686", "127.0.0.1:8686"},
		{"pagerduty://[2001:db8::5]:8443/" + testKey, "https://[2001:db8::5]:8443", "[2001:db8::5]:8443"},
		{"pagerduty://[2001:db8::5]/" + testKey, "https://[2001:db8::5]", "[2001:db8::5]"},
	} {
		c := mustParse(t, tc.url)
		if c.BaseURL() != tc.base || c.Address() != tc.address {
			t.Errorf("%s: goes to %s (%s), want %s (%s)", tc.url, c.BaseURL(), c.Address(), tc.base, tc.address)
		}
	}
}

// Each mistake is told with what is wrong and what is allowed, and never with a key.
func TestParseRefuses(t *testing.T) {
	upper := strings.ToUpper(testKey)
	for _, tc := range []struct{ url, want string }{
		{"", "must begin with pagerduty://"},
		{"https://events.pagerduty.com/" + testKey, "must begin with pagerduty://"},
		{"pagerduty:" + testKey, "must have the form"},
		{"pagerduty://" + testKey, "three slashes"},
		{"pagerduty://" + testKey + "," + otherKey, "three slashes"},
		{"pagerduty://" + testKey + "?severity=info", "three slashes"},
		{"pagerduty://", "integration key: it is missing"},
		{"pagerduty:///", "integration key: it is missing"},
		{"pagerduty://host", "integration key: it is missing"},
		{"pagerduty://" + testKey + "/" + otherKey, "three slashes"},
		{"pagerduty://" + testKey + ".example.com/" + otherKey, "three slashes"},
		{"pagerduty:///" + otherKey + `?details={"` + testKey + `":1,"` + testKey + `":2}`, "stands twice"},
		{"pagerduty:///" + otherKey + `?contexts=[{"` + testKey + `":"1","` + testKey + `":"2"}]`, "stands twice"},
		{"pagerduty:///" + testKey + "?disabletls=yes", "in clear"},
		{"pagerduty://events.pagerduty.com./" + testKey + "?disabletls=yes", "in clear"},
		{"pagerduty://Events.EU.PagerDuty.Com.:8080/" + testKey + "?disabletls=yes", "in clear"},
		{"pagerduty://pagerduty.com/" + testKey + "?disabletls=yes", "in clear"},
		{"pagerduty://events.ｐagerduty.com/" + testKey + "?disabletls=yes", "of ASCII"},
		{"pagerduty://events.pagerduty。com/" + testKey + "?disabletls=yes", "of ASCII"},
		{"pagerduty://events.pagerduty.c%6fm/" + testKey + "?disabletls=yes", "not a host name"},
		{"pagerduty:///" + testKey + ",", "number 2 of 2"},
		{"pagerduty:///" + testKey[1:], "and it has 31"},
		{"pagerduty:///" + testKey + "0", "and it has 33"},
		{"pagerduty:///g" + testKey[1:], "and it has others"},
		{"pagerduty:///" + testKey + "#frag", "invalid integration key"},
		{"pagerduty:///%20" + testKey, "white space"},
		{"pagerduty:///R028DIE06SNKNO6V5ACSLRV7Y0TUVG7T", "orchestration"},
		{"pagerduty:///u+abcdefghij12345_-z", "REST API key"},
		{"pagerduty://user:" + testKey + "@host/" + testKey, "user name"},
		{"pagerduty://host:0/" + testKey, `port "0": must be a number from 1 to 65535`},
		{"pagerduty://host:65536/" + testKey, `port "65536"`},
		{"pagerduty://host:/" + testKey, "port: must be a number"},
		{"pagerduty://host:+80/" + testKey, `port "+80"`},
		{"pagerduty://host:https/" + testKey, `port "https"`},
		{"pagerduty://:443/" + testKey, "host: is not a host"},
		{"pagerduty://2001:db8::5/" + testKey, "port"},
		{"pagerduty://[zz]/" + testKey, "host"},
		{"pagerduty://[::1]x/" + testKey, "only a port"},
		{"pagerduty://ho st/" + testKey, "host"},
		{"pagerduty:///" + testKey + "?severity=warnig", `severity "warnig": must be one of info, warning, error, critical, did you mean warning?`},
		{"pagerduty:///" + testKey + "?severty=info", "did you mean severity?"},
		{"pagerduty:///" + testKey + "?priority=high", `parameter "priority": is not known`},
		{"pagerduty:///" + testKey + "?action=reopen", `action "reopen": must be one of trigger, acknowledge, resolve`},
		{"pagerduty:///" + testKey + "?source=a&severity=info&Source=b", `parameter "source": stands twice`},
		{"pagerduty:///" + testKey + "?source=&source=b", "stands twice"},
		{"pagerduty:///" + testKey + "?source=" + testKey + "&severity=" + testKey, "[redacted]"},
		{"pagerduty:///" + testKey + "?" + testKey + "=1", "[redacted]"},
		{"pagerduty:///" + testKey + "?details={key:value}", "details"},
		{"pagerduty:///" + testKey + `?details=["a"]`, "object"},
		{"pagerduty:///" + testKey + "?details=hello", "details"},
		{"pagerduty:///" + testKey + "?details=a%3D1%26a%3D2", "stands twice"},
		{"pagerduty:///" + testKey + `?details={"a":1,"a":2}`, "stands twice"},
		{"pagerduty:///" + testKey + "?contexts={}", "contexts"},
		{"pagerduty:///" + testKey + "?contexts=null", "contexts"},
		{"pagerduty:///" + testKey + "?client_url=not%20a%20url", "client_url"},
		{"pagerduty:///" + testKey + "?client_url=/alerts", "client_url"},
		{"pagerduty:///" + testKey + "?client_url=ftp://example.com", "client_url"},
		{"pagerduty:///" + testKey + "?timestamp=yesterday", `timestamp "yesterday"`},
		{"pagerduty:///" + testKey + "?timestamp=2026-03-01T10:00:00", "with its zone"},
		{"pagerduty:///" + testKey + "?dedup_key=" + strings.Repeat("k", 256), "256 characters, at most 255"},
		{"pagerduty:///" + testKey + "?dedup_key=x-" + upper, "must not hold the integration key"},
		{"pagerduty:///" + testKey + "?disabletls=maybe", "must be yes or no"},
	} {
		_, err := Parse(tc.url)
		var config *ConfigError
		if !errors.As(err, &config) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("Parse(%q):\ngot  %v\nwant %q", tc.url, err, tc.want)
			continue
		}
		if text := strings.ToLower(err.Error()); strings.Contains(text, testKey[:31]) || strings.Contains(text, otherKey[:31]) || strings.Contains(text, "abcdefghij12345") || strings.Contains(text, "r028die06") {
			t.Errorf("Parse(%q): the error holds the key: %v", tc.url, err)
		}
	}
}

func TestParseTellsAllProblems(t *testing.T) {
	_, err := Parse("pagerduty://host:99999/" + testKey + "?severity=purple&action=close&detials=x")
	var config *ConfigError
	if !errors.As(err, &config) || len(config.Problems) != 4 {
		t.Fatalf("got %v, want four problems", err)
	}
}

func TestParameters(t *testing.T) {
	c := mustParse(t, "pagerduty:///"+testKey+"?SEVERITY=Critical&source=db+1%2F2&action=Acknowledge&client=95%25&component=50%&group=a;b%zz&class=disk%20full"+
		"&client_url=https://ci.example.com/job/123&dedup_key=Srv01/HTTP #4&timestamp=2026-03-01T12:00:00+02:00&title=T")
	got := []string{string(c.Severity), c.Source, string(c.Action), c.Client, c.Component, c.Group, c.Class, c.ClientURL, c.DedupKey, c.Title}
	want := []string{"critical", "db 1/2", "acknowledge", "95%", "50%", "a;b%zz", "disk full", "https://ci.example.com/job/123", "Srv01/HTTP #4", "T"}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %q, want %q", got[i], want[i])
		}
	}
	if !c.Timestamp.Equal(time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)) || !c.SourceGiven {
		t.Errorf("timestamp %v, source given %t", c.Timestamp, c.SourceGiven)
	}
}

func TestEmptyMeansUnset(t *testing.T) {
	c := mustParse(t, "pagerduty:///"+testKey+"?severity=&source=&action=&details=&contexts=&client=&dedup_key=&timestamp=&disabletls=&title&")
	if c.Severity != eventsv2.SeverityError || c.Source != "default" || c.SourceGiven || c.Action != eventsv2.Trigger || c.Details != nil || !c.Timestamp.IsZero() {
		t.Errorf("got %+v", c)
	}
	with, err := mustParse(t, "pagerduty:///"+testKey+"?source=db-1&severity=info").With(&types.Params{"source": "", "severity": " "})
	if err != nil || with.Source != "db-1" || with.Severity != eventsv2.SeverityInfo {
		t.Errorf("an empty param changed the URL's: %+v, %v", with, err)
	}
}

func TestTimestampForms(t *testing.T) {
	want := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	for _, text := range []string{
		"2026-03-01T10:00:00Z", "2026-03-01T10:00:00.000Z", "2026-03-01T12:00:00+02:00", "2026-03-01T12:00:00 02:00",
		"2026-03-01T12:00:00.000+0200", "2026-03-01T10:00Z", "2026-03-01T07:00-03", "2026-03-01T12:00:00+02",
	} {
		c := &Config{}
		var wrong problems
		if c.set("timestamp", text, &wrong); wrong.err() != nil || !c.Timestamp.Equal(want) {
			t.Errorf("%s: got %v, %v", text, c.Timestamp, wrong.err())
		}
	}
}

func TestWithOverridesAndChecks(t *testing.T) {
	base := mustParse(t, "pagerduty:///"+testKey+"?severity=info&source=db-1&client=cron")
	with, err := base.With(&types.Params{"Severity": "critical", "details": "a=1", "message": "ignored"})
	if err != nil {
		t.Fatal(err)
	}
	if with.Severity != eventsv2.SeverityCritical || with.Source != "db-1" || with.Client != "cron" || len(with.Details) != 1 {
		t.Errorf("got %+v", with)
	}
	if base.Severity != eventsv2.SeverityInfo || base.Details != nil {
		t.Errorf("the params of one message changed the URL's: %+v", base)
	}
	for _, tc := range []struct {
		params types.Params
		want   string
	}{
		{types.Params{"severity": "bad", "action": "worse"}, `action "worse": must be one of trigger, acknowledge, resolve; severity "bad"`},
		{types.Params{"source": "a", "Source": "b"}, "stands twice"},
		{types.Params{"level": "loud"}, "level \"loud\": must be one of debug"},
		{types.Params{"dedup_key": testKey}, "must not hold the integration key"},
		{types.Params{"disabletls": "yes"}, "belongs into the URL"},
		{types.Params{"sevrity": "info"}, "did you mean severity?"},
	} {
		if _, err := base.With(&tc.params); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: got %v, want %q", tc.params, err, tc.want)
		}
	}
}

func TestLevelIsSeverityUnlessGiven(t *testing.T) {
	base := mustParse(t, "pagerduty:///"+testKey)
	for _, tc := range []struct {
		params types.Params
		want   eventsv2.Severity
	}{
		{types.Params{"level": "Debug"}, eventsv2.SeverityInfo},
		{types.Params{"level": "warning"}, eventsv2.SeverityWarning},
		{types.Params{"level": "Error", "severity": "critical"}, eventsv2.SeverityCritical},
		{types.Params{"level": "Unknown"}, eventsv2.SeverityError},
		{types.Params{"Level": "info"}, eventsv2.SeverityInfo},
		{types.Params{"level": ""}, eventsv2.SeverityError},
	} {
		with, err := base.With(&tc.params)
		if err != nil || with.Severity != tc.want {
			t.Errorf("%v: got %v, %v, want %v", tc.params, with.Severity, err, tc.want)
		}
	}
}

func TestContexts(t *testing.T) {
	c := mustParse(t, "pagerduty:///"+testKey+`?contexts=[{"type":"Link","href":"https://a","text":"A"},{"type":"image","src":"https://i/x.png","href":"https://d","text":"I"},{"type":"image","src":"HTTPS://i/y.png","alt":"Y","text":null}]`)
	if len(c.Links) != 1 || c.Links[0] != (eventsv2.Link{Href: "https://a", Text: "A"}) {
		t.Errorf("links %+v", c.Links)
	}
	if len(c.Images) != 2 || c.Images[0] != (eventsv2.Image{Src: "https://i/x.png", Href: "https://d", Alt: "I"}) || c.Images[1].Alt != "Y" {
		t.Errorf("images %+v", c.Images)
	}
	for _, tc := range []struct{ contexts, want string }{
		{`[{"href":"https://a"}]`, `[0] has no type: it must be "link" or "image"`},
		{`[{"type":"link","href":"https://a"},{"type":"link"}]`, "[1] is a link without href"},
		{`[{"type":"image","src":" ","href":"https://a"}]`, "without src"},
		{`[{"type":"image"}]`, "https"},
		{`[{"type":"lnik","href":"https://a"}]`, "did you mean link?"},
		{`[{"type":"link","herf":"https://a"}]`, "without href"},
		{`[{"type":5,"href":"https://a"}]`, "no text"},
		{`video:https://a`, `[0] has the type "video"`},
		{`link:`, "without href"},
		{`link,text:a`, "must be a JSON array"},
		{`[{"type":"link","href":5}]`, "no text"},
		{`[7]`, "[0] must be a JSON object"},
		{`[{"type":"link","type":"link","href":"x"}]`, "stands twice"},
		{`{"type":"link"}`, "must be a JSON array"},
		{`[`, "must be a JSON array"},
	} {
		if _, err := Parse("pagerduty:///" + testKey + "?contexts=" + tc.contexts); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.contexts, err, tc.want)
		}
	}
}

// What upstream takes, or what PagerDuty would merely not show, is no reason to lose
// a page: it is sent as well as it can be, with a warning.
func TestContextsThatAreTakenWithAWarning(t *testing.T) {
	for _, tc := range []struct {
		contexts      string
		links, images int
		want          string // of all links and images
		warnings      []string
	}{
		{"link:https://a/?x=1,2, text:Runbook,image:https://i/x.png", 1, 1, "[{https://a/?x=1,2 Runbook}] [{https://i/x.png  }]", []string{"old"}},
		{"image:http://i/x.png,text:Graph,,Link:https://a", 2, 0, "[{http://i/x.png Graph} {https://a }] []", []string{"old", "served by http"}},
		{`[{"type":"image","src":"http://i/x.png","href":"https://d","text":"I"}]`, 2, 0, "[{http://i/x.png I} {https://d }] []", []string{"[0] is an image that is served by http"}},
		{`[{"type":"link","href":"https://a"},{"type":"image","src":"x.png"}]`, 1, 0, "[{https://a }] []", []string{"[1] is an image whose src is no https URL: it is left out"}},
		{`[{"type":"link","href":"https://a","txet":"A","width":5}]`, 1, 0, "[{https://a }] []", []string{"did you mean text?", `"width"`}},
	} {
		c, err := Parse("pagerduty:///" + testKey + "?contexts=" + url.QueryEscape(tc.contexts))
		if err != nil {
			t.Errorf("%s: %v", tc.contexts, err)
			continue
		}
		if got := fmt.Sprint(c.Links, c.Images); len(c.Links) != tc.links || len(c.Images) != tc.images || got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.contexts, got, tc.want)
		}
		if len(c.Warnings) != len(tc.warnings) {
			t.Errorf("%s: warnings %q", tc.contexts, c.Warnings)
			continue
		}
		for i, want := range tc.warnings {
			if !strings.HasPrefix(c.Warnings[i], "contexts") || !strings.Contains(c.Warnings[i], want) {
				t.Errorf("%s: warning %q, want %q", tc.contexts, c.Warnings[i], want)
			}
		}
	}
	// The warnings of one message stay with it.
	base := mustParse(t, "pagerduty:///"+testKey+","+testKey)
	for range 2 {
		with, err := base.With(&types.Params{"contexts": "link:https://a"})
		if err != nil || len(with.Warnings) != 2 || len(base.Warnings) != 1 {
			t.Errorf("%v, %q, %q", err, with.Warnings, base.Warnings)
		}
	}
}

// A key that is named twice is one key.
func TestAKeyNamedTwiceIsOne(t *testing.T) {
	c := mustParse(t, "pagerduty:///"+testKey+","+otherKey+","+strings.ToUpper(testKey))
	if len(c.Keys) != 2 || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "number 3 of 3 is named twice") || strings.Contains(strings.ToLower(c.Warnings[0]), testKey) {
		t.Errorf("%d keys, %q", len(c.Keys), c.Warnings)
	}
}

// A Config that was made by hand gets the defaults, or an error that says what is
// wrong. It never panics, and never leaves as an event that PagerDuty refuses.
func TestConfigMadeByHand(t *testing.T) {
	key, err := eventsv2.ParseKey(testKey)
	if err != nil {
		t.Fatal(err)
	}
	keys := []eventsv2.Key{key}
	to := &server{}
	s := New(&Config{Keys: keys}, Options{SenderOptions: types.SenderOptions{HTTPClient: to}})
	if _, err := s.Deliver(t.Context(), "m", nil); err != nil || len(to.bodies) != 1 || to.hosts[0] != DefaultHost {
		t.Fatalf("%v, %v", err, to.hosts)
	}
	for path, want := range map[string]string{"source": "default", "severity": "error"} {
		if got := get(t, to.bodies[0], "payload", path); got != want {
			t.Errorf("%s is %q", path, got)
		}
	}
	if got := get(t, to.bodies[0], "event_action"); got != "trigger" {
		t.Errorf("event_action is %q", got)
	}
	named := New(&Config{Keys: keys, Source: "db-1"}, Options{})
	if !named.Config().SourceGiven {
		t.Error("a source set by hand counts as none")
	}
	for want, c := range map[string]*Config{
		"invalid integration key": {},
		"key: it is missing":      {Keys: []eventsv2.Key{{}}},
		"severity":                {Keys: keys, Severity: "loud"},
		"event_action":            {Keys: keys, Action: "reopen"},
		"links[0].href":           {Keys: keys, Links: []eventsv2.Link{{}}},
		"images[0].src":           {Keys: keys, Images: []eventsv2.Image{{Src: "http://x"}}},
		"at most 255":             {Keys: keys, DedupKey: strings.Repeat("k", 256)},
		"must not hold":           {Keys: keys, DedupKey: testKey},
		"host":                    {Keys: keys, Host: "a b"},
		"port":                    {Keys: keys, Port: 70_000},
		"disabletls":              {Keys: keys, DisableTLS: true},
	} {
		_, err := New(c, Options{SenderOptions: types.SenderOptions{HTTPClient: to}}).Deliver(t.Context(), "m", nil)
		var config *ConfigError
		if !errors.As(err, &config) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), testKey) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := New(nil, Options{}).Deliver(t.Context(), "m", nil); !errors.Is(err, ErrNotInitialized) {
		t.Errorf("no config: %v", err)
	}
	if len(to.bodies) != 1 {
		t.Errorf("%d events left", len(to.bodies))
	}
}

// What a caller does to the configuration that a service gives out, or was made of,
// does not reach the service.
func TestConfigIsACopy(t *testing.T) {
	c := mustParse(t, testURL+"?severity=info")
	s := New(c, Options{})
	c.Severity, s.Config().Severity, s.Config().Keys[0] = "critical", "critical", eventsv2.Key{}
	p, err := s.Prepare("m", nil, ledgerStart)
	if err != nil || p.Event.Payload.Severity != "info" || get(t, string(p.Body), "payload", "severity") != "info" {
		t.Errorf("%v: event %+v, body %s", err, p.Event, p.Body)
	}
}

// What a URL says, the URL made of its configuration says again.
func TestURLRoundTrip(t *testing.T) {
	for _, rawURL := range []string{
		"pagerduty:///" + testKey,
		"pagerduty:///" + testKey + "?source=default",
		"pagerduty://relay:8686/" + testKey + "," + otherKey + "?disabletls=yes",
		"pagerduty://[::1]:99/" + testKey + `?severity=info&details={"a":"&;#+% ü","n":1.50}&source=x y&timestamp=2026-03-01T10:00:00Z`,
		"pagerduty:///" + testKey + `?contexts=[{"type":"link","href":"https://a?b=c&d"},{"type":"image","src":"https://i","text":"t"}]&title=T&class=c&action=resolve&dedup_key=k`,
	} {
		first := mustParse(t, rawURL).URL()
		if second := mustParse(t, first).URL(); first != second {
			t.Errorf("%s\nbecame %s\nand    %s", rawURL, first, second)
		}
		if was, is := mustParse(t, rawURL).SourceGiven, mustParse(t, first).SourceGiven; was != is {
			t.Errorf("%s: source given %t became %t", rawURL, was, is)
		}
	}
}

func FuzzURL(f *testing.F) {
	for _, seed := range []string{
		"pagerduty:///" + testKey, "pagerduty://h:1/" + testKey + "?a=b&c", "pagerduty://[::1]/" + testKey + "?details={\"a\":\"&#%\"}&source=x",
		"pagerduty:///" + testKey + "?details=%7B%22a%22:1%7D&contexts=[]", "pagerduty:///" + testKey + "?timestamp=2026-03-01T12:00:00 02:00",
		"pagerduty://" + testKey, "pagerduty:///" + testKey + "?details=a=1&details={", "pagerduty:///k?source=%", "://", "pagerduty://@/?=&&=",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, rawURL string) {
		c, err := Parse(rawURL)
		if err != nil {
			if strings.Contains(strings.ToLower(err.Error()), testKey) {
				t.Fatalf("the key stands in %v", err)
			}
			return
		}
		again, err := Parse(c.URL())
		if err != nil || again.URL() != c.URL() {
			t.Fatalf("%q became %q, which is %v", rawURL, c.URL(), err)
		}
		ev := c.event(0)
		ev.DedupKey, ev.Payload.Summary = "d", "s"
		if err := ev.Validate(); err != nil {
			t.Fatalf("%q makes an event that is refused: %v", rawURL, err)
		}
	})
}

func FuzzContexts(f *testing.F) {
	for _, seed := range []string{
		`[]`, `[{"type":"link","href":"https://a","text":"t"}]`, `[{"type":"image","src":"https://a"}]`, `[{"type":null}]`, `[null]`,
		`[{"type":"image","src":"https:"}]`, `link:https://a,text:b,image:http://c`, `a,b:c`, `link:,`, `%5B%5D`, `[[]]`, `{"type":"link"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		c := &Config{}
		var wrong problems
		c.set("contexts", value, &wrong)
		if wrong.err() != nil {
			return
		}
		again := &Config{}
		again.set("contexts", getContexts(c), &wrong)
		if wrong.err() != nil || getContexts(again) != getContexts(c) {
			t.Fatalf("%q became %q, then %q, %v", value, getContexts(c), getContexts(again), wrong.err())
		}
	})
}
