package pagerdutytest

import (
	"strings"
	"testing"
)

func TestFingerprint(t *testing.T) {
	// printf 0123456789abcdef0123456789abcdef | sha256sum
	const want = "key-3eb1bd439947eb76"
	if got := Fingerprint(strings.ToUpper(testKey)); got != Fingerprint(testKey) {
		t.Errorf("got %s and %s for one key", got, Fingerprint(testKey))
	}
	if got := Fingerprint(testKey); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestBlankSecrets(t *testing.T) {
	f := Fingerprint
	tests := []struct{ in, want string }{
		{`{"routing_key":"` + testKey + `"}`, `{"routing_key":"` + f(testKey) + `"}`},
		{`{"Routing_Key" : "` + testKey + `","a":1}`, `{"Routing_Key" : "` + f(testKey) + `","a":1}`},
		{`{"routing_key":"not a key"`, `{"routing_key":"` + f("not a key") + `"`},
		{`{"service_key":"s","routing_key":"r"}`, `{"service_key":"` + f("s") + `","routing_key":"` + f("r") + `"}`},
		{`routing_key=` + testKey + `&a=b`, `routing_key=` + f(testKey) + `&a=b`},
		{`{'routing_key': '` + testKey + `'}`, `{'routing_key': '` + f(testKey) + `'}`},
		{`"{\"routing_key\":\"` + testKey + `\"}"`, `"{\"routing_key\":\"` + f(testKey) + `\"}"`},
		{`{"routing_key":""}`, `{"routing_key":""}`},
		{`{"routing_key":{"a":1}}`, `{"routing_key":{"a":1}}`},
		{`Length of 'routing_key' is incorrect`, `Length of 'routing_key' is incorrect`},
		{`routing_key=`, `routing_key=`},
		{`routing_key`, `routing_key`},
		{`nothing`, `nothing`},
		{``, ``},
	}
	for _, tt := range tests {
		for _, in := range []string{tt.in, tt.want} { // what is blank stays as it is
			if got := blankSecrets(in); got != tt.want {
				t.Errorf("blankSecrets(%s): got %s, want %s", in, got, tt.want)
			}
		}
	}
}

func TestKeyRing(t *testing.T) {
	ring := make(keyRing)
	ring.add(testKey)
	ring.add("short")
	f := Fingerprint(testKey)
	tests := []struct{ in, want string }{
		{testKey, f},
		{"x" + strings.ToUpper(testKey) + "y", "x" + f + "y"},
		{testKey + testKey, f + f},
		{"İ" + testKey + "é" + testKey, "İ" + f + "é" + f},
		{testKey[:31], testKey[:31]},
		{otherKey + " short", otherKey + " short"},
		{"", ""},
	}
	for _, tt := range tests {
		if got := ring.redact(tt.in); got != tt.want {
			t.Errorf("redact(%q): got %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestKeyRingIsBounded(t *testing.T) {
	ring := make(keyRing)
	for i := range maxKeys {
		ring[string(rune(i))+"x"] = ""
	}
	ring.add(testKey)
	if len(ring) > maxKeys {
		t.Errorf("got %d keys", len(ring))
	}
}
