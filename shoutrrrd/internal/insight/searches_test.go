package insight

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// Searches have so many places, and one client a share of them. The next one waits for
// a place, at most for five seconds.
func TestSearchesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s searches
		begin := func(client string) (func(), error) { return s.begin(context.Background(), client) }
		var ends []func()
		for _, client := range []string{"ana", "ana", "ben", "cem"} {
			end, err := begin(client)
			if err != nil {
				t.Fatal(err)
			}
			ends = append(ends, end)
		}
		started := time.Now()
		if _, err := begin("dan"); !errors.Is(err, ErrBusy) || time.Since(started) != searchPatience {
			t.Errorf("a fifth search: %v after %v", err, time.Since(started))
		}
		waited := make(chan error)
		for _, client := range []string{"ana", "dan"} {
			go func() {
				end, err := begin(client)
				if err == nil {
					end()
				}
				waited <- err
			}()
		}
		synctest.Wait()
		ends[2]() // of ben: a place for dan, and ana's share is still used up
		if err := <-waited; err != nil {
			t.Errorf("after the end of another search: %v", err)
		}
		if err := <-waited; !errors.Is(err, ErrBusy) {
			t.Errorf("a third search of one client: %v", err)
		}
		canceled, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := s.begin(canceled, "ana"); !errors.Is(err, context.Canceled) {
			t.Errorf("a client that has left: %v", err)
		}
		ends[0]()
		ends[1]()
		ends[3]()
		if s.total != 0 || len(s.client) != 0 {
			t.Errorf("after the end of all: %d, %v", s.total, s.client)
		}
	})
}
