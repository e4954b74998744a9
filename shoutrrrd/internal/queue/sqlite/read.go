package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

const (
	listColumns = cellColumns + `, kind, action, dedup, accepted, pool, key, repairs, summary, source`
	columns     = listColumns + `, body`
)

// row is an event as it is stored.
type row struct {
	cells
	facts
	sealed bool // its cells are what was written
}

// scan reads all columns.
func (r *row) scan(scan func(...any) error) error { return r.scanInto(scan, txt(&r.body)) }

// scanList reads all columns but the body.
func (r *row) scanList(scan func(...any) error) error { return r.scanInto(scan) }

func (r *row) scanInto(scan func(...any) error, more ...any) (err error) {
	r.sealed, err = r.cells.scan(scan, append([]any{
		num(&r.kind), txt(&r.action), txt(&r.dedup), num(&r.accepted), txt(&r.pool), txt(&r.key), txt(&r.repairs), txt(&r.summary), txt(&r.source),
	}, more...)...)
	return err
}

// intact reports whether the content is what was written for a lane of that key.
func (r *row) intact(key eventsv2.Key) bool { return r.cells.content == r.sum(key) }

// event returns it as the queue's users see it.
func (r *row) event() queue.Event {
	e := queue.Event{
		ID: r.id, Lane: r.lane, Kind: r.kind, Action: r.action, DedupKey: r.dedup, State: r.state,
		Severity: min(r.severity, queue.Info), Priority: min(r.priority, queue.Info), Accepted: fromMillis(r.accepted), Fresh: fromMillis(r.fresh), Due: fromMillis(r.due),
		Attempts: r.attempts, Repeats: r.repeats, Repairs: splitLines(r.repairs), Summary: r.summary, Source: r.source,
		Ended: fromMillis(r.ended), Status: r.status, Reason: r.reason,
	}
	if r.body != "" {
		e.Body = []byte(r.body)
	}
	if r.key != "" {
		if own, err := eventsv2.ParseKey(r.key); err == nil {
			e.Key = own
		}
	}
	return e
}

// eventOf returns a row that a reader has read.
func (s *Store) eventOf(r *row) queue.Event {
	s.mu.RLock()
	defer s.mu.RUnlock()
	e := r.event()
	_, e.InFlight = s.claims[e.ID]
	return e
}

// rows reads through the readers' connections.
func (s *Store) rows(ctx context.Context, text string, args []any, row func(scan func(...any) error) error) error {
	rows, err := s.read.QueryContext(ctx, text, args...)
	if err == nil {
		err = each(rows, row)
	}
	return s.noted(err)
}

// row reads one row through the readers' connections.
func (s *Store) row(ctx context.Context, text string, args []any, into func(scan func(...any) error) error) error {
	return s.noted(into(s.read.QueryRowContext(ctx, text, args...).Scan))
}

// noted makes a damaged file that a reader has met known to the writer: the process
// ends, and the next one takes over what can be read.
func (s *Store) noted(err error) error {
	if err != nil && isDamage(err) {
		return s.fail(err)
	}
	return err
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
	var r row
	err := s.row(ctx, `SELECT `+columns+` FROM event WHERE id = ?1`, []any{id}, r.scan)
	if errors.Is(err, sql.ErrNoRows) {
		return queue.Event{}, nil, fmt.Errorf("event %d: %w", id, queue.ErrNotFound)
	}
	if err != nil {
		return queue.Event{}, nil, err
	}
	list := []queue.Event{s.eventOf(&r)}
	if err := s.withFolded(ctx, list); err != nil {
		return queue.Event{}, nil, err
	}
	history, err := s.history(ctx, &list[0])
	return list[0], history, err
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
			err := scan(num(&at), txt(&entry.What), num(&entry.Status), txt(&entry.Text), txt(&entry.Who))
			if entry.At = fromMillis(at); entry.What == inVain {
				entry.What = "attempt"
			}
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
	// maxRead bounds the rows that a page of a search looks at: 20 ms of work without a
	// text, 50 ms with a text and bodies of 600 bytes (measured on 2 cores).
	maxRead = 20_000
	// maxSearched bounds the bytes of the bodies that a page of a search for a text
	// looks at: 0.2 s of work. A single body may be larger; then a page has that one.
	maxSearched = 64 << 20
)

