package intake

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// tellEvery is how often events that are turned away are told of. With a full disk
// and many clients, a line for each would be one more thing to fill it.
const tellEvery = 10 * time.Second

// trouble is a time in which events are turned away.
type trouble struct {
	on sync.Mutex
	is atomic.Bool // so that good times cost one look

	last   time.Time // that it was told of
	latest time.Time // that an event was turned away
	untold int       // events that were turned away since then
	total  int       // and in all of this time
}

// tell logs the first event that is turned away, and later ones in summary.
func (t *trouble) tell(log *slog.Logger, now time.Time, lane string, err error) {
	t.on.Lock()
	defer t.on.Unlock()
	t.total++
	t.untold++
	t.latest = now
	if t.is.Load() && now.Sub(t.last) < tellEvery {
		return
	}
	log.Error("events are turned away", "lane", lane, "events", t.untold, "why", err)
	t.is.Store(true)
	t.last, t.untold = now, 0
}

// over hears that an event was kept, and logs that events are kept again if none was
// turned away for a while: strangers may have no room for hours beside others who have.
func (t *trouble) over(log *slog.Logger, now time.Time) {
	if !t.is.Load() {
		return
	}
	t.on.Lock()
	defer t.on.Unlock()
	if now.Sub(t.latest) >= tellEvery && t.is.Swap(false) {
		log.Info("events are kept again", "turned_away", t.total)
		t.total, t.untold = 0, 0
	}
}
