package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pagerdutytest"
)

// notifySocket stands for systemd and hands on each message.
func notifySocket(t *testing.T, dir string) (path string, told <-chan string) {
	t.Helper()
	path = filepath.Join(dir, "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() }) // the reader below ends with it
	messages := make(chan string, 100)
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := socket.Read(buffer)
			if err != nil {
				close(messages)
				return
			}
			messages <- string(buffer[:n])
		}
	}()
	return path, messages
}

// The watchdog hears nothing of a relay that is not well, so that systemd starts it
// anew, and hears of it again once it is.
func TestWatchdogOnlyWhileHealthy(t *testing.T) {
	path, told := notifySocket(t, t.TempDir())
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "3000")
	t.Setenv("WATCHDOG_PID", "")
	ctx, cancel := context.WithCancel(t.Context())
	well, ended := make(chan bool), make(chan struct{})
	go func() {
		defer close(ended)
		supervisor{}.watch(ctx, func() bool {
			select {
			case is := <-well:
				return is
			case <-ctx.Done():
				return false
			}
		})
	}()
	var want, got []string
	for _, is := range []bool{true, false, false, true, false, true, false} {
		well <- is
		if is {
			want = append(want, "WATCHDOG=1")
		}
	}
	cancel()
	<-ended
	sdNotify("END") // messages come in the order in which they are sent
	for message := range told {
		if message == "END" {
			break
		}
		got = append(got, message)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the watchdog has heard %q, want %q", got, want)
	}
}

// The daemon tells its supervisor when it is ready, that it is well, that it reads
// its configuration anew, and that it stops.
func TestSupervisor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	address, told := notifySocket(t, dir)
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
	p := launchWith(t, dir, []string{"NOTIFY_SOCKET=" + address, "WATCHDOG_USEC=300000"}, "--upstream", upstream.URL())
	t.Cleanup(p.kill)
	if !p.await() {
		t.Fatalf("it has not started:\n%s", p.log)
	}
	want("READY=1", "STATUS=accepting events at http://127.0.0.1:")
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
