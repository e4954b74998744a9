package bodies

import "strings"

// Key is the integration key of the shapes. It has many runs of one letter, which
// are the worst case of a search for it.
const Key = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1"

// opening is an event in which nothing is wrong, and to which members can be added.
const opening = `{"routing_key":"` + Key + `","event_action":"trigger","dedup_key":"d","payload":{"summary":"s","source":"o","severity":"info"}`

// Shapes returns bodies for every loop in the way of an event from the socket to
// the disk: each text, list and object of an event, filled with what is costly to
// read, to name, to compare, to shorten or to write.
func Shapes() []Shape {
	shapes := append(texts(), members()...)
	shapes = append(shapes, lists()...)
	shapes = append(shapes, nested()...)
	return append(shapes, fragments()...)
}

// texts have one long text.
func texts() (shapes []Shape) {
	units := []struct{ name, unit string }{
		{"letters", "a"},
		{"control characters", "\x01"},
		{"words", "word # "},
		{"zero characters", "\x00"},
		{"line ends", "\n"},
		{"bytes that are not UTF-8", "\xff/"},
		{"wide characters", "é"},
		{"escapes", `\"`},
		{"spelled out letters", `\u0061`},
		{"halves of a character", `\ud83d`},
		{"stray backslashes", `\ `},
		{"keys", Key},
		{"pieces of the key", Key[:31] + "-"},
		{"digits", "7"},
		{"colons", "::"},
	}
	few := units[:2]
	for _, m := range []string{"dedup_key", "description", "client_url", "routing_key", "event_action", "client", "service_key", "incident_key", "details", "unknown"} {
		units := units
		if m != "dedup_key" && m != "description" && m != "client_url" { // the others are read by the same code
			units = few
		}
		for _, u := range units {
			before := opening + `,"` + m + `":"`
			if m == "client_url" {
				before += "https://e.com/"
			}
			shapes = append(shapes, Shape{Name: u.name + " in " + m, Before: before, Unit: u.unit, After: `"}`})
		}
	}
	for _, m := range []string{"summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details"} {
		units := units
		if m != "summary" && m != "severity" && m != "custom_details" {
			units = few
		}
		for _, u := range units {
			before := opening[:len(opening)-1] + `,"` + m + `":"`
			shapes = append(shapes, Shape{Name: u.name + " in payload." + m, Before: before, Unit: u.unit, After: `"}}`})
		}
	}
	bare := strings.TrimSuffix(opening, `{"summary":"s","source":"o","severity":"info"}`)
	for _, name := range []string{"host", "alertname"} {
		for _, u := range few {
			shapes = append(shapes, Shape{
				Name: u.name + " in the detail " + name + " of an event without more", Before: bare + `{"custom_details":{"` + name + `":"`, Unit: u.unit, After: `"}}}`,
			})
		}
	}
	for _, u := range units {
		shapes = append(shapes,
			Shape{Name: u.name + " in a member's name", Before: opening + `,"`, Unit: u.unit, After: `":0}`},
			Shape{Name: u.name + " in a detail's name", Before: opening + `,"details":{"`, Unit: u.unit, After: `":0}}`},
			Shape{Name: u.name + " in a link", Before: opening + `,"links":[{"href":"https://e.com/`, Unit: u.unit, After: `"}]}`},
			Shape{Name: u.name + " in an image", Before: opening + `,"images":[{"src":"https://e.com/","alt":"`, Unit: u.unit, After: `"}]}`},
		)
	}
	return shapes
}

// members have very many members in one object.
func members() (shapes []Shape) {
	long := strings.Repeat("x", 300)
	units := []struct{ name, unit string }{
		{"members without a name", `,"":0`},
		{"members of one name", `,"a":0`},
		{"members of one long name", `,"` + long + `":0`},
		{"members of many names", `,"n#":0`},
		{"members of many names in many cases", `,"N#n":"#"`},
		{"members named as numbered ones", `,"a_#":0,"a":1`},
		{"members named omitted", `,"omitted_#":0`},
		{"members named as repairs", `,"relay_repairs_#":0`},
		{"members named as messages", `,"message_full_#":0,"message":1`},
		{"members named as links", `,"links_#":0`},
		{"names with line ends", `,"x\nline #":"` + long + `"`},
		{"names that are the key", `,"` + Key + `#":0`},
		{"secrets", `,"api_key_#":0`},
		{"large members", `,"n#":"` + long + `"`},
		{"long near names", `,"c-l-i-e-n-t--------------------------":#`},
		{"numbers that are none", `,"n#":NaN`},
		{"spelled out names", `,"\u0061#":"\u0061"`},
		{"empty objects", `,"n#":{}`},
		{"small objects", `,"n#":{"a":1,"a":2}`},
	}
	deeper := opening + `,"details":{"x":[{"x":0`
	for _, place := range []struct{ name, before, after string }{
		{"an event", opening, "}"},
		{"the payload", opening[:len(opening)-1], "}}"},
		{"the details", opening + `,"details":{"x":0`, "}}"},
		{"an object in the details", deeper, "}]}}"},
		{"a link", opening + `,"links":[{"href":"https://e.com"`, "}]}"},
	} {
		for _, u := range units {
			shapes = append(shapes, Shape{Name: u.name + " in " + place.name, Before: place.before, Unit: u.unit, After: place.after})
		}
	}
	for _, m := range []string{
		"routing_key", "event_action", "dedup_key", "client", "client_url", "service_key", "event_type", "incident_key", "description", "details",
		"payload", "links", "images", "contexts", "Client", "Dedup-Key", "agent",
	} {
		shapes = append(shapes,
			Shape{Name: "many different " + m, Before: opening, Unit: `,"` + m + `":"https://e.com/#"`, After: "}"},
			Shape{Name: "many numbers as " + m, Before: opening, Unit: `,"` + m + `":#`, After: "}"},
			Shape{Name: "many objects as " + m, Before: opening, Unit: `,"` + m + `":{"href":"a://b","summary":"#"}`, After: "}"})
	}
	for _, m := range []string{"summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details", "Time-Stamp"} {
		shapes = append(shapes,
			Shape{Name: "many different payload." + m, Before: opening[:len(opening)-1], Unit: `,"` + m + `":"#"`, After: "}}"},
			Shape{Name: "many numbers as payload." + m, Before: opening[:len(opening)-1], Unit: `,"` + m + `":1#`, After: "}}"},
			Shape{Name: "many payloads with " + m, Before: opening, Unit: `,"payload":{"` + m + `":{"#":1}}`, After: "}"})
	}
	return shapes
}

