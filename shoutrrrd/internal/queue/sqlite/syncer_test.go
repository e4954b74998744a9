package sqlite

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// slowDisk asks how an fsync ends, while it is slow.
type slowDisk struct {
	realDisk
	slow  atomic.Bool
	asked chan struct{}
	end   chan error
}

func (d *slowDisk) Sync(file *os.File) error {
	if !d.slow.Load() {
		return d.realDisk.Sync(file)
	}
	d.asked <- struct{}{}
	return <-d.end
}

// What comes while the disk is busy is carried out meanwhile, and shares the next
// fsync. Nobody hears of it before that.
func TestBusyDisk(t *testing.T) {
	disk := &slowDisk{asked: make(chan struct{}), end: make(chan error)}
	s := openTest(t, Options{disk: disk})
	lane := laneOf(t, s)
	disk.slow.Store(true)
	const late = 40
	answers := make(chan error, 1+late)
	carriedOut := make(chan struct{})
	put := func(dedup string) {
		e := event(lane, eventsv2.Trigger, dedup, queue.Error)
		answers <- s.submit(t.Context(), func(w *writer) error {
			_, err := w.put(&e)
			carriedOut <- struct{}{}
			return err
		})
	}
	go put("first")
	<-carriedOut
	<-disk.asked
	var all sync.WaitGroup
	for i := range late {
		all.Go(func() { put(fmt.Sprint("late", i)) })
	}
	for range late { // one after the other, and the disk has not moved
		<-carriedOut
	}
	if n := len(answers); n != 0 {
		t.Fatalf("%d answers before the first fsync has ended", n)
	}
	disk.end <- nil
	if err := <-answers; err != nil {
		t.Fatal(err)
	}
	<-disk.asked
	if n := len(answers); n != 0 {
		t.Fatalf("%d answers before the second fsync has ended", n)
	}
	disk.end <- nil
	all.Wait() // a third fsync would hang here
	close(answers)
	for err := range answers {
		if err != nil {
			t.Error(err)
		}
	}
	disk.slow.Store(false)
}
