package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
)

// supervisor is systemd, if that has started this process; without it every method
// does nothing.
type supervisor struct{}

// listeners returns the sockets that systemd has opened, by the names that the
// socket unit gives them (FileDescriptorName=front or admin).
func (supervisor) listeners() (map[string]net.Listener, error) {
	named, err := activation.ListenersWithNames()
	if err != nil {
		return nil, fmt.Errorf("take over systemd's sockets: %w", err)
	}
	found := map[string]net.Listener{}
	for name, list := range named {
		switch name {
		case "front", "admin":
			found[name] = list[0]
		default: // a socket unit without names: the first is the front door
			for i, l := range list {
				found[[]string{"front", "admin"}[min(i, 1)]] = l
			}
		}
	}
	return found, nil
}

func (supervisor) ready(status string) { notify(daemon.SdNotifyReady + "\nSTATUS=" + status) }

func (supervisor) stopping() { notify(daemon.SdNotifyStopping) }

func (supervisor) reloading() {
	state := daemon.SdNotifyReloading
	if at := daemon.SdNotifyMonotonicUsec(); at != "" {
		state += "\n" + at
	}
	notify(state)
}

func notify(state string) { _, _ = daemon.SdNotify(false, state) } // without a supervisor nobody listens

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
			notify(daemon.SdNotifyWatchdog)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
