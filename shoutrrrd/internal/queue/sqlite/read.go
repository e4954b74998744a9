package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

const columns = `id, lane, state, priority, severity, kind, action, dedup, accepted, fresh, due, ended, attempts, repeats, status, reason, pool, repairs, checksum, body`

// row is an event as it is stored.
type row struct {
	queue.Event
	checksum int64
}

// intact reports whether it is what was stored.
func (r *row) intact() bool {
	return r.checksum == checksum(r.Lane, r.Severity, string(r.Action), r.DedupKey, string(r.Body))
}

func scanEvent(scan func(...any) error) (row, error) {
	var e row
	var action, repairs string
	var accepted, fresh, due, ended int64
	err := scan(&e.ID, &e.Lane, &e.State, &e.Priority, &e.Severity, &e.Kind, &action, &e.DedupKey, &accepted, &fresh, &due, &ended,
		&e.Attempts, &e.Repeats, &e.Status, &e.Reason, &e.Pool, &repairs, &e.checksum, &e.Body)
	if err != nil {
		return e, err
	}
	if e.Severity >= queue.Ranks || e.Priority >= queue.Ranks || e.Kind > queue.Change {
		return e, fmt.Errorf("event %d: %w", e.ID, errDamaged)
	}
	e.Action = eventsv2.Action(action)
	e.Accepted, e.Fresh, e.Due, e.Ended = fromMillis(accepted), fromMillis(fresh), fromMillis(due), fromMillis(ended)
	if repairs != "" {
		e.Repairs = strings.Split(repairs, "\n")
	}
	return e, nil
}

// rows reads through the readers' connections.
func (s *Store) rows(ctx context.Context, text string, args []any, row func(scan func(...any) error) error) error {
	rows, err := s.read.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	return each(rows, row)
}

