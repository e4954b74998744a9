package relay

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// purges keeps the times of a purge and ends it.
type purges struct {
	Store
	before, unheard time.Time
	end             context.CancelFunc
}

func (p *purges) Purge(_ context.Context, before, unheard time.Time, _ int) (int, error) {
	p.before, p.unheard = before, unheard
	p.end()
	return 0, nil
}

// Open incidents are remembered for 30 days, however short the events are kept.
func TestIncidentsAreRememberedFor30Days(t *testing.T) {
	const month = 30 * 24 * time.Hour
	for retention, remembered := range map[time.Duration]time.Duration{time.Hour: month, 7 * 24 * time.Hour: month, 2 * month: 2 * month} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			store := &purges{end: cancel}
			gap := queue.Gap{Until: time.Now(), Long: 10 * 365 * 24 * time.Hour} // it does not count
			r := &Relay{o: Options{Store: store, Now: time.Now, Gaps: func() queue.Gaps { return queue.Gaps{gap} }, Retention: func() time.Duration { return retention }}}
			r.purgeAll(ctx)
			now := time.Now().Add(-gap.Long)
			if now.Sub(store.before) != retention || now.Sub(store.unheard) != remembered {
				t.Errorf("retention %v: events for %v, incidents for %v", retention, now.Sub(store.before), now.Sub(store.unheard))
			}
		})
	}
}
