package access

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/containrrr/shoutrrr/internal/prove"
)

// made makes files and folders with exact modes, in order; a folder's name ends with a
// slash. It returns the path of the first folder.
func made(t *testing.T, entries ...entry) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		prove.Missing(t, "rights of files, which Windows has not in this form")
	}
	root := t.TempDir()
	if err := os.Chmod(root, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		path := filepath.Join(root, e.name)
		var err error
		switch {
		case e.name == ".":
		case e.link != "":
			err = os.Symlink(filepath.Join(root, e.link), path)
		case strings.HasSuffix(e.name, "/"):
			err = os.Mkdir(path, 0o700)
		default:
			err = os.WriteFile(path, []byte("text"), 0o600)
		}
		if err == nil && e.link == "" {
			err = os.Chmod(path, e.mode)
		}
		if err == nil && e.foreign {
			if os.Geteuid() != 0 {
				prove.Missing(t, "root, who alone can give a file away")
			}
			err = os.Chown(path, 65534, 65534)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

type entry struct {
	name    string
	mode    fs.FileMode
	link    string // target, for a symbolic link
	foreign bool   // it belongs to another user
}

// What everybody can read may still lie in a folder that not everybody can enter.
func TestReadable(t *testing.T) {
	for _, c := range []struct {
		name     string
		entries  []entry
		path     string
		readable bool
		closed   string
	}{
		{"its owner's alone", []entry{{name: "a", mode: 0o600}}, "a", false, ""},
		{"everybody's", []entry{{name: "a", mode: 0o604}}, "a", true, ""},
		{"a folder", []entry{{name: "a/", mode: 0o755}}, "a", false, ""},
		{"missing", nil, "a", false, ""},
		{"in a folder to be entered and not listed", []entry{{name: "d/", mode: 0o701}, {name: "d/a", mode: 0o644}}, "d/a", true, ""},
		{"in a closed folder", []entry{{name: "d/", mode: 0o754}, {name: "d/a", mode: 0o644}}, "d/a", false, "d"},
		{"below a closed folder", []entry{{name: "d/", mode: 0o700}, {name: "d/e/", mode: 0o755}, {name: "d/e/a", mode: 0o644}}, "d/e/a", false, "d"},
		{"link into a closed folder", []entry{{name: "d/", mode: 0o700}, {name: "d/a", mode: 0o644}, {name: "a", link: "d/a"}}, "a", false, "d"},
		{"link in a closed folder", []entry{{name: "a", mode: 0o644}, {name: "d/", mode: 0o700}, {name: "d/b", link: "a"}}, "d/b", false, "d"},
	} {
		root := made(t, append([]entry{{name: ".", mode: 0o755}}, c.entries...)...)
		if err := os.Chmod(filepath.Dir(root), 0o755); err != nil { // the folder of the test
			t.Fatal(err)
		}
		path, closed := filepath.Join(root, c.path), ""
		if c.closed != "" {
			closed = filepath.Join(root, c.closed)
		}
		if got := Readable(path); got != c.readable {
			t.Errorf("%s: readable: %v", c.name, got)
		}
		if got := Closed(path); got != closed {
			t.Errorf("%s: closed: %q, want %q", c.name, got, closed)
		}
	}
}

func TestChangeable(t *testing.T) {
	for _, c := range []struct {
		name    string
		entries []entry
		path    string
		want    string // "" if nobody else can change it
	}{
		{"its owner's alone", []entry{{name: "a", mode: 0o600}}, "a", ""},
		{"readable and the group's", []entry{{name: "a", mode: 0o664}}, "a", ""},
		{"writable", []entry{{name: "a", mode: 0o602}}, "a", "can write to it"},
		{"in an open folder", []entry{{name: "d/", mode: 0o777}, {name: "d/a", mode: 0o600}}, "d/a", "folder"},
		{"below an open folder", []entry{{name: "d/", mode: 0o777}, {name: "d/e/", mode: 0o700}, {name: "d/e/a", mode: 0o600}}, "d/e/a", "folder"},
		{"in a folder like /tmp", []entry{{name: "d/", mode: 0o777 | fs.ModeSticky}, {name: "d/a", mode: 0o600}}, "d/a", ""},
		{"link into an open folder", []entry{{name: "d/", mode: 0o777}, {name: "d/a", mode: 0o600}, {name: "a", link: "d/a"}}, "a", "folder"},
		{"link within an open folder", []entry{{name: "d/", mode: 0o777}, {name: "a", mode: 0o600}, {name: "d/a", link: "a"}}, "d/a", "folder"},
		{"missing", nil, "a", ""},
		{"a folder", []entry{{name: "a/", mode: 0o755}}, "a", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Changeable(filepath.Join(made(t, c.entries...), c.path))
			if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestQueue(t *testing.T) {
	for _, c := range []struct {
		name    string
		entries []entry
		warned  []string
		refused []string
	}{
		{name: "nothing is there yet"},
		{name: "as the relay makes it", entries: []entry{{name: "q/", mode: 0o700}, {name: "q/queue.db", mode: 0o600}, {name: "q/queue.db-wal", mode: 0o600}, {name: "q/queue.db.lock", mode: 0o600}}},
		{name: "readable", entries: []entry{{name: "q/", mode: 0o755}, {name: "q/queue.db", mode: 0o644}}, warned: []string{`queue.db", which holds integration keys`}},
		{name: "readable log", entries: []entry{{name: "q/", mode: 0o755}, {name: "q/queue.db-wal", mode: 0o604}}, warned: []string{`queue.db-wal"`}},
		{name: "writable", entries: []entry{{name: "q/", mode: 0o700}, {name: "q/queue.db", mode: 0o666}}, refused: []string{"can write to the queue's file"}},
		{name: "writable log", entries: []entry{{name: "q/", mode: 0o700}, {name: "q/queue.db-wal", mode: 0o602}}, refused: []string{`queue.db-wal"`}},
		{name: "link", entries: []entry{{name: "q/", mode: 0o700}, {name: "other", mode: 0o600}, {name: "q/queue.db", link: "other"}}, refused: []string{"symbolic link"}},
		{name: "link to nothing", entries: []entry{{name: "q/", mode: 0o700}, {name: "q/queue.db", link: "other"}}, refused: []string{"symbolic link"}},
		{name: "folder in place of the file", entries: []entry{{name: "q/", mode: 0o700}, {name: "q/queue.db/", mode: 0o700}}, refused: []string{"no regular file"}},
		{name: "open folder", entries: []entry{{name: "q/", mode: 0o777}}, refused: []string{"can write to the folder"}},
		{name: "to be made in an open folder", entries: []entry{{name: ".", mode: 0o777}}, refused: []string{"can write to the folder"}},
		{name: "folder like /tmp", entries: []entry{{name: "q/", mode: 0o777 | fs.ModeSticky}}, warned: []string{"can put files beside the queue"}},
		{name: "folder that is a link", entries: []entry{{name: "real/", mode: 0o700}, {name: "q", link: "real"}}},
		{name: "file of another user", entries: []entry{{name: "q/", mode: 0o700}, {name: "q/queue.db", mode: 0o600, foreign: true}}, refused: []string{"belongs to user 65534"}},
		{name: "log of another user", entries: []entry{{name: "q/", mode: 0o700}, {name: "q/queue.db-wal", mode: 0o600, foreign: true}}, refused: []string{`queue.db-wal" belongs`}},
		{name: "folder of another user", entries: []entry{{name: "q/", mode: 0o700, foreign: true}}, refused: []string{`of the queue belongs to user 65534`}},
		{name: "all at once", entries: []entry{{name: "q/", mode: 0o777}, {name: "q/queue.db", mode: 0o666}, {name: "q/queue.db-shm", mode: 0o604}}, warned: []string{"-shm"}, refused: []string{"the folder", "queue.db\", so"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			warnings, err := Queue(filepath.Join(made(t, c.entries...), "q", "queue.db"))
			if (err != nil) != (c.refused != nil) || len(warnings) != len(c.warned) {
				t.Fatalf("got the warnings %q and the error %v, want %q and %q", warnings, err, c.warned, c.refused)
			}
			for i, part := range c.warned {
				if !strings.Contains(warnings[i], part) {
					t.Errorf("the warning %q lacks %q", warnings[i], part)
				}
			}
			for _, part := range c.refused {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error %q lacks %q", err, part)
				}
			}
		})
	}
}

// A queue that others could read is its owner's alone after MakePrivate, and what is right
// already is left as it is.
func TestMakePrivate(t *testing.T) {
	root := made(t, entry{name: "queue.db", mode: 0o644}, entry{name: "queue.db-wal", mode: 0o600}, entry{name: "queue.db-shm", mode: 0o604})
	changed, err := MakePrivate(filepath.Join(root, "queue.db"))
	if err != nil || len(changed) != 2 {
		t.Fatalf("changed %q, %v", changed, err)
	}
	for _, name := range []string{"queue.db", "queue.db-wal", "queue.db-shm"} {
		info, err := os.Stat(filepath.Join(root, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if changed, err := MakePrivate(filepath.Join(root, "queue.db")); err != nil || changed != nil {
		t.Errorf("the second time it changed %q, %v", changed, err)
	}
}
