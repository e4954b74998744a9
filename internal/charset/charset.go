// Package charset reads texts in the encoding that they declare: the charset of a request's
// Content-Type, or that of a locale.
package charset

import (
	"strings"
	"unicode/utf8"

	"github.com/containrrr/shoutrrr/internal/plain"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
)

// latin are declarations that say little: clients add them to whatever they send, and
// browsers read all of them as windows-1252.
const latin = "windows-1252"

// Decode returns the text in UTF-8, and the name of the encoding that it was in, "" if that
// was UTF-8 already. A declaration counts, unless it is of Latin and the text is valid UTF-8.
// Without one, and where an unknown one is given, bytes that are not UTF-8 are read as
// windows-1252.
//
// No two bytes that differ become the same character where each byte is one: what a code page
// has not assigned is a character of the private use area.
func Decode(text []byte, declared string) (decoded []byte, from string) {
	if wide, is := plain.UTF16(text); is {
		return wide, "utf-16"
	}
	named, name := lookUp(declared)
	valid := utf8.Valid(text)
	switch {
	case named == nil || name == latin:
		if valid {
			return text, ""
		}
		return plain.UTF8(text), latin
	case valid && isASCII(text) && !isShifting(name):
		return text, ""
	}
	decoded, err := named.NewDecoder().Bytes(text)
	if err != nil { // which the decoders of that package do not have
		return plain.UTF8(text), latin
	}
	if isSingle(name) {
		decoded = distinct(text, decoded)
	}
	return decoded, name
}

// lookUp returns an encoding that is not UTF-8, and its name.
func lookUp(declared string) (encoding.Encoding, string) {
	declared = strings.Trim(strings.ToLower(declared), " \t\"'")
	if declared == "" {
		return nil, ""
	}
	named, err := htmlindex.Get(declared)
	if err != nil { // a locale writes CP1251, KOI8R, EUCJP
		named, err = htmlindex.Get(aliases[strings.NewReplacer("-", "", "_", "").Replace(declared)])
	}
	if err != nil {
		return nil, ""
	}
	name, err := htmlindex.Name(named)
	if err != nil || name == "utf-8" || name == "replacement" || name == "x-user-defined" {
		return nil, ""
	}
	return named, name
}

// aliases are names that locales have and browsers do not.
var aliases = map[string]string{
	"cp1250": "windows-1250", "cp1251": "windows-1251", "cp1252": "windows-1252", "cp1253": "windows-1253", "cp1254": "windows-1254",
	"cp1255": "windows-1255", "cp1256": "windows-1256", "cp1257": "windows-1257", "cp1258": "windows-1258", "cp866": "ibm866",
	"koi8r": "koi8-r", "koi8u": "koi8-u", "eucjp": "euc-jp", "euckr": "euc-kr", "euccn": "gb2312", "sjis": "shift_jis", "cp932": "shift_jis",
	"cp936": "gbk", "cp949": "euc-kr", "cp950": "big5", "big5hkscs": "big5", "tis620": "windows-874",
	"iso88591": "windows-1252", "iso88592": "iso-8859-2", "iso88595": "iso-8859-5", "iso88597": "iso-8859-7", "iso88599": "windows-1254", "iso885915": "iso-8859-15",
}

// isShifting reports whether the encoding gives a meaning of its own to ASCII.
func isShifting(name string) bool {
	return name == "iso-2022-jp" || strings.HasPrefix(name, "utf-16")
}

// isSingle reports whether each byte is a character.
func isSingle(name string) bool {
	switch name {
	case "big5", "euc-jp", "euc-kr", "gb18030", "gbk", "iso-2022-jp", "shift_jis", "utf-16be", "utf-16le":
		return false
	}
	return true
}

// unassigned is where the bytes go that a code page has no character for, as Windows has it.
const unassigned = 0xf700

// distinct puts a character of its own for each byte that was not assigned.
func distinct(text, decoded []byte) []byte {
	if !strings.ContainsRune(string(decoded), utf8.RuneError) {
		return decoded
	}
	out := make([]byte, 0, len(decoded))
	at := 0
	for _, r := range string(decoded) {
		if r == utf8.RuneError && at < len(text) {
			r = unassigned + rune(text[at])
		}
		out = utf8.AppendRune(out, r)
		at++
	}
	return out
}

func isASCII(text []byte) bool {
	for _, c := range text {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// OfLocale returns the charset of a locale's name, such as ru_RU.KOI8-R@variant, "" if it has
// none.
func OfLocale(locale string) string {
	_, name, _ := strings.Cut(locale, ".")
	name, _, _ = strings.Cut(name, "@")
	return name
}
