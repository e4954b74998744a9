package eventsv2

// repairCases are bodies, what is stored of them, and what is told. … stands for
// the beginning of a trigger, KEY for its key, PAYLOAD for a valid payload, NOW for
// the time of arrival; what each event has is left out of the second text.
var repairCases = []struct {
	name, body, want string
	lines            []string
}{
	// Nothing to repair.
	{
		"valid", `…"payload":"PAYLOAD"`,
		`"PAYLOAD"`,
		nil,
	},
	{
		"valid, all members", `…"client":"c","client_url":"https://e.com","links":[{"href":"https://e.com/l","text":"t"}],"images":[{"src":"https://e.com/i","href":"https://e.com","alt":"a"}],"payload":{"summary":"two\nlines","source":"o","severity":"error","timestamp":"2015-07-17T08:42:58.315+0000","component":"x","group":"g","class":"k","custom_details":{"n":1.50,"o":{"a":[1,null]}}}`,
		`"client":"c","client_url":"https://e.com","links":[{"href":"https://e.com/l","text":"t"}],"images":[{"src":"https://e.com/i","href":"https://e.com","alt":"a"}],"payload":{"source":"o","severity":"error","component":"x","group":"g","class":"k","summary":"two\nlines","timestamp":"2015-07-17T08:42:58.315Z","custom_details":{"n":1.50,"o":{"a":[1,null]}}}`,
		nil,
	},
	{
		"no timestamp", `…"payload":{"summary":"s","source":"o","severity":"info"}`,
		`"payload":{"source":"o","severity":"info","summary":"s",NOW}`,
		nil,
	},
	{
		"no dedup key", `{"routing_key":"KEY","event_action":"trigger","payload":"PAYLOAD"}`,
		`"PAYLOAD","dedup_key":"made"}`,
		nil,
	},
	{
		"blank dedup key", `{"routing_key":"KEY","event_action":"trigger","dedup_key":" ","payload":"PAYLOAD"}`,
		`"PAYLOAD","dedup_key":"made"}`,
		nil,
	},
	{
		"empty members", `…"client":"","client_url":null,"links":[],"images":null,"event_type":"","description":"","contexts":null,"details":{},"agent":{"queued_by":"pd-send"},"payload":"PAYLOAD"`,
		`"PAYLOAD"`,
		nil,
	},
	{
		"empty payload of an acknowledge", `{"routing_key":"KEY","event_action":"acknowledge","dedup_key":"d","payload":{"summary":"","source":"","severity":""}}`,
		`{"event_action":"acknowledge"`,
		nil,
	},
	{
		"resolve without payload", `{"routing_key":"KEY","event_action":"resolve","dedup_key":"d"}`,
		`{"event_action":"resolve"`,
		nil,
	},

	// Names, actions and keys.
	{
		"action in capitals", `{"routing_key":"KEY","event_action":" Resolve","dedup_key":"d"}`,
		`{"event_action":"resolve"`,
		[]string{`event_action " Resolve" became resolve`},
	},
	{
		"key with a line end", `{"routing_key":"KEY\n","event_action":"trigger","dedup_key":"d","payload":"PAYLOAD"}`,
		`"PAYLOAD"`,
		[]string{`routing_key had white space around it`},
	},
	{
		"names in another style", `{"routingKey":"KEY","Event-Action":"trigger","dedupKey":"d","payload":{"Summary":"s","source":"o","severity":"info","customDetails":{"a":1}}}`,
		`"payload":{"source":"o","severity":"info","summary":"s",NOW,"custom_details":{"a":1}}`,
		[]string{`"routingKey" was read as routing_key`, `"Event-Action" was read as event_action`, `"dedupKey" was read as dedup_key`, `payload.Summary was read as summary`, `payload.customDetails was read as custom_details`},
	},
	{
		"Events API v1", `{"service_key":"KEY","event_type":"trigger","incident_key":"d","description":"Disk full","client":"c","details":{"used":"99%"},"contexts":[{"type":"link","href":"https://e.com","text":"t"},{"type":"image","src":"https://e.com/i","href":"https://e.com","alt":"a"}]}`,
		`"client":"c","links":[{"href":"https://e.com","text":"t"}],"images":[{"src":"https://e.com/i","href":"https://e.com","alt":"a"}],"payload":{"source":"c","severity":"error","summary":"Disk full",NOW,"custom_details":{"used":"99%"}}`,
		[]string{`details became payload.custom_details`, `contexts[0] became a link`, `contexts[1] became an image`, `service_key was read as routing_key`, `event_type was read as event_action`, `incident_key was read as dedup_key`, `description was read as payload.summary`, `payload.source was missing: "c" stands for it`, `payload.severity was missing: error stands for it`},
	},
	{
		"old forks", `…"payload":"PAYLOAD","details":"text","contexts":[{"type":"image","src":"https://e.com/i","text":"t"},{"type":"note","x":1}]`,
		`"images":[{"src":"https://e.com/i","alt":"t"}],"payload":{"source":"o","severity":"info","summary":"s","timestamp":"2026-01-02T03:04:05.000Z","custom_details":"text\ncontexts_1: {\"type\":\"note\",\"x\":1}"}`,
		[]string{`details became payload.custom_details`, `contexts[0] became an image`, `contexts[0]: text became alt`, `contexts[1] is neither a link nor an image: it stands in custom_details`},
	},
	{
		"incident_key beside a dedup key", `…"payload":"PAYLOAD","incident_key":"i"`,
		`"payload":{"source":"o","severity":"info","summary":"s","timestamp":"2026-01-02T03:04:05.000Z","custom_details":{"incident_key":"i"}}`,
		[]string{`incident_key is no member of an event: it stands in custom_details`},
	},
	{
		"description beside a summary", `…"payload":"PAYLOAD","description":"more"`,
		`"payload":{"source":"o","severity":"info","summary":"s","timestamp":"2026-01-02T03:04:05.000Z","custom_details":{"description":"more"}}`,
		[]string{`description is no member of an event: it stands in custom_details`},
	},
	{
		"repeated members", `…"client":"a","client":"b","payload":{"summary":"x","summary":"s","source":"o","severity":"info"}`,
		`"client":"b","payload":{"source":"o","severity":"info","summary":"s",NOW,"custom_details":{"client":"a","summary":"x"}}`,
		[]string{`client stood twice: the last one counts, the other stands in custom_details`, `payload.summary stood twice: the last one counts, the other stands in custom_details`},
	},
	{
		"repeated and blank", `…"client":"a","client":"","client":null,"client":"a","payload":"PAYLOAD"`,
		`"client":"a","PAYLOAD"`,
		nil,
	},
	{
		"a name that is a piece of the key", `…"0123456789ab":1,"payload":"PAYLOAD"`,
		`"payload":{"source":"o","severity":"info","summary":"s","timestamp":"2026-01-02T03:04:05.000Z","custom_details":{"0123456789ab":1}}`,
		[]string{`"key-3eb1bd439947eb76" is no member of an event: it stands in custom_details`},
	},
	{
		"repeated action", `{"routing_key":"KEY","event_action":"resolve","event_action":"trigger","dedup_key":"d","payload":"PAYLOAD"}`,
		`"PAYLOAD"`,
		[]string{`event_action stood twice: the last one counts`},
	},
	{
		"unknown members", `…"payload":{"summary":"s","source":"o","severity":"info","runbook":"https://e.com","custom_details":{"team":"a"}},"team":"b","empty":{}`,
		`"payload":{"source":"o","severity":"info","summary":"s",NOW,"custom_details":{"team":"a","runbook":"https://e.com","team_2":"b"}}`,
		[]string{`"runbook" is no member of an event: it stands in custom_details`, `"team" is no member of an event: it stands in custom_details`},
	},
	{
		"secrets that PagerDuty would drop", `…"payload":"PAYLOAD","api_key":"hush","Authorization":"hush"`,
		`"PAYLOAD"`,
		[]string{`"api_key" is no member of an event and looks like a secret: it was left out`, `"Authorization" is no member of an event and looks like a secret: it was left out`},
	},
	{
		"dedup key of numbers", `{"routing_key":"KEY","event_action":"resolve","dedup_key":12345}`,
		`{"event_action":"resolve","dedup_key":"12345"}`,
		[]string{`dedup_key was no text`},
	},
	{
		"dedup key with the key in it", `{"routing_key":"KEY","event_action":"trigger","dedup_key":"x-KEY","payload":"PAYLOAD"}`,
		`"PAYLOAD","dedup_key":"0dcc3b2402fc88ab63829569ed7eaedb00e27bc956d6fdfd35a1d331e655424b"}`,
		[]string{`dedup_key held the integration key: its SHA-256 stands for it`},
	},
	{
		"the key in other places", `…"client":"KEY","payload":{"summary":"KEY failed","source":"o","severity":"info","custom_details":{"KEY":1,"url":"https://x/KEY?a","n":[{"KEY":2}]}}`,
		`"client":"key-3eb1bd439947eb76","payload":{"source":"o","severity":"info","summary":"key-3eb1bd439947eb76 failed",NOW,"custom_details":{"key-3eb1bd439947eb76":1,"url":"https://x/key-3eb1bd439947eb76?a","n":[{"key-3eb1bd439947eb76":2}]}}`,
		[]string{`the integration key stood in other places as well: its fingerprint stands there`},
	},

	// Severities.
	{
		"CRIT", `…"payload":{"summary":"s","source":"o","severity":"CRIT"}`,
		`"payload":{"source":"o","severity":"critical","summary":"s",NOW}`,
		[]string{`payload.severity "CRIT" became critical`},
	},
	{
		"capital and spaces", `…"payload":{"summary":"s","source":"o","severity":" Critical "}`,
		`"payload":{"source":"o","severity":"critical","summary":"s",NOW}`,
		[]string{`payload.severity " Critical " became critical`},
	},
	{
		"SEV-1", `…"payload":{"summary":"s","source":"o","severity":"SEV-1"}`,
		`"payload":{"source":"o","severity":"critical","summary":"s",NOW}`,
		[]string{`payload.severity "SEV-1" became critical`},
	},
	{
		"none, of Prometheus", `…"payload":{"summary":"s","source":"o","severity":"none"}`,
		`"payload":{"source":"o","severity":"info","summary":"s",NOW}`,
		[]string{`payload.severity "none" became info`},
	},
	{
		"a number", `…"payload":{"summary":"s","source":"o","severity":3}`,
		`"payload":{"source":"o","severity":"error","summary":"s",NOW}`,
		[]string{`payload.severity was no text`, `payload.severity "3" became error`},
	},
	{
		"an empty template", `…"payload":{"summary":"s","source":"o","severity":""}`,
		`"payload":{"source":"o","severity":"error","summary":"s",NOW}`,
		[]string{`payload.severity was missing: error stands for it`},
	},
	{
		"a broken template", `…"payload":{"summary":"s","source":"o","severity":"<no value>"}`,
		`"payload":{"source":"o","severity":"error","summary":"s",NOW}`,
		[]string{`payload.severity "<no value>" became error`},
	},
	{
		"null", `…"payload":{"summary":"s","source":"o","severity":null}`,
		`"payload":{"source":"o","severity":"error","summary":"s",NOW}`,
		[]string{`payload.severity was missing: error stands for it`},
	},
	{
		"missing, in a resolve", `{"routing_key":"KEY","event_action":"resolve","dedup_key":"d","payload":{"summary":"s"}}`,
		`{"event_action":"resolve","payload":{"source":"unknown source","severity":"error","summary":"s",NOW}`,
		[]string{`payload.source was missing: "unknown source" stands for it`, `payload.severity was missing: error stands for it`},
	},

	// Summaries and sources.
	{
		"empty source", `…"payload":{"summary":"s","source":"","severity":"info"}`,
		`"payload":{"source":"unknown source","severity":"info","summary":"s",NOW}`,
		[]string{`payload.source was missing: "unknown source" stands for it`},
	},
	{
		"source from the details", `…"payload":{"summary":"s","severity":"info","custom_details":{"hostname":"db-1"}}`,
		`"payload":{"source":"db-1","severity":"info","summary":"s",NOW,"custom_details":{"hostname":"db-1"}}`,
		[]string{`payload.source was missing: "db-1" stands for it`},
	},
	{
		"source from the client", `…"client":"c","payload":{"summary":"s","severity":"info"}`,
		`"client":"c","payload":{"source":"c","severity":"info","summary":"s",NOW}`,
		[]string{`payload.source was missing: "c" stands for it`},
	},
	{
		"source is a number", `…"payload":{"summary":"s","source":10,"severity":"info"}`,
		`"payload":{"source":"10","severity":"info","summary":"s",NOW}`,
		[]string{`payload.source was no text`},
	},
	{
		"summary is true", `…"payload":{"summary":true,"source":"o","severity":"info"}`,
		`"payload":{"source":"o","severity":"info","summary":"true",NOW}`,
		[]string{`payload.summary was no text`},
	},
	{
		"summary is an object", `…"payload":{"summary":{"a":1},"source":"o","severity":"info"}`,
		`"payload":{"source":"o","severity":"info","summary":"{\"a\":1}",NOW}`,
		[]string{`payload.summary was no text`},
	},
	{
		"empty summary", `…"payload":{"summary":" ","source":"db-1","severity":"info","class":"disk full"}`,
		`"payload":{"source":"db-1","severity":"info","class":"disk full","summary":"disk full on db-1",NOW}`,
		[]string{`payload.summary was missing: "disk full on db-1" stands for it`},
	},
	{
		"summary from the details", `…"payload":{"source":"db-1","severity":"info","custom_details":{"alertname":"DiskFull"}}`,
		`"payload":{"source":"db-1","severity":"info","summary":"DiskFull on db-1",NOW,"custom_details":{"alertname":"DiskFull"}}`,
		[]string{`payload.summary was missing: "DiskFull on db-1" stands for it`},
	},
	{
		"summary from the source", `…"payload":{"source":"db-1","severity":"info"}`,
		`"payload":{"source":"db-1","severity":"info","summary":"db-1",NOW}`,
		[]string{`payload.summary was missing: "db-1" stands for it`},
	},
	{
		"summary from the dedup key", `…"payload":{"severity":"info"}`,
		`"payload":{"source":"unknown source","severity":"info","summary":"d",NOW}`,
		[]string{`payload.summary was missing: "d" stands for it`, `payload.source was missing: "unknown source" stands for it`},
	},
	{
		"no payload", `{"routing_key":"KEY","event_action":"trigger"}`,
		`"payload":{"source":"unknown source","severity":"error","summary":"event without a summary",NOW},"dedup_key":"made"}`,
		[]string{`payload.summary was missing: "event without a summary" stands for it`, `payload.source was missing: "unknown source" stands for it`, `payload.severity was missing: error stands for it`},
	},
	{
		"payload is null", `…"payload":null`,
		`"payload":{"source":"unknown source","severity":"error","summary":"d",NOW}`,
		[]string{`payload.summary was missing: "d" stands for it`, `payload.source was missing: "unknown source" stands for it`, `payload.severity was missing: error stands for it`},
	},
	{
		"payload is a text", `…"payload":"Disk full"`,
		`"payload":{"source":"unknown source","severity":"error","summary":"Disk full",NOW}`,
		[]string{`payload was a text: it became payload.summary`, `payload.source was missing: "unknown source" stands for it`, `payload.severity was missing: error stands for it`},
	},
	{
		"payload is a list", `…"payload":[1]`,
		`"payload":{"source":"unknown source","severity":"error","summary":"d",NOW,"custom_details":{"payload":[1]}}`,
		[]string{`payload was no object: it stands in custom_details`, `payload.summary was missing: "d" stands for it`, `payload.source was missing: "unknown source" stands for it`, `payload.severity was missing: error stands for it`},
	},
	{
		"payload is the only one of a list", `…"payload":[{"summary":"s","source":"o","severity":"critical","custom_details":{"a":[1]}},]`,
		`"payload":{"source":"o","severity":"critical","summary":"s",NOW,"custom_details":{"a":[1]}}`,
		[]string{`payload was a list: its only element was read`, `there was a comma too many`},
	},
	{
		"payload is a text in a list", `…"payload":["Disk full"]`,
		`"payload":{"source":"unknown source","severity":"error","summary":"Disk full",NOW}`,
		[]string{`payload was a text: it became payload.summary`, `payload was a list: its only element was read`, `payload.source was missing: "unknown source" stands for it`, `payload.severity was missing: error stands for it`},
	},
	{
		"payload is one of two", `…"payload":[{"summary":"s","severity":"critical"},{"summary":"t"}]`,
		`"payload":{"source":"unknown source","severity":"error","summary":"d",NOW,"custom_details":{"payload":[{"summary":"s","severity":"critical"},{"summary":"t"}]}}`,
		[]string{`payload was no object: it stands in custom_details`, `payload.summary was missing: "d" stands for it`, `payload.source was missing: "unknown source" stands for it`, `payload.severity was missing: error stands for it`},
	},
	{
		"payload is in two lists", `…"payload":[[{"summary":"s"}]]`,
		`"payload":{"source":"unknown source","severity":"error","summary":"d",NOW,"custom_details":{"payload":[[{"summary":"s"}]]}}`,
		[]string{`payload was no object: it stands in custom_details`, `payload.summary was missing: "d" stands for it`, `payload.source was missing: "unknown source" stands for it`, `payload.severity was missing: error stands for it`},
	},
	{
		"colours of a terminal", `…"payload":{"summary":"\u001b[31mred","source":"o","severity":"info","custom_details":{"log":"\u001b[31mred"}}`,
		`"payload":{"source":"o","severity":"info","summary":"red",NOW,"custom_details":{"log":"red"}}`,
		[]string{`control characters were dropped`},
	},

	// Details.
	{
		"a text", `…"payload":{"summary":"s","source":"o","severity":"info","custom_details":"text"}`,
		`"payload":{"source":"o","severity":"info","summary":"s",NOW,"custom_details":"text"}`,
		nil,
	},
	{
		"a list", `…"payload":{"summary":"s","source":"o","severity":"info","custom_details":[1,"a"]}`,
		`"payload":{"source":"o","severity":"info","summary":"s",NOW,"custom_details":{"details":[1,"a"]}}`,
		[]string{`payload.custom_details was no object`},
	},
	{
		"a number", `…"payload":{"summary":"s","source":"o","severity":"info","custom_details":7}`,
		`"payload":{"source":"o","severity":"info","summary":"s",NOW,"custom_details":{"details":7}}`,
		[]string{`payload.custom_details was no object`},
	},
	{
		"null", `…"payload":{"summary":"s","source":"o","severity":"info","custom_details":null}`,
		`"payload":{"source":"o","severity":"info","summary":"s",NOW}`,
		nil,
	},
	{
		"names that stand twice", `…"payload":{"summary":"s","source":"o","severity":"info","custom_details":{"a":1,"a":2,"a_2":3,"o":{"b":1,"b":2}}}`,
		`"payload":{"source":"o","severity":"info","summary":"s",NOW,"custom_details":{"a":1,"a_2":2,"a_2_2":3,"o":{"b":1,"b_2":2}}}`,
		[]string{`names that stood twice were numbered`},
	},
	{
		"relay_repairs is taken", `…"payload":{"summary":"s","source":"o","severity":"WARN","custom_details":{"relay_repairs":"x"}}`,
		`{"event_action":"trigger","payload":{"source":"o","severity":"warning","summary":"s","timestamp":"2026-11-24T10:00:00.000Z","custom_details":{"relay_repairs_2":"payload.severity \"WARN\" became warning","relay_repairs":"x"}},"dedup_key":"d"}`,
		[]string{`payload.severity "WARN" became warning`},
	},
	{
		"two kinds of details", `…"details":{"a":1},"payload":{"summary":"s","source":"o","severity":"info","custom_details":{"a":2}}`,
		`"payload":{"source":"o","severity":"info","summary":"s",NOW,"custom_details":{"a":1,"a_2":2}}`,
		[]string{`details became payload.custom_details`, `names that stood twice were numbered`},
	},

	// Links and images.
	{
		"client_url is no URL", `…"client_url":"see wiki","payload":"PAYLOAD"`,
		`"payload":{"source":"o","severity":"info","summary":"s","timestamp":"2026-01-02T03:04:05.000Z","custom_details":{"client_url":"see wiki"}}`,
		[]string{`client_url was no URL: it stands in custom_details`},
	},
	{
		"links without href", `…"links":[{"text":"runbook"},{"href":"","text":""},{},null,{"href":"https://e.com"}],"payload":"PAYLOAD"`,
		`"links":[{"href":"https://e.com"}],"payload":{"source":"o","severity":"info","summary":"s","timestamp":"2026-01-02T03:04:05.000Z","custom_details":{"links_0":{"text":"runbook"}}}`,
		[]string{`links[0] had no usable href: it stands in custom_details`, `links[1] was blank: it was left out`},
	},
	{
		"link that is no URL", `…"links":[{"href":"wiki/page","text":"t"}],"payload":"PAYLOAD"`,
		`"payload":{"source":"o","severity":"info","summary":"s","timestamp":"2026-01-02T03:04:05.000Z","custom_details":{"links_0":{"href":"wiki/page","text":"t"}}}`,
		[]string{`links[0] had no usable href: it stands in custom_details`},
	},
	{
		"link that is a text", `…"links":["https://e.com"],"payload":"PAYLOAD"`,
		`"links":[{"href":"https://e.com"}],"PAYLOAD"`,
		[]string{`links[0] was no object`},
	},
	{
		"link outside a list", `…"links":{"href":"https://e.com"},"payload":"PAYLOAD"`,
		`"links":[{"href":"https://e.com"}],"PAYLOAD"`,
		[]string{`links was no list`},
	},
	{
		"link with more than a link has", `…"links":[{"href":"https://e.com","rel":"x"}],"payload":"PAYLOAD"`,
		`"links":[{"href":"https://e.com"}],"payload":{"source":"o","severity":"info","summary":"s","timestamp":"2026-01-02T03:04:05.000Z","custom_details":{"links_0":{"href":"https://e.com","rel":"x"}}}`,
		[]string{`links[0] has parts that PagerDuty would drop: the whole stands in custom_details`},
	},
	{
		"links that are a number", `…"links":7,"payload":"PAYLOAD"`,
		`"payload":{"source":"o","severity":"info","summary":"s","timestamp":"2026-01-02T03:04:05.000Z","custom_details":{"links_0":7}}`,
		[]string{`links was no list`, `links[0] had no usable href: it stands in custom_details`},
	},
	{
		"images without src", `…"images":[{"src":"","alt":"graph"},{"href":"https://e.com"}],"payload":"PAYLOAD"`,
		`"payload":{"source":"o","severity":"info","summary":"s","timestamp":"2026-01-02T03:04:05.000Z","custom_details":{"images_0":{"src":"","alt":"graph"},"images_1":{"href":"https://e.com"}}}`,
		[]string{`images[0] had no usable src: it stands in custom_details`, `images[1] had no usable src: it stands in custom_details`},
	},
	{
		"image that is a text", `…"images":["https://e.com/i"],"payload":"PAYLOAD"`,
		`"images":[{"src":"https://e.com/i"}],"PAYLOAD"`,
		[]string{`images[0] was no object`},
	},
	{
		"image by http", `…"images":[{"src":"http://e.com/i","alt":"graph"}],"payload":"PAYLOAD"`,
		`"links":[{"href":"http://e.com/i","text":"graph"}],"PAYLOAD"`,
		[]string{`images[0] was not served by https: it became a link`},
	},
	{
		"image with text", `…"images":[{"src":"https://e.com/i","text":"graph"}],"payload":"PAYLOAD"`,
		`"images":[{"src":"https://e.com/i","alt":"graph"}],"PAYLOAD"`,
		[]string{`images[0]: text became alt`},
	},
	{
		"image whose href is none", `…"images":[{"src":"https://e.com/i","href":"x"}],"payload":"PAYLOAD"`,
		`"images":[{"src":"https://e.com/i"}],"payload":{"source":"o","severity":"info","summary":"s","timestamp":"2026-01-02T03:04:05.000Z","custom_details":{"images_0":{"src":"https://e.com/i","href":"x"}}}`,
		[]string{`images[0] has parts that PagerDuty would drop: the whole stands in custom_details`},
	},

	// JSON as people write it.
	{
		"white space", "{ \"routing_key\" : \"KEY\" , \"event_action\" : \"trigger\",\t\"dedup_key\":\"d\", \"payload\" : { \"summary\":\"s\",\"source\":\"o\", \"severity\":\"info\",\"timestamp\":\"2026-01-02T03:04:05.000Z\",\"custom_details\":{ \"a\" : [ 1 , 2 ] } } } ",
		`"payload":{"source":"o","severity":"info","summary":"s","timestamp":"2026-01-02T03:04:05.000Z","custom_details":{"a":[1,2]}}`,
		nil,
	},
	{
		"a comma too many", `…"payload":{"summary":"s","source":"o","severity":"info","custom_details":{"a":[1,2,],},},`,
		`"payload":{"source":"o","severity":"info","summary":"s",NOW,"custom_details":{"a":[1,2]}}`,
		[]string{`there was a comma too many`},
	},
	{
		"Python's numbers", `…"payload":{"summary":"s","source":"o","severity":"info","custom_details":{"a":NaN,"b":-Infinity,"c":007,"d":.5}}`,
		`"payload":{"source":"o","severity":"info","summary":"s",NOW,"custom_details":{"a":"NaN","b":"-Infinity","c":"007","d":".5"}}`,
		[]string{`what JSON does not know as a number became a text`},
	},
	{
		"a Windows path", `…"payload":{"summary":"C:\Windows","source":"o","severity":"info","custom_details":{"a":"\u00e4\ud83d\ude00\q"}}`,
		`"payload":{"source":"o","severity":"info","summary":"C:\\Windows",NOW,"custom_details":{"a":"ä😀\\q"}}`,
		[]string{`a backslash that begins no escape stands for itself`},
	},
	{
		"halves and zeros", `…"payload":{"summary":"\ud83d","source":"o","severity":"info","custom_details":{"a":"x\u0000"}}`,
		"\"payload\":{\"source\":\"o\",\"severity\":\"info\",\"summary\":\"�\",NOW,\"custom_details\":{\"a\":\"x\"}}",
		[]string{`halves of a character were replaced`, `control characters were dropped`},
	},

	// Members one level too high or too deep, and JSON in a text.
	{
		"a flat event", `…"summary":"flat","source":"o","severity":"critical","timestamp":"2026-01-02T03:04:05Z","component":"c","group":"g","class":"k","custom_details":{"x":1}`,
		`"payload":{"source":"o","severity":"critical","component":"c","group":"g","class":"k","summary":"flat","timestamp":"2026-01-02T03:04:05.000Z","custom_details":{"x":1}}`,
		[]string{`custom_details stood outside the payload: it was read as the payload's`, `summary was read as payload.summary`, `source was read as payload.source`, `severity was read as payload.severity`, `timestamp was read as payload.timestamp`, `component was read as payload.component`, `group was read as payload.group`, `class was read as payload.class`},
	},
	{
		"severity beside the payload", `…"Severity":"P1","payload":{"summary":"s","source":"o"}`,
		`"payload":{"source":"o","severity":"critical","summary":"s",NOW}`,
		[]string{`"Severity" was read as severity`, `severity was read as payload.severity`, `payload.severity "P1" became critical`},
	},
	{
		"severity in both places", `…"severity":"info","payload":{"summary":"s","source":"o","severity":"critical"}`,
		`"payload":{"source":"o","severity":"critical","summary":"s",NOW,"custom_details":{"severity":"info"}}`,
		[]string{`severity stood beside payload.severity: it stands in custom_details`},
	},
	{
		"the same in both places", `…"severity":"info","source":"o","payload":"PAYLOAD"`,
		`"PAYLOAD"`, nil,
	},
	{
		"severity in the details", `…"payload":{"summary":"s","source":"o","custom_details":{"severity":"P1"}}`,
		`"payload":{"source":"o","severity":"critical","summary":"s",NOW,"custom_details":{"severity":"P1"}}`,
		[]string{`payload.severity was missing: that of custom_details, critical, stands for it`},
	},
	{
		"a word that nobody knows in the details", `…"payload":{"summary":"s","source":"o","custom_details":{"severity":"purple"}}`,
		`"payload":{"source":"o","severity":"error","summary":"s",NOW,"custom_details":{"severity":"purple"}}`,
		[]string{`payload.severity was missing: error stands for it`},
	},
	{
		"all in the payload", `{"payload":{"routing_key":"KEY","event_action":"trigger","dedup_key":"d","client":"c","client_url":"https://e.com","links":[{"href":"https://e.com/l"}],"images":[{"src":"https://e.com/i"}],"summary":"s","source":"o","severity":"info"}}`,
		`"client":"c","client_url":"https://e.com","links":[{"href":"https://e.com/l"}],"images":[{"src":"https://e.com/i"}],"payload":{"source":"o","severity":"info","summary":"s",NOW}`,
		[]string{`payload.routing_key was read as routing_key`, `payload.event_action was read as event_action`, `payload.dedup_key was read as dedup_key`, `payload.client was read as client`, `payload.client_url was read as client_url`},
	},
	{
		"a dedup key in the payload as well", `…"payload":{"dedup_key":"other","summary":"s","source":"o","severity":"info"}`,
		`"payload":{"source":"o","severity":"info","summary":"s",NOW,"custom_details":{"dedup_key":"other"}}`,
		[]string{`payload.dedup_key stood beside dedup_key: it stands in custom_details`},
	},
	{
		"a payload in the payload", `…"payload":{"payload":{"summary":"s","source":"o","severity":"critical"}}`,
		`"payload":{"source":"o","severity":"critical","summary":"s",NOW}`,
		[]string{`payload stood in itself: it was read`},
	},
	{
		"a payload as JSON in a text", `…"payload":"{\"summary\":\"s \\u00e9\",\"source\":\"o\",\"severity\":\"critical\",\"custom_details\":{\"n\":1.50}}"`,
		`"payload":{"source":"o","severity":"critical","summary":"s é",NOW,"custom_details":{"n":1.50}}`,
		[]string{`payload was JSON in a text: it was read`},
	},
	{
		"a payload that looks like JSON", `…"payload":"{disk full"`,
		`"payload":{"source":"unknown source","severity":"error","summary":"{disk full",NOW}`,
		[]string{`payload was a text: it became payload.summary`, `payload.source was missing: "unknown source" stands for it`, `payload.severity was missing: error stands for it`},
	},
	{
		"details as JSON in a text", `…"payload":{"summary":"s","source":"o","severity":"info","custom_details":"{\"a\":1}"}`,
		`"payload":{"source":"o","severity":"info","summary":"s",NOW,"custom_details":"{\"a\":1}"}`,
		nil,
	},
	{
		"details as a text, and something to keep", `…"team":"db","payload":{"summary":"s","source":"o","severity":"info","custom_details":"all of it"}`,
		`"payload":{"source":"o","severity":"info","summary":"s",NOW,"custom_details":"all of it\nteam: db"}`,
		[]string{`"team" is no member of an event: it stands in custom_details`},
	},
	{
		"details as a text and as an object", `…"details":{"a":1},"payload":{"summary":"s","source":"o","severity":"info","custom_details":"b"}`,
		`"payload":{"source":"o","severity":"info","summary":"s",NOW,"custom_details":{"a":1,"details":"b"}}`,
		[]string{`details became payload.custom_details`, `custom_details was a text: it stands in an object`},
	},
	{
		"a summary from a text of details", `…"payload":{"source":"o","severity":"info","custom_details":"disk full\n95 %"}`,
		`"payload":{"source":"o","severity":"info","summary":"disk full on o",NOW,"custom_details":"disk full\n95 %"}`,
		[]string{`payload.summary was missing: "disk full on o" stands for it`},
	},

	// Control sequences.
	{
		"control sequences everywhere", `…"client":"\u001b]0;x\u0007c","links":[{"href":"https://e.com/l","text":"\u009b1mt"}],"payload":{"summary":"s","source":"\u001b[1mo","severity":"info","custom_details":{"\u001b[1ma":"\u001b[2Jb","n":["\u0000c\u007f"]}}`,
		`"client":"c","links":[{"href":"https://e.com/l","text":"t"}],"payload":{"source":"o","severity":"info","summary":"s",NOW,"custom_details":{"a":"b","n":["c"]}}`,
		[]string{`control characters were dropped`},
	},
}
