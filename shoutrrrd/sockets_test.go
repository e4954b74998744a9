package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// opened returns a socket as systemd hands it over.
func opened(t *testing.T, network, address, name string) *os.File {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if unix, ok := l.(*net.UnixListener); ok {
		unix.SetUnlinkOnClose(false)
	}
	file, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fd, err := syscall.Dup(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), name)
}

// Doors that systemd has opened to other machines are guarded as those that the
// settings open.
func TestSocketsAreGuarded(t *testing.T) {
	t.Parallel()
	var sockets []*os.File
	for range 2 {
		sockets = append(sockets, opened(t, "tcp", "0.0.0.0:0", "any"))
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

// Each door gets its socket, and no socket is left without somebody who accepts.
func TestDoorsOf(t *testing.T) {
	for _, c := range []struct {
		names string
		front int // index of its socket
		admin int
		wrong string
	}{
		{"front admin", 0, 1, ""},
		{"admin front", 1, 0, ""},
		{"shoutrrrd.socket shoutrrrd.socket", 0, 1, ""},
		{"shoutrrrd.socket front", 1, 0, ""},
		{"front", 0, -1, ""},
		{"admin", -1, 0, ""},
		{"", -1, -1, ""},
		{"front front", -1, -1, "two sockets for the front door"},
		{"a b c", -1, -1, "two sockets for the admin door"},
	} {
		t.Run(c.names, func(t *testing.T) {
			var files []*os.File
			var addresses []string
			for _, name := range strings.Fields(c.names) {
				file := opened(t, "tcp", "127.0.0.1:0", name)
				t.Cleanup(func() { _ = file.Close() })
				l, err := net.FileListener(file)
				if err != nil {
					t.Fatal(err)
				}
				addresses = append(addresses, l.Addr().String())
				_ = l.Close()
				files = append(files, file)
			}
			found, err := doorsOf(files)
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for door, at := range map[string]int{"front": c.front, "admin": c.admin} {
				l := found[door]
				if l == nil != (at < 0) || l != nil && l.Addr().String() != addresses[at] {
					t.Errorf("the %s door has %v of %v", door, l, addresses)
				}
				if l != nil {
					_ = l.Close()
				}
			}
		})
	}
	unix := opened(t, "unix", filepath.Join(t.TempDir(), "socket"), "front")
	if _, err := doorsOf([]*os.File{unix}); err == nil || !strings.Contains(err.Error(), "no TCP socket") {
		t.Errorf("a unix socket: %v", err)
	}
}