// shownColumns are the columns that a list shows. The body is not among them: it may
// have 500 kB, and a list 500 events. What was repaired is cut: a client decides how
// much that is.
var shownColumns = strings.Replace(listColumns, "repairs", "substr(repairs, 1, 4096)", 1)

// Events returns a page of the events that the filter selects, the newest first,
// without their bodies.
func (s *Store) Events(ctx context.Context, f queue.Filter) (queue.Page, error) {
	if f.Limit <= 0 {
		f.Limit = defaultPage
	}
	if f.InFlight {
		return s.claimed(ctx, f)
	}
	q := newSearch(f)
	page := queue.Page{}
	end, more, err := s.window(ctx, q, &page)
	if err != nil {
		return page, err
	}
	err = s.rows(ctx, q.within(end, f.Limit+1), q.args, func(scan func(...any) error) error {
		var r row
		if err := r.scan(scan); err != nil {
			return err
		}
		if e := s.eventOf(&r); matches(&e, f, q.exact) {
			e.Body = nil
			page.Events = append(page.Events, e)
			if len(page.Events) > f.Limit {
				return errPageFull
			}
		}
		return nil
	})
	if errors.Is(err, errPageFull) {
		err = nil
	}
	switch {
	case len(page.Events) > f.Limit:
		page.Events = page.Events[:f.Limit]
		page.Next = page.Events[f.Limit-1].ID
	case more:
		page.Next = end
	}
	if err == nil {
		err = s.withFolded(ctx, page.Events)
	}
	if q.all() { // each row that was looked at is on the page
		page.Read = len(page.Events)
	}
	return page, err
}

var errPageFull = errors.New("the page is full")

// Listed returns an event as lists have it: without its body.
func (s *Store) Listed(ctx context.Context, id int64) (queue.Event, error) {
	var r row
	err := s.row(ctx, `SELECT `+shownColumns+` FROM event WHERE id = ?1`, []any{id}, r.scanList)
	if errors.Is(err, sql.ErrNoRows) {
		return queue.Event{}, fmt.Errorf("event %d: %w", id, queue.ErrNotFound)
	}
	if err != nil {
		return queue.Event{}, err
	}
	list := []queue.Event{s.eventOf(&r)}
	err = s.withFolded(ctx, list)
	return list[0], err
}

// search is a filter as SQL: a window of so many rows and bytes, and what is looked
// for in it.
type search struct {
	from  string // the table, or an index of it
	base  string // what makes up the window, below ?1
	where string // what is looked for, but for a text; "1" for everything
	text  string // the text that is looked for; "1" for none
	exact bool   // SQL alone decides about the text: a row that it finds has it
	args  []any
}

// newSearch says what may match. Dead events have an index of their own, as they
// are few among millions.
func newSearch(f queue.Filter) *search {
	q := &search{from: "event", base: "id < ?1", where: "1", text: "1", exact: isASCII(f.Text), args: []any{int64(math.MaxInt64)}}
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
		q.text = "(body LIKE " + pattern + ` ESCAPE '\' OR reason LIKE ` + pattern + ` ESCAPE '\')`
	}
	return q
}

func (q *search) arg(value any) string {
	q.args = append(q.args, value)
	return fmt.Sprint("?", len(q.args))
}

// all reports whether every row below the cursor is on the page.
func (q *search) all() bool { return q.where == "1" && q.text == "1" }

// window sets how many rows a page looks at and returns the ID of the last of them,
// and whether there are more behind it.
func (s *Store) window(ctx context.Context, q *search, page *queue.Page) (end int64, more bool, err error) {
	if q.all() {
		return 0, false, nil
	}
	// What the other words exclude costs no look into a body.
	bytes := "0"
	if q.text != "1" {
		bytes = "CASE WHEN " + q.where + " THEN size ELSE 0 END"
	}
	rows := fmt.Sprintf("SELECT id, %s AS bytes FROM %s WHERE %s ORDER BY id DESC LIMIT %d", bytes, q.from, q.base, maxRead)
	args := q.args
	if q.text == "1" {
		args = args[:1]
	}
	var total int64
	err = s.row(ctx, "SELECT coalesce(min(id), 0), count(*), coalesce(sum(bytes), 0) FROM ("+rows+")", args, func(scan func(...any) error) error {
		return scan(&end, &page.Read, &total)
	})
	if err != nil || total <= maxSearched {
		return end, page.Read == maxRead, err
	}
	end, page.Read, total = 0, 0, 0
	err = s.rows(ctx, rows, args, func(scan func(...any) error) error {
		var id, n int64
		if err := scan(&id, &n); err != nil {
			return err
		}
		if total += n; total > maxSearched && page.Read > 0 {
			return errPageFull
		}
		end = id
		page.Read++
		return nil
	})
	if errors.Is(err, errPageFull) {
		err = nil
	}
	return end, true, err
}

