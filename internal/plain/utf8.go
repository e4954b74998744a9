package plain

import (
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// windows1252 is what the bytes from 0x80 on mean, up to 0x9F; above that a byte is the
// character of the same number. The five that are not assigned are C1 controls, as browsers
// have it (https://encoding.spec.whatwg.org/index-windows-1252.txt).
var windows1252 = [32]rune{
	'€', 0x81, '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', 0x8d, 'Ž', 0x8f,
	0x90, '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', 0x9d, 'ž', 'Ÿ',
}

// Rune is the character that a byte stands for which is no part of UTF-8. No two bytes have
// the same one, so that texts which differ stay different.
func Rune(b byte) rune {
	if b >= 0x80 && b < 0xa0 {
		return windows1252[b-0x80]
	}
	return rune(b)
}

// UTF8 reads each byte that is no part of UTF-8 as windows-1252, which is what programs of the
// West send that know nothing of UTF-8. What is UTF-8 stays: a text may be cut in the middle
// of a character, or have parts of two programs.
func UTF8[T ~string | ~[]byte](text T) T {
	if utf8.ValidString(string(text)) {
		return text
	}
	out := make([]byte, 0, len(text)+len(text)/8)
	for rest := []byte(text); len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		if r == utf8.RuneError && size == 1 {
			r = Rune(rest[0])
		}
		out = utf8.AppendRune(out, r)
		rest = rest[size:]
	}
	return T(out)
}

// UTF16 reads a text that begins with the byte order mark of UTF-16, or with an opening brace
// in it, and reports whether it was such a one. PowerShell writes files in that form.
func UTF16(text []byte) ([]byte, bool) {
	if len(text) < 2 || len(text)%2 != 0 {
		return text, false
	}
	switch string(text[:2]) {
	case "\xff\xfe", "{\x00":
		return DecodeUTF16(text, binary.LittleEndian), true
	case "\xfe\xff", "\x00{":
		return DecodeUTF16(text, binary.BigEndian), true
	}
	return text, false
}

// DecodeUTF16 makes UTF-8 of UTF-16, without its byte order mark.
func DecodeUTF16(text []byte, order binary.ByteOrder) []byte {
	out := make([]byte, 0, len(text))
	for at := 0; at+1 < len(text); at += 2 {
		r := rune(order.Uint16(text[at:]))
		if utf16.IsSurrogate(r) && at+3 < len(text) {
			if both := utf16.DecodeRune(r, rune(order.Uint16(text[at+2:]))); both != utf8.RuneError {
				r, at = both, at+2
			}
		}
		if at > 0 || r != '\ufeff' {
			out = utf8.AppendRune(out, r)
		}
	}
	return out
}
