package sqlite

import (
	"context"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// noteUpstream keeps whether an upstream has accepted nothing since its last failure. It is
// written when that changes, in the transaction that ends the attempt which has shown it.
func (w *writer) noteUpstream(x *queue.Settlement) error {
	if x.Upstream == "" || w.failing[x.Upstream] == x.Failing {
		return nil
	}
	before := w.failing[x.Upstream]
	w.tx.undo = append(w.tx.undo, func() { w.failing[x.Upstream] = before })
	w.failing[x.Upstream] = x.Failing
	if x.Failing {
		return w.exec(`INSERT OR IGNORE INTO failing (upstream) VALUES (?1)`, x.Upstream)
	}
	return w.exec(`DELETE FROM failing WHERE upstream = ?1`, x.Upstream)
}

// readFailing learns which upstreams the last process has seen fail.
func (w *writer) readFailing() error {
	rows, err := w.query(`SELECT upstream FROM failing`)
	if err != nil {
		return err
	}
	return each(rows, func(scan func(...any) error) error {
		var name string
		err := scan(txt(&name))
		w.failing[name] = true
		return err
	})
}

// Failing returns the upstreams that have accepted nothing since their last failure.
func (s *Store) Failing(ctx context.Context) (upstreams []string, err error) {
	err = s.rows(ctx, `SELECT upstream FROM failing ORDER BY upstream`, nil, func(scan func(...any) error) error {
		var name string
		err := scan(txt(&name))
		upstreams = append(upstreams, name)
		return err
	})
	return upstreams, err
}