// within gives what is looked for in the window. A body is read where SQL alone
// cannot decide about the text.
func (q *search) within(end int64, limit int) string {
	body := "NULL"
	if !q.exact {
		body, limit = "body", -1
	}
	return fmt.Sprintf("SELECT %s, %s FROM %s WHERE %s AND id >= %d AND %s AND %s ORDER BY id DESC LIMIT %d", shownColumns, body, q.from, q.base, end, q.where, q.text, limit)
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool { return c >= utf8.RuneSelf })
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

// matches reports whether an event is selected. The text is looked for in its body
// and its reason, unless SQL has found it already.
func matches(e *queue.Event, f queue.Filter, found bool) bool {
	stateOK := len(f.States) == 0
	for _, state := range f.States {
		stateOK = stateOK || state == e.State
	}
	return stateOK &&
		(f.Lane == 0 || f.Lane == e.Lane) &&
		(f.DedupKey == "" || f.DedupKey == e.DedupKey) &&
		(f.AtLeast == nil || e.Severity <= *f.AtLeast) &&
		(f.Text == "" || found || containsFold(string(e.Body), f.Text) || containsFold(e.Reason, f.Text))
}

func containsFold(text, part string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(part))
}

// claimed lists the events in flight, of which there are few, the newest first.
func (s *Store) claimed(ctx context.Context, f queue.Filter) (queue.Page, error) {
	s.mu.RLock()
	ids := make([]int64, 0, len(s.claims))
	for id := range s.claims {
		if f.Before == 0 || id < f.Before {
			ids = append(ids, id)
		}
	}
	s.mu.RUnlock()
	slices.SortFunc(ids, func(a, b int64) int { return cmp.Compare(b, a) })
	body := "NULL"
	if f.Text != "" {
		body = "body"
	}
	page := queue.Page{}
	for _, id := range ids {
		if len(page.Events) == f.Limit {
			page.Next = page.Events[f.Limit-1].ID
			break
		}
		var r row
		err := s.row(ctx, `SELECT `+shownColumns+`, `+body+` FROM event WHERE id = ?1`, []any{id}, r.scan)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return page, err
		}
		page.Read++
		if e := s.eventOf(&r); e.InFlight && matches(&e, f, false) {
			e.Body = nil
			page.Events = append(page.Events, e)
		}
	}
	return page, s.withFolded(ctx, page.Events)
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
			err := scan(num(&g.Lane), num(&g.State), num(&g.Status), txt(&g.Reason), num(&g.Count), num(&g.Critical), num(&oldest), num(&g.Latest))
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

// Recent returns when PagerDuty accepted events since then, or may have accepted them, by
// lane, the earliest first. It is one query for all lanes.
func (s *Store) Recent(ctx context.Context, since time.Time) (map[int64][]queue.Acceptance, error) {
	times := map[int64][]queue.Acceptance{}
	err := s.rows(ctx, `SELECT lane, ended AS at, priority, 1 FROM event INDEXED BY event_done WHERE state IN (4, 7) AND ended >= ?1 AND state = 4
		UNION ALL SELECT lane, at, priority, requests FROM counted WHERE at >= ?1 ORDER BY at, priority`,
		[]any{millis(since)}, func(scan func(...any) error) error {
			var lane, at, requests int64
			var left queue.Rank
			err := scan(num(&lane), num(&at), num(&left), num(&requests))
			for range min(requests, 2) {
				times[lane] = append(times[lane], queue.Acceptance{At: fromMillis(at), Critical: left == queue.Critical})
			}
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
			if err := scan(num(&lane), num(&severity), num(&accepted)); err != nil {
				return err
			}
			if len(shapes) == 0 || shapes[len(shapes)-1].Lane != lane {
				shapes = append(shapes, queue.NewShape(lane))
			}
			shapes[len(shapes)-1].Add(min(severity, queue.Info), now.Sub(fromMillis(accepted)))
			return nil
		})
	return shapes, err
}
