package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
)

// supervisor is systemd, if that has started this process; without it every method
// does nothing.
type supervisor struct{}

// inherited are the sockets that systemd has opened. A process can take them over
// once, and the settings need their addresses before the doors need them.
var inherited = sync.OnceValues(func() (map[string]net.Listener, error) { return doorsOf(activation.Files(true)) })

// listeners returns the sockets that systemd has opened, by the names that the
// socket unit gives them (FileDescriptorName=front or admin).
func (supervisor) listeners() (map[string]net.Listener, error) { return inherited() }

// addresses returns where those sockets listen, by the names of the settings: what
// guards a door has to fit its real address.
func (s supervisor) addresses() (map[string]string, error) {
	found, err := s.listeners()
	if err != nil {
		return nil, err
	}
	at := map[string]string{}
	for door, name := range map[string]string{"front": "listen", "admin": "admin"} {
		if l := found[door]; l != nil {
			at[name] = l.Addr().String()
		}
	}
	return at, nil
}

// doorsOf gives each door its socket: those with a name first, then the first free
// door to each that has another one. A socket too many is refused: its clients would
// wait for ever, as nobody accepts them.
func doorsOf(files []*os.File) (map[string]net.Listener, error) {
	isNamed := func(file *os.File) bool { return file.Name() == "front" || file.Name() == "admin" }
	found := map[string]net.Listener{}
	var wrong error
	for _, file := range files {
		if isNamed(file) {
			wrong = errors.Join(wrong, takeOver(found, file.Name(), file))
		}
	}
	for _, file := range files {
		if isNamed(file) {
			continue
		}
		door := "front"
		if found[door] != nil {
			door = "admin"
		}
		wrong = errors.Join(wrong, takeOver(found, door, file))
	}
	if wrong == nil {
		return found, nil
	}
	for _, l := range found {
		_ = l.Close() // the error says more
	}
	return nil, wrong
}

// listenerName is what people call the socket of that name.
func listenerName(door string) string {
	if door == "front" {
		return "events"
	}
	return door
}

func takeOver(found map[string]net.Listener, door string, file *os.File) error {
	defer file.Close() // the listener has a copy of its own
	if found[door] != nil {
		return fmt.Errorf("systemd has opened two sockets for the %s listener, and it has one: take a ListenStream= out", listenerName(door))
	}
	l, err := net.FileListener(file)
	if err != nil {
		return fmt.Errorf("take over systemd's socket for the %s listener: %w", listenerName(door), err)
	}
	if _, isTCP := l.Addr().(*net.TCPAddr); !isTCP {
		_ = l.Close() // the error says more
		return fmt.Errorf("systemd's socket for the %s listener is no TCP socket: give ListenStream= an address and a port", listenerName(door))
	}
	found[door] = l
	return nil
}

func (supervisor) ready(status string) { sdNotify(daemon.SdNotifyReady + "\nSTATUS=" + status) }

func (supervisor) stopping() { sdNotify(daemon.SdNotifyStopping) }

func (supervisor) reloading() {
	state := daemon.SdNotifyReloading
	if at := daemon.SdNotifyMonotonicUsec(); at != "" {
		state += "\n" + at
	}
	sdNotify(state)
}

func sdNotify(state string) { _, _ = daemon.SdNotify(false, state) } // without a supervisor nobody listens

// watch tells the watchdog that all is well while it is.
func (supervisor) watch(ctx context.Context, healthy func() bool) {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil || every == 0 {
		return
	}
	ticker := time.NewTicker(every / 3)
	defer ticker.Stop()
	for {
		if healthy() {
			sdNotify(daemon.SdNotifyWatchdog)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