// lists have very many elements.
func lists() (shapes []Shape) {
	for _, list := range []string{"links", "images", "contexts", "details", "unknown"} {
		for _, u := range []struct{ name, unit string }{
			{"empty objects", ",{}"},
			{"numbers", ",1"},
			{"empty texts", `,""`},
			{"short links", `,"a://b"`},
			{"links", `,{"href":"https://e.com/#","text":"t"}`},
			{"links to nowhere", `,{"text":"x"}`},
			{"images", `,{"src":"https://e.com/#"}`},
			{"images that became links", `,{"type":"image","src":"http://e.com/#","href":"https://e.com","x":1}`},
			{"lists", ",[1]"},
			{"keys", `,"` + Key + `"`},
			{"one name in many cases", `,{"href":"a://b","HREF":"b://c","Href":1}`},
		} {
			shapes = append(shapes, Shape{Name: u.name + " in " + list, Before: opening + `,"` + list + `":[0`, Unit: u.unit, After: "]}"})
		}
	}
	return shapes
}

// nested are deep.
func nested() (shapes []Shape) {
	for _, place := range []struct{ name, before, after string }{
		{"the details", opening + `,"details":{"x":`, "}}"},
		{"a link", opening + `,"links":[`, "]}"},
		{"the payload", opening + `,"payload":`, "}"},
		{"the routing key", opening + `,"routing_key":`, "}"},
	} {
		for _, u := range []struct{ name, unit, closing string }{
			{"lists", "[", "]"},
			{"objects", `{"":`, "}"},
			{"objects and lists", `{"a":0,"a":[`, "]}"},
			{"open lists", "[", ""},
			{"open objects", `{"#":`, ""},
		} {
			shapes = append(shapes, Shape{Name: u.name + " nested in " + place.name, Before: place.before, Unit: u.unit, Inner: "0", Closing: u.closing, After: place.after})
		}
	}
	// Each of the lists is as deep as what is still read, and they are many.
	deep := strings.Repeat(`{"a":[`, 60) + strings.Repeat("]}", 60)
	return append(shapes, Shape{Name: "many deep objects", Before: opening + `,"details":[0`, Unit: "," + deep, After: "]}"})
}

// fragments are no JSON, or hardly any.
func fragments() (shapes []Shape) {
	for _, u := range []struct{ name, before, unit, after string }{
		{"white space", "", " ", ""},
		{"white space before an event", "", "\n", opening + "}"},
		{"zero bytes after an event", opening + "}", "\x00", ""},
		{"open lists", "", "[", ""},
		{"open objects", "", `{"a":`, ""},
		{"an open text", `{"a":"`, "a", ""},
		{"quotes", "", `"`, ""},
		{"backslashes", `{"`, `\`, ""},
		{"commas", "{", ",", "}"},
		{"a long word", `{"a":`, "t", "}"},
		{"a long number", opening + `,"x":1`, "0", "}"},
		{"a long foreign number", opening + `,"x":00`, "0", "}"},
		{"a long number as timestamp", opening[:len(opening)-1] + `,"timestamp":1`, "0", "}}"},
		{"bytes that are not UTF-8", "", "\xff", ""},
		{"bytes that are not UTF-8 in every second place", "", "\xff ", ""},
		{"events", "", opening + "}", ""},
		{"an event that breaks off", opening, `,"n#":0`, ""},
	} {
		shapes = append(shapes, Shape{Name: "nothing but " + u.name, Before: u.before, Unit: u.unit, After: u.after})
	}
	return shapes
}
