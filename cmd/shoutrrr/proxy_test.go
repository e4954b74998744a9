package main

import (
	"net"
	"strings"
	"testing"

	"github.com/containrrr/shoutrrr/internal/keyleak"
)

// A proxy never gets the key of a URL with disabletls: the command says so and does
// not even call it.
func TestNoKeyToAProxyInClear(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	called := make(chan struct{}, 1)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
			called <- struct{}{}
		}
	}()
	environ := []string{"HTTP_PROXY=http://" + listener.Addr().String()}
	out, status := runBinary(t, t.TempDir(), environ, "send", "-u", "pagerduty://relay.internal:8686/"+scriptKey+"?disabletls=yes", "-m", "Disk full")
	if status != exitUnreachable || !strings.Contains(out, "add relay.internal to NO_PROXY") {
		t.Errorf("exit status %d: %s", status, out)
	}
	keyleak.Check(t, scriptKey, keyleak.Text("the error", out))
	out, status = runBinary(t, t.TempDir(), environ, "verify", "-u", "pagerduty://relay.internal:8686/"+scriptKey+"?disabletls=yes")
	if status != exitConfig || !strings.Contains(out, "add relay.internal to NO_PROXY") {
		t.Errorf("verify: exit status %d: %s", status, out)
	}
	select {
	case <-called:
		t.Error("the proxy was called")
	default:
	}
	// This machine itself is reached without the proxy.
	url, _, _ := startSandbox(t, t.TempDir())
	if out, status := runBinary(t, t.TempDir(), environ, "send", "-u", url, "-m", "Disk full"); status != 0 {
		t.Errorf("exit status %d: %s", status, out)
	}
}
