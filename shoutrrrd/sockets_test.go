package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// handedOver returns a socket as systemd hands it over, and where it listens.
func handedOver(t *testing.T, at, name string) (file *os.File, address string) {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	unnamed, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer unnamed.Close()
	fd, err := duplicate(unnamed.Fd())
	if err != nil {
		t.Fatal(err)
	}
	file = os.NewFile(uintptr(fd), name)
	t.Cleanup(func() { _ = file.Close() })
	return file, l.Addr().String()
}

// Doors that systemd has opened to other machines are guarded as those that the
// settings open.
func TestSocketsAreGuarded(t *testing.T) {
	t.Parallel()
	var sockets []*os.File
	for range 2 {
		socket, _ := handedOver(t, "0.0.0.0:0", "any")
		sockets = append(sockets, socket)
	}
	p := launchActivated(t, t.TempDir(), sockets, "--upstream", "http://127.0.0.1:9")
	t.Cleanup(p.kill)
	if p.await() {
		t.Fatalf("it accepts events from everywhere:\n%s", p.log)
	}
	var exit *exec.ExitError
	err := <-p.ended
	p.ended <- err // for kill
	if !errors.As(err, &exit) || exit.ExitCode() != exitConfig {
		t.Errorf("it ended with %v, not with status %d", err, exitConfig)
	}
	for _, part := range []string{"systemd's socket: listen: ", "allow_plain", "systemd's socket: admin: ", "tokens"} {
		if !strings.Contains(p.log.String(), part) {
			t.Errorf("the error lacks %q:\n%s", part, p.log)
		}
	}
}

// Each door gets its socket, and no socket is left where nobody accepts.
func TestDoorsOf(t *testing.T) {
	for _, c := range []struct {
		names        string
		front, admin int // the index of its socket, -1 for none
		wrong        string
	}{
		{"front admin", 0, 1, ""},
		{"admin front", 1, 0, ""},
		{"shoutrrrd.socket shoutrrrd.socket", 0, 1, ""},
		{"shoutrrrd.socket front", 1, 0, ""},
		{"shoutrrrd.socket admin", 0, 1, ""},
		{"front", 0, -1, ""},
		{"admin", -1, 0, ""},
		{"", -1, -1, ""},
		{"front front", -1, -1, "two sockets for the events listener"},
		{"a b c", -1, -1, "two sockets for the admin listener"},
	} {
		t.Run(c.names, func(t *testing.T) {
			var files []*os.File
			var addresses []string
			for _, name := range strings.Fields(c.names) {
				file, address := handedOver(t, "127.0.0.1:0", name)
				files, addresses = append(files, file), append(addresses, address)
			}
			found, err := doorsOf(files)
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) {
					t.Errorf("got %v, want %q", err, c.wrong)
				}
				// Whoever calls is turned away at once, and does not wait.
				for _, address := range addresses {
					if conn, err := net.Dial("tcp", address); err == nil {
						_ = conn.Close()
						t.Errorf("%s is open, and nobody accepts", address)
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for door, at := range map[string]int{"front": c.front, "admin": c.admin} {
				l := found[door]
				if (l == nil) != (at < 0) || l != nil && l.Addr().String() != addresses[at] {
					t.Errorf("the %s door has %v, of %v", door, l, addresses)
				}
				if l != nil {
					_ = l.Close()
				}
			}
		})
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "socket"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	unix, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := doorsOf([]*os.File{unix}); err == nil || !strings.Contains(err.Error(), "no TCP socket") {
		t.Errorf("a unix socket: %v", err)
	}
	// What is no socket at all is told.
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := doorsOf([]*os.File{file}); err == nil || !strings.Contains(err.Error(), "events listener") {
		t.Errorf("no socket: %v", err)
	}
}
