package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// The book is a small file beside the queue. It is no part of the queue: a disk of which
// only the queue's file is broken keeps it, and a call never waits for either. Its loss
// costs a second call for an outage that lasts, so it is not synced.

// readBook returns what was told before the last end. There may be no file. Beside another
// queue than its own, a restored one perhaps, it may have times of the future: they count as
// now, else an outage would not be over before they come. When it began names it, and stays.
func readBook(path string, now time.Time) ([]Outage, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var book []Outage
	if err := json.Unmarshal(data, &book); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for i := range book {
		o := &book[i]
		if o.Told == nil {
			o.Told = map[string]Stage{}
		}
		for _, at := range []*time.Time{&o.Seen, &o.Called, &o.Quiet, &o.Ended} {
			if at.After(now) {
				*at = now
			}
		}
	}
	return book, nil
}

// writeBook puts the new file into the place of the old one, so that a crash leaves one
// of them.
func writeBook(path string, book []Outage) error {
	if len(book) == 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	data, err := json.Marshal(book)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// saveAll writes the book when it has changed: in a goroutine of its own, as the disk may
// hang.
func (n *Notifier) saveAll(ctx context.Context) {
	failing := false
	for stopping := false; !stopping; {
		select {
		case <-n.saves:
		case <-ctx.Done():
			stopping = true
		}
		n.mu.Lock()
		var book []Outage
		for _, o := range n.book {
			if !o.Called.IsZero() { // what is not sure yet is seen again
				book = append(book, o)
			}
		}
		data := snapshot(book)
		n.mu.Unlock()
		err := writeBook(n.o.Book, data)
		if err != nil && !failing {
			n.o.Log.Warn("cannot keep for which outages help was called; after a restart one that lasts is called for again", "error", err)
		}
		failing = err != nil
	}
}