// each closes rows after it has handed each of them on.
func each(rows *sql.Rows, row func(scan func(...any) error) error) error {
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Event returns an event and its history.
func (s *Store) Event(ctx context.Context, id int64) (queue.Event, []queue.Entry, error) {
	e, err := scanEvent(s.read.QueryRowContext(ctx, `SELECT `+columns+` FROM event WHERE id = ?1`, id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return e.Event, nil, fmt.Errorf("event %d: %w", id, queue.ErrNotFound)
	}
	if err != nil {
		return e.Event, nil, err
	}
	s.finish(&e.Event)
	history, err := s.history(ctx, &e.Event)
	return e.Event, history, err
}

// finish completes what a row does not say.
func (s *Store) finish(e *queue.Event) {
	s.mu.RLock()
	_, e.InFlight = s.claims[e.ID]
	s.mu.RUnlock()
}

// history tells what the row says and what the log adds, in order.
func (s *Store) history(ctx context.Context, e *queue.Event) ([]queue.Entry, error) {
	entries := []queue.Entry{{At: e.Accepted, What: "accepted"}}
	for _, line := range e.Repairs {
		entries = append(entries, queue.Entry{At: e.Accepted, What: "repaired", Text: line})
	}
	if e.Repeats > 0 {
		entries = append(entries, queue.Entry{At: e.Fresh, What: "coalesced", Text: fmt.Sprintf("with %d later triggers; the latest is kept", e.Repeats)})
	}
	err := s.rows(ctx, `SELECT at, what, status, text, who FROM log WHERE event = ?1 ORDER BY n`, []any{e.ID},
		func(scan func(...any) error) error {
			var entry queue.Entry
			var at int64
			err := scan(&at, &entry.What, &entry.Status, &entry.Text, &entry.Who)
			entry.At = fromMillis(at)
			entries = append(entries, entry)
			return err
		})
	if e.State.Ended() && e.State != queue.Dropped { // a drop stands in the log, with its reason
		entries = append(entries, queue.Entry{At: e.Ended, What: e.State.String(), Status: e.Status, Text: e.Reason})
	}
	return entries, err
}

const (
	defaultPage = 50
	// maxRead bounds the rows that a search looks at: some tens of milliseconds of
	// work, with a text that is looked for.
	maxRead = 20_000
)

// Events returns a page of the events that the filter selects, the newest first.
func (s *Store) Events(ctx context.Context, f queue.Filter) (queue.Page, error) {
	if f.Limit <= 0 {
		f.Limit = defaultPage
	}
	if f.InFlight {
		return s.claimed(ctx, f)
	}
	q := newSearch(f)
	page := queue.Page{}
	var end int64 // the last row to look at
	if err := s.read.QueryRowContext(ctx, q.window(), q.args[0]).Scan(&end, &page.Read); err != nil {
		return page, err
	}
	err := s.rows(ctx, q.within(end), q.args, func(scan func(...any) error) error {
		if len(page.Events) > f.Limit {
			return errPageFull
		}
		e, err := scanEvent(scan)
		if err == nil && matches(&e.Event, f) {
			s.finish(&e.Event)
			page.Events = append(page.Events, e.Event)
		}
		return err
	})
	if errors.Is(err, errPageFull) {
		err = nil
	}
	switch {
	case len(page.Events) > f.Limit:
		page.Events = page.Events[:f.Limit]
		page.Next = page.Events[f.Limit-1].ID
	case page.Read == maxRead:
		page.Next = end
	}
	return page, err
}

var errPageFull = errors.New("the page is full")

// search is a filter as SQL: a window of so many rows, and what is looked for in it.
type search struct {
	from  string // the table, or an index of it
	base  string // what makes up the window, below ?1
	where string
	args  []any
}

// newSearch says what may match. Dead events have an index of their own, as they
// are few among millions.
func newSearch(f queue.Filter) *search {
	q := &search{from: "event", base: "id < ?1", where: "1", args: []any{int64(math.MaxInt64)}}
	if f.Before > 0 {
		q.args[0] = f.Before
	}
	if len(f.States) > 0 && !hasLive(f.States) {
		q.from, q.base = "event INDEXED BY event_dead", "id < ?1 AND state IN (5, 6)"
	}
	if len(f.States) > 0 {
		names := make([]string, len(f.States))
		for i, state := range f.States {
			names[i] = q.arg(int(state))
		}
		q.where += " AND state IN (" + strings.Join(names, ", ") + ")"
	}
	if f.Lane != 0 {
		q.where += " AND lane = " + q.arg(f.Lane)
	}
	if f.DedupKey != "" {
		q.where += " AND dedup = " + q.arg(f.DedupKey)
	}
	if f.AtLeast != nil {
		q.where += " AND severity <= " + q.arg(int(*f.AtLeast))
	}
	if f.Text != "" {
		pattern := q.arg(like(f.Text))
		q.where += " AND (body LIKE " + pattern + ` ESCAPE '\' OR reason LIKE ` + pattern + ` ESCAPE '\')`
	}
	return q
}

func (q *search) arg(value any) string {
	q.args = append(q.args, value)
	return fmt.Sprint("?", len(q.args))
}

// window gives the ID of the last row to look at, and how many there are.
func (q *search) window() string {
	return fmt.Sprintf("SELECT coalesce(min(id), 0), count(*) FROM (SELECT id FROM %s WHERE %s ORDER BY id DESC LIMIT %d)", q.from, q.base, maxRead)
}

// within gives what is looked for in the window.
func (q *search) within(end int64) string {
	return fmt.Sprintf("SELECT %s FROM %s WHERE %s AND id >= %d AND %s ORDER BY id DESC", columns, q.from, q.base, end, q.where)
}

// like is a pattern for whatever holds a text, and for a little more: LIKE folds the
// case of ASCII's letters alone, so that another one may be any.
func like(text string) string {
	var b strings.Builder
	b.WriteByte('%')
	for _, c := range text {
		switch {
		case c >= utf8.RuneSelf:
			b.WriteByte('_')
		case c == '%' || c == '_' || c == '\\':
			b.WriteByte('\\')
			fallthrough
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('%')
	return b.String()
}

func hasLive(states []queue.State) bool {
	for _, state := range states {
		if !state.Dead() {
			return true
		}
	}
	return false
}

func matches(e *queue.Event, f queue.Filter) bool {
	stateOK := len(f.States) == 0
	for _, state := range f.States {
		stateOK = stateOK || state == e.State
	}
	return stateOK &&
		(f.Lane == 0 || f.Lane == e.Lane) &&
		(f.DedupKey == "" || f.DedupKey == e.DedupKey) &&
		(f.AtLeast == nil || e.Severity <= *f.AtLeast) &&
		(f.Text == "" || containsFold(string(e.Body), f.Text) || containsFold(e.Reason, f.Text))
}

func containsFold(text, part string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(part))
}

// claimed lists the events in flight, of which there are few.
func (s *Store) claimed(ctx context.Context, f queue.Filter) (queue.Page, error) {
	s.mu.RLock()
	ids := make([]int64, 0, len(s.claims))
	for id := range s.claims {
		ids = append(ids, id)
	}
	s.mu.RUnlock()
	page := queue.Page{}
	for _, id := range ids {
		e, _, err := s.Event(ctx, id)
		if err != nil {
			return page, err
		}
		page.Read++
		if e.InFlight && matches(&e, f) && len(page.Events) < f.Limit {
			page.Events = append(page.Events, e)
		}
	}
	return page, nil
}

// maxGroups is more than anybody reads.
const maxGroups = 200

// Groups returns the dead events by lane and reason, the largest groups first. It
// reads all dead events.
func (s *Store) Groups(ctx context.Context) ([]queue.Group, error) {
	var groups []queue.Group
	err := s.rows(ctx, `SELECT lane, state, status, reason, count(*), sum(severity = 0), min(accepted), max(id) FROM event INDEXED BY event_dead
		WHERE state IN (5, 6) GROUP BY lane, state, status, reason ORDER BY count(*) DESC, max(id) DESC LIMIT ?1`, []any{maxGroups},
		func(scan func(...any) error) error {
			var g queue.Group
			var oldest int64
			err := scan(&g.Lane, &g.State, &g.Status, &g.Reason, &g.Count, &g.Critical, &oldest, &g.Latest)
			g.Oldest = fromMillis(oldest)
			groups = append(groups, g)
			return err
		})
	return groups, err
}

// Members returns the IDs of up to n events of a group, the oldest first. Those
// that came after its Latest are not among them.
func (s *Store) Members(ctx context.Context, g queue.Group, n int) ([]int64, error) {
	var ids []int64
	err := s.rows(ctx, `SELECT id FROM event INDEXED BY event_dead WHERE state IN (5, 6) AND lane = ?1 AND state = ?2 AND status = ?3 AND reason = ?4 AND id <= ?5
		ORDER BY id LIMIT ?6`, []any{g.Lane, g.State, g.Status, g.Reason, g.Latest, n},
		func(scan func(...any) error) error {
			var id int64
			err := scan(&id)
			ids = append(ids, id)
			return err
		})
	return ids, err
}

// Recent returns when events of a lane were accepted by PagerDuty since then.
func (s *Store) Recent(ctx context.Context, lane int64, since time.Time) ([]time.Time, error) {
	var times []time.Time
	err := s.rows(ctx, `SELECT ended FROM event INDEXED BY event_done WHERE state IN (4, 7) AND ended >= ?2 AND lane = ?1 AND state = 4 ORDER BY ended`,
		[]any{lane, millis(since)}, func(scan func(...any) error) error {
			var ended int64
			err := scan(&ended)
			times = append(times, fromMillis(ended))
			return err
		})
	return times, err
}

// Shapes returns the undelivered events of each lane by severity and age. It reads
// all of them: 0.1 s for 100,000.
func (s *Store) Shapes(ctx context.Context, now time.Time) ([]queue.Shape, error) {
	var shapes []queue.Shape
	err := s.rows(ctx, `SELECT lane, severity, accepted FROM event WHERE state IN (0, 1, 2) ORDER BY lane`, nil,
		func(scan func(...any) error) error {
			var lane, accepted int64
			var severity queue.Rank
			if err := scan(&lane, &severity, &accepted); err != nil {
				return err
			}
			if len(shapes) == 0 || shapes[len(shapes)-1].Lane != lane {
				shapes = append(shapes, queue.NewShape(lane))
			}
			shapes[len(shapes)-1].Add(severity, now.Sub(fromMillis(accepted)))
			return nil
		})
	return shapes, err
}
