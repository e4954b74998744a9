package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pagerdutytest"
)

// The daemon tells its supervisor when it is ready, that it is well, that it reads
// its configuration anew, and that it stops.
func TestSupervisor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	address := &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"}
	socket, err := net.ListenUnixgram("unixgram", address)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	told := make(chan string, 100)
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := socket.Read(buffer)
			if err != nil {
				close(told)
				return
			}
			told <- string(buffer[:n])
		}
	}()
	want := func(parts ...string) {
		t.Helper()
		timer := time.NewTimer(20 * time.Second)
		defer timer.Stop()
		for {
			select {
			case message := <-told:
				all := true
				for _, part := range parts {
					all = all && strings.Contains(message, part)
				}
				if all {
					return
				}
			case <-timer.C:
				t.Fatalf("the supervisor has not heard %q", parts)
			}
		}
	}
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{})
	p := launchWith(t, dir, []string{"NOTIFY_SOCKET=" + address.Name, "WATCHDOG_USEC=300000"}, "--upstream", upstream.URL())
	t.Cleanup(p.kill)
	if !p.await() {
		t.Fatalf("it has not started:\n%s", p.log)
	}
	want("READY=1", "STATUS=accepting events at 127.0.0.1:")
	want("WATCHDOG=1")
	if err := p.cmd.Process.Signal(hangup); err != nil {
		t.Fatal(err)
	}
	want("RELOADING=1", "MONOTONIC_USEC=")
	want("READY=1")
	if err := p.stop(t); err != nil {
		t.Error(err)
	}
	want("STOPPING=1")
}

// The daemon takes over the sockets that its supervisor has opened.
func TestSocketActivation(t *testing.T) {
	t.Parallel()
	upstream := pagerdutytest.NewServer(t, pagerdutytest.Options{})
	var files []*os.File
	var addresses []string
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		file, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		addresses = append(addresses, l.Addr().String())
		_ = l.Close()
		files = append(files, file)
	}
	// LISTEN_PID has to be the daemon's own, which only the daemon's parent knows
	// after the start: a shell says so before it becomes the daemon.
	p := launchActivated(t, t.TempDir(), files, "--upstream", upstream.URL())
	t.Cleanup(p.kill)
	if !p.await() {
		t.Fatalf("it has not started:\n%s", p.log)
	}
	if p.front != "http://"+addresses[0] || p.admin != "http://"+addresses[1] {
		t.Errorf("it listens at %s and %s, not at %v", p.front, p.admin, addresses)
	}
	p.flood(t, 1, func(int) string { return trigger("activated", "error", "by a socket") })
	upstream.WantIncident(t, "activated").Triggered()
}
