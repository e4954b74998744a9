package unit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestWords(t *testing.T) {
	for line, want := range map[string][]string{
		``:                        nil,
		` a  b `:                  {"a", "b"},
		`"A=b c" D='e "f"'`:       {"A=b c", `D=e "f"`},
		`a\ b "c\"d" '' 'e\'`:     {"a b", `c"d`, "", `e\`},
		"--config\t/etc/x.yaml":   {"--config", "/etc/x.yaml"},
		`"X="   Y="two words"and`: {"X=", "Y=two wordsand"},
	} {
		if got := words(line); !slices.Equal(got, want) {
			t.Errorf("%q is read as %q, want %q", line, got, want)
		}
	}
}

// An empty value takes back what stood before it, the first folder's drop-in of a name
// counts, and specifiers mean what they do for systemd.
func TestFind(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	write := func(folder, name, text string) {
		t.Helper()
		path := filepath.Join(folder, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	write(second, "pager.service", "[Unit]\nStateDirectory=no\n[Service]\nExecStart=-/usr/bin/shoutrrrd run -c %E/%p.yaml\nDynamicUser=yes\nStateDirectory=%p other\nLoadCredential=gone:/gone\nEnvironment=A=gone\n")
	write(first, "pager.service.d/10.conf", "[Service]\nEnvironment=\nEnvironment=B=%n\nLoadCredential=\nLoadCredential=key:/etc/the.key\n")
	write(second, "pager.service.d/10.conf", "[Service]\nEnvironment=C=hidden\n")
	write(second, "pager.service.d/05.conf", "[Service]\nStateDirectory=first\nEnvironment=E=taken-back\n")
	getenv := func(name string) string {
		return map[string]string{"SYSTEMD_UNIT_PATH": first + ":" + second, "HOME": "/root"}[name]
	}
	u, err := Find("pager", getenv)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(u.Args, []string{"run", "-c", "/etc/pager.yaml"}) || !u.MadeUp {
		t.Errorf("%+v", u)
	}
	for name, want := range map[string]string{"A": "", "B": "pager.service", "C": "", "E": "", "HOME": "", "STATE_DIRECTORY": "/var/lib/first", "CREDENTIALS_DIRECTORY": "/run/credentials/pager.service"} {
		if got := u.Getenv(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for path, want := range map[string]string{"/run/credentials/pager.service/key": "/etc/the.key", "/run/credentials/pager.service/gone": "/run/credentials/pager.service/gone", "/etc/x": "/etc/x"} {
		if got := u.Locate(path); got != want {
			t.Errorf("%s is at %s, want %s", path, got, want)
		}
	}
	if _, err := Find("other", getenv); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a unit that is not there: %v", err)
	}
	write(first, "odd.service", "[Service]\nExecStart=/bin/true\n")
	if _, err := Find(filepath.Join(first, "odd.service"), getenv); err == nil {
		t.Error("a unit of something else is taken")
	}
}
