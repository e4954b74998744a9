package charset

import (
	"testing"
	"unicode/utf8"
)

func TestDecode(t *testing.T) {
	for _, tt := range []struct{ name, text, declared, want, from string }{
		{"UTF-8", "café", "", "café", ""},
		{"UTF-8, declared", "café", "UTF-8", "café", ""},
		{"UTF-8 that a client declares as Latin", "café", "iso-8859-1", "café", ""},
		{"ASCII of a code page", "cafe", "windows-1251", "cafe", ""},
		{"not declared", "caf\xe9", "", "café", "windows-1252"},
		{"declared as UTF-8, which it is not", "caf\xe9", "utf-8", "café", "windows-1252"},
		{"declared as what nobody knows", "caf\xe9", "x-none", "café", "windows-1252"},
		{"Latin", "5 \x80", "ISO-8859-1", "5 €", "windows-1252"},
		{"Cyrillic", "\xd1\xe5\xf0\xe2\xe5\xf0", "windows-1251", "Сервер", "windows-1251"},
		{"of a locale", "\xd1\xe5\xf0\xe2\xe5\xf0", "CP1251", "Сервер", "windows-1251"},
		{"KOI8-R", "\xf3\xc5\xd2\xd7\xc5\xd2", "KOI8-R", "Сервер", "koi8-r"},
		{"in quotes", "\xf3\xc5\xd2\xd7\xc5\xd2", `"koi8-r"`, "Сервер", "koi8-r"},
		{"Japanese", "\x83\x54\x81\x5b\x83\x6f", "Shift_JIS", "サーバ", "shift_jis"},
		{"EUC-JP", "\xa5\xb5\xa1\xbc\xa5\xd0", "eucJP", "サーバ", "euc-jp"},
		{"ISO-2022-JP", "\x1b$B%5!<%P\x1b(B", "iso-2022-jp", "サーバ", "iso-2022-jp"},
		{"Chinese", "\xb7\xfe\xce\xf1\xc6\xf7", "GBK", "服务器", "gbk"},
		{"not assigned", "\xaa\xd2", "windows-1253", "\uf7aa\uf7d2", "windows-1253"},
		{"UTF-16 with a mark", "\xff\xfec\x00\xe9\x00", "", "cé", "utf-16"},
		{"UTF-16, declared", "c\x00\xe9\x00", "utf-16le", "cé", "utf-16le"},
		{"JSON in UTF-16", "{\x00}\x00", "", "{}", "utf-16"},
	} {
		got, from := Decode([]byte(tt.text), tt.declared)
		if string(got) != tt.want || from != tt.from {
			t.Errorf("%s: got %q from %q, want %q from %q", tt.name, got, from, tt.want, tt.from)
		}
	}
}

func TestOfLocale(t *testing.T) {
	for locale, want := range map[string]string{"": "", "C": "", "de_DE": "", "ru_RU.KOI8-R": "KOI8-R", "de_DE.ISO-8859-15@euro": "ISO-8859-15", "en_US.UTF-8": "UTF-8"} {
		if got := OfLocale(locale); got != want {
			t.Errorf("%q: got %q, want %q", locale, got, want)
		}
	}
}

// Each byte of each code page is another character.
func TestBytesStayDistinct(t *testing.T) {
	for _, name := range []string{
		"", "windows-1250", "windows-1251", "windows-1252", "windows-1253", "windows-1254", "windows-1255", "windows-1256", "windows-1257", "windows-1258",
		"windows-874", "ibm866", "koi8-r", "koi8-u", "iso-8859-2", "iso-8859-5", "iso-8859-7", "iso-8859-8", "iso-8859-15", "macintosh",
	} {
		seen := map[string]byte{}
		for b := 0x80; b <= 0xff; b++ {
			got, _ := Decode([]byte{byte(b)}, name)
			if other, twice := seen[string(got)]; twice || !utf8.Valid(got) {
				t.Errorf("%s: %#x and %#x are both %q", name, b, other, got)
			}
			seen[string(got)] = byte(b)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("caf\xe9"), "")
	f.Add([]byte("\x83\x54"), "shift_jis")
	f.Add([]byte("\xff\xfea\x00"), "utf-16")
	f.Add([]byte("\x1b$B%5"), "iso-2022-jp")
	f.Add([]byte("\xaa"), "cp1253")
	f.Fuzz(func(t *testing.T, text []byte, declared string) {
		got, from := Decode(text, declared)
		if !utf8.Valid(got) || from == "" && string(got) != string(text) || len(got) > 3*len(text) {
			t.Errorf("%q as %q became %q from %q", text, declared, got, from)
		}
	})
}
