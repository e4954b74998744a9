// Package keyleak finds an integration key in what a program wrote: output, errors, logs, state files and their names.
//
// An integration key is a secret that pages people, so no test of a failure is complete before its output has passed Check. It knows the forms
// in which a key slips through a plain search: another case of letters, hexadecimal, base64 at any offset, URL and JSON escapes, the bytes as
// Go prints them, and the first or last eight characters, which is how programs like to "redact".
package keyleak

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// partLen is how much of a key may not be shown: eight hexadecimal digits are enough to tell whose key it is.
const partLen = 8

// Sink is something that was written and may not hold a key.
type Sink struct {
	Name string // what the failure calls it, such as "stderr"
	Data []byte
}

// Text makes a sink of a text.
func Text(name, text string) Sink { return Sink{Name: name, Data: []byte(text)} }

// Folder gives a sink for each file below dir and one for all the names in it. A folder that does not exist holds nothing.
func Folder(tb testing.TB, dir string) []Sink {
	tb.Helper()
	names := Sink{Name: "names below " + dir}
	var sinks []Sink
	err := filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		names.Data = append(append(names.Data, rel...), '\n')
		if !entry.Type().IsRegular() {
			return nil
		}
		data, err := os.ReadFile(file)
		sinks = append(sinks, Sink{Name: file, Data: data})
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		tb.Fatalf("looking for keys: %v", err)
	}
	return append(sinks, names)
}

// Misplaced gives the forms in which a key stands where none belongs: as the value of a flag or of a variable, as an argument, as the name of a
// file or of a host. A URL among them leads nowhere.
func Misplaced(key string) []string {
	return []string{key, "/dev/null/" + key + "/file.yaml", "pagerduty://127.0.0.1:1/" + key + "?disabletls=yes", "http://" + key + ".invalid:1", "name=" + key}
}

// Check fails the test for each sink that holds the key in any form. It does not print what it found: the report would be the leak.
func Check(tb testing.TB, key string, sinks ...Sink) {
	tb.Helper()
	if len(key) < partLen {
		tb.Fatalf("a key of %d characters is too short to look for", len(key))
	}
	for _, sink := range sinks {
		for _, form := range Find(key, sink.Data) {
			tb.Errorf("%s holds the integration key (%s)", sink.Name, form)
		}
	}
}

// Find names the forms of the key that stand in data, none for none. Letters match in any case, except in base64.
func Find(key string, data []byte) []string {
	folded := bytes.ToLower(data)
	var found []string
	add := func(form, text string, in []byte) {
		if bytes.Contains(in, []byte(text)) {
			found = append(found, form)
		}
	}
	lower := strings.ToLower(key)
	if add("plain", lower, folded); len(found) == 0 && len(key) >= partLen {
		add("its first characters", lower[:partLen], folded)
		add("its last characters", lower[len(lower)-partLen:], folded)
	}
	for _, variant := range variants(key) {
		add("hexadecimal", hex.EncodeToString([]byte(variant)), folded)
		add("URL-escaped", perByte("%%%02x", variant), folded)
		add("JSON-escaped", perByte(`\u%04x`, variant), folded)
		add("Go-escaped", perByte(`\x%02x`, variant), folded)
		add("as decimal bytes", strings.Trim(fmt.Sprint([]byte(variant)), "[]"), folded)
		for _, text := range base64Forms(variant) {
			add("base64", text, data)
		}
	}
	return found
}

// variants gives the key as it is and in lower and upper case, each once.
func variants(key string) []string {
	all := []string{key}
	for _, v := range []string{strings.ToLower(key), strings.ToUpper(key)} {
		if v != key {
			all = append(all, v)
		}
	}
	return all
}

func perByte(format, text string) string {
	var b strings.Builder
	for i := range len(text) {
		fmt.Fprintf(&b, format, text[i])
	}
	return b.String()
}

// base64Forms gives what base64 makes of the key at each of the three offsets in a longer text, without the characters at both ends that
// depend on its neighbours.
func base64Forms(key string) []string {
	var forms []string
	for offset := range 3 {
		padded := append(make([]byte, offset), key...)
		from := (offset*8 + 5) / 6
		to := len(padded) * 8 / 6
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := encoding.EncodeToString(padded)[from:to]
			if len(forms) == 0 || forms[len(forms)-1] != text {
				forms = append(forms, text)
			}
		}
	}
	return forms
}
