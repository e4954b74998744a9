package relay_test

import (
	"context"
	"errors"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

// seenAfter is when an attempt without an answer shows that something is the matter: a
// critical event goes out once more then.
const seenAfter = 3 * time.Second

// onset is the beginning of a trouble: of an upstream, or of one key at PagerDuty. No
// forecast can know of it before an attempt has met it.
type onset struct {
	began time.Time // in the world
	shown time.Time // the first attempt of the present process has failed by it, or had no answer for 3 s; zero if none has
}

// begins notes that a mood begins. One that follows another is a trouble of its own.
func begins(all []onset, mood string) []onset {
	if mood == "" {
		return all
	}
	return append(all, onset{began: time.Now()})
}

// show notes what the end of an attempt shows of the latest trouble.
func show(all []onset, began time.Time, err *eventsv2.Error) {
	if len(all) == 0 {
		return
	}
	last, silent := &all[len(all)-1], time.Since(began) >= seenAfter
	switch failed := err != nil && !errors.Is(err.Err, context.Canceled); {
	case !last.shown.IsZero(), began.Before(last.began), !failed && !silent:
	case silent:
		last.shown = began.Add(seenAfter)
	default:
		last.shown = time.Now()
	}
}

// forgets has a new process know of no trouble that goes on.
func forgets(all []onset) {
	if len(all) > 0 {
		all[len(all)-1].shown = time.Time{}
	}
}

// fell reports whether a trouble, which began by the one time, was shown after the other.
func fell(all []onset, by, after time.Time) bool {
	for _, o := range all {
		if o.began.Before(by) && o.shown.After(after) {
			return true
		}
	}
	return false
}

// hostMood sets the mood of a host; "" is none.
func (u *upstream) hostMood(host, mood string) {
	u.moods[host] = mood
	h := u.w.judge.host(host)
	h.onsets = begins(h.onsets, mood)
}

// takes sets what a key may send in a minute; 0 is any number.
func (u *upstream) takes(truth int) {
	if truth > 0 && (u.truth == 0 || truth < u.truth) {
		for key := range u.w.keys {
			u.w.judge.lowered[key] = begins(u.w.judge.lowered[key], "lowered")
		}
	}
	u.truth = truth
}

// keyMood sets the mood that one key meets; "" is none.
func (u *upstream) keyMood(key int, mood string) {
	u.keys[key] = mood
	u.w.judge.onsets[key] = begins(u.w.judge.onsets[key], mood)
}
