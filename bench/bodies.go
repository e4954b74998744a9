package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/containrrr/shoutrrr/internal/bodies"
)

// largestBodies posts the largest body that the relay reads, in each of the shapes that
// cost more than their length shows, and measures the slowest answer.
func (b *relayBench) largestBodies(t table) error {
	relay, err := b.startRelay(filepath.Join(b.dir, "bodies.db"), 300)
	if err != nil {
		return err
	}
	defer relay.stop()
	var took []float64
	slowest, shape := 0.0, ""
	for _, s := range bodies.Shapes() {
		seconds, err := post(relay.addr, s.Body(bodies.Most))
		if err != nil {
			return fmt.Errorf("a body of %s: %w", s.Name, err)
		}
		took = append(took, seconds)
		if seconds > slowest {
			slowest, shape = seconds, s.Name
		}
	}
	t.row(fmt.Sprintf("the slowest answer to a body of 2 MiB, of %d shapes / 1 s", len(took)), ratios{slowest}, atMost(1),
		fmt.Sprintf("%.0f ms: %s; median %.0f ms", slowest*1000, shape, median(took)*1000))
	return nil
}

// post sends a body over a connection of its own, as the answer to a bad one ends it, and
// returns the seconds to the answer, which is to be 202, 400 or 413.
func post(addr string, body []byte) (seconds float64, err error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	begun := time.Now()
	head := fmt.Sprintf("POST /v2/enqueue HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n", addr, len(body))
	if _, err := conn.Write(append([]byte(head), body...)); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusAccepted, http.StatusBadRequest, http.StatusRequestEntityTooLarge:
	default:
		return 0, fmt.Errorf("the answer is %s", resp.Status)
	}
	return time.Since(begun).Seconds(), err
}
