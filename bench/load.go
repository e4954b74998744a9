package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/containrrr/shoutrrr/pkg/router"
	"github.com/containrrr/shoutrrr/pkg/types"
)

const (
	parallelism = 64
	warmEvents  = 50 // of each of the parallel senders, before anything is counted
	warm        = "warm\n"
)

// sender sends its nth event.
type sender func(ctx context.Context, n int64) error

// clients are the senders that are compared, each router before its counterpart.
var clients = []struct {
	name string
	open func(target string) (sender, error)
}{
	{"derived-keys", routerDerived},
	{"derived-keys-by-hand", handSender(func(int64) string { return "shoutrrr-ukiz7x2cgmhulynlr3wgnt6cuu" })},
	{"distinct-keys", routerDistinct},
	{"distinct-keys-by-hand", handSender(distinctKey)},
}

func distinctKey(n int64) string { return "srv01/" + strconv.FormatInt(n, 10) }

func routerDerived(target string) (sender, error) {
	r, err := router.New(nil, "pagerduty://"+target+"/"+integrationKey)
	return func(ctx context.Context, _ int64) error {
		return r.Deliver(ctx, message, nil)[0].Err
	}, err
}

func routerDistinct(target string) (sender, error) {
	r, err := router.New(nil, "pagerduty://"+target+"/"+integrationKey)
	return func(ctx context.Context, n int64) error {
		return r.Deliver(ctx, message, &types.Params{"dedup_key": distinctKey(n)})[0].Err
	}, err
}

// handSender keeps as many connections as there are senders: with net/http's own
// 2 it would open one for nearly every event.
func handSender(key func(int64) string) func(string) (sender, error) {
	return func(target string) (sender, error) {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxIdleConnsPerHost = parallelism
		h := byHand{client: &http.Client{Transport: transport}, url: "https://" + target + "/v2/enqueue"}
		return func(ctx context.Context, n int64) error {
			_, err := h.send(ctx, key(n), "error", nil)
			return err
		}, nil
	}
}

// runLoad is the client's process: it warms up, says so, waits for a line, sends
// for the time given, and prints events, nanoseconds and CPU nanoseconds.
func runLoad(name, target string, lasts time.Duration, in io.Reader, out io.Writer) error {
	for _, c := range clients {
		if c.name != name {
			continue
		}
		send, err := c.open(target)
		if err != nil {
			return err
		}
		var n atomic.Int64
		if err := inParallel(send, &n, func(sent int) bool { return sent < warmEvents }); err != nil {
			return err
		}
		fmt.Fprint(out, warm)
		if _, err := bufio.NewReader(in).ReadString('\n'); err != nil {
			return err
		}
		before, busy, start := n.Load(), cpuTime(), time.Now()
		if err := inParallel(send, &n, func(int) bool { return time.Since(start) < lasts }); err != nil {
			return err
		}
		elapsed := time.Since(start)
		_, err = fmt.Fprintln(out, n.Load()-before, elapsed.Nanoseconds(), cpuTime()-busy)
		return err
	}
	return fmt.Errorf("there is no client %q", name)
}

// inParallel sends with 64 goroutines while goOn says so.
func inParallel(send sender, n *atomic.Int64, goOn func(sent int) bool) error {
	var all sync.WaitGroup
	failed := make(chan error, parallelism)
	for range parallelism {
		all.Go(func() {
			for sent := 0; goOn(sent); sent++ {
				if err := send(context.Background(), n.Add(1)); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(failed)
	return <-failed
}

// cpuTime is what this process has used so far, in nanoseconds.
func cpuTime() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}
