package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Salvaged says what was taken over from a damaged file.
type Salvaged struct {
	File          string `json:"file"`                     // that was set aside
	Lanes         int    `json:"lanes"`                    // taken over
	Events        int    `json:"events"`                   // taken over: undelivered ones and dead letters
	Damaged       int    `json:"damaged"`                  // events that can be read and are not what was written; they stay in the file
	NoKey         int    `json:"no_key"`                   // events whose integration key is lost; they stay in the file
	Unreadable    int    `json:"unreadable"`               // events that an index or a chain knows, and of which nothing can be read
	IncidentsLost bool   `json:"incidents_lost,omitempty"` // what was remembered of open incidents cannot be read, or not all of it
}

// LostIncidents says what it means that [Salvaged.IncidentsLost].
const LostIncidents = "what the relay remembered of open incidents was lost, or some of it: an acknowledge or resolve of such an incident goes by the key that it names, and PagerDuty ignores it if another key has opened the incident; resolve at PagerDuty what stays open"

// salvage takes over what can be read of a damaged file. It is one transaction,
// which says so in the new file: nothing is taken over twice. What cannot be read
// stays where it is, in the file that was set aside. The bounds on the queue do not
// apply: all of this was accepted once.
type salvage struct {
	w         *writer
	old       *sql.DB
	first     bool                     // the file has version 1
	older     bool                     // its lanes are those of a version before 5
	sticky    bool                     // or 2: it knows incidents of pools alone
	folds     bool                     // it has what events tell of others
	keys      map[int64][]eventsv2.Key // that a lane may have, of both copies
	known     map[int64]bool           // lanes that are taken over
	lostLanes bool                     // not all of them can be read
	rows      map[int64]laneRow        // of lanes whose row is what was written
	behind    map[int64][]row          // events that come behind one with a higher number
	report    Salvaged

	pages   *pages
	order   []int // of the columns that are read, which of the table each is
	columns int   // of the table
	seen    ids   // events of which there is a row
	gone    ids   // events that were delivered or dropped
}

func (s *Store) salvage(ctx context.Context, w *writer, damaged string) error {
	done, err := w.meta("salvaged")
	if err != nil || done == filepath.Base(damaged) {
		return err
	}
	// With a schema that can be written SQLite also reads a file that was cut off, and
	// one of whose tables the description is damaged.
	values := url.Values{"_pragma": {"query_only(1)", "writable_schema(1)"}}
	name := url.URL{Scheme: "file", Opaque: (&url.URL{Path: damaged}).EscapedPath(), RawQuery: values.Encode()}
	old, err := sql.Open("sqlite", name.String())
	if err != nil {
		panic("sqlite: internal error: " + err.Error())
	}
	defer func() { _ = old.Close() }()
	old.SetMaxOpenConns(1)
	x := &salvage{
		w: w, old: old, keys: map[int64][]eventsv2.Key{}, known: map[int64]bool{}, rows: map[int64]laneRow{}, behind: map[int64][]row{},
		seen: ids{}, gone: ids{}, report: Salvaged{File: filepath.Base(damaged)},
	}
	_, err = old.ExecContext(ctx, "SELECT seal FROM event LIMIT 0")
	x.first = err != nil && strings.Contains(err.Error(), "no such column") // SQLite has no code of its own for it
	_, err = old.ExecContext(ctx, "SELECT seal FROM incident LIMIT 0")
	x.sticky = err != nil && strings.Contains(err.Error(), "no such table")
	_, err = old.ExecContext(ctx, "SELECT upstream FROM lane LIMIT 0")
	x.older = err != nil && strings.Contains(err.Error(), "no such column")
	_, err = old.ExecContext(ctx, "SELECT seal FROM fold LIMIT 0")
	x.folds = err == nil
	x.order, x.columns = orderOf(columns, 2)
	if x.first {
		x.order, x.columns = orderOf(columns1, 1)
	}
	if x.pages, err = pagesOf(ctx, old); err != nil {
		return fmt.Errorf("read %s: %w", x.report.File, err)
	}
	if clock := w.s.o.Clock; clock != nil { // what is taken over has its times
		var mark string
		if err := old.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = ?1", clockMeta).Scan(&mark); err == nil {
			clock.Resume(mark)
			w.marked = time.Time{}
		}
	}
	err = w.transact(func() error {
		if err := x.readLanes(ctx); err != nil {
			return err
		}
		if err := x.events(ctx); err != nil {
			return err
		}
		for id := range x.rows { // those without an event
			if err := x.lane(id, x.rows[id].Key); err != nil {
				return err
			}
		}
		if err := x.incidents(ctx); err != nil {
			return err
		}
		text, err := json.Marshal(x.report)
		if err != nil {
			return err
		}
		w.tx.announce = nil // the scheduler is not there yet; it looks for what is queued when it begins
		return errors.Join(w.setMeta("salvaged", x.report.File), w.setMeta("salvage", string(text)))
	})
	if err == nil { // of an earlier file, or one whose mark is lost, a time may be any
		err = w.shortenWaits(ctx)
	}
	return err
}

// readLanes reads both copies of the keys. What cannot be read of one, the other
// may have.
func (x *salvage) readLanes(ctx context.Context) error {
	whole, index, read := laneColumns, "lane_key", (*laneRow).scan
	if x.older {
		whole, read = laneColumns4+`, '', 0, 0, '', seal`, (*laneRow).scan4
	}
	if x.first {
		whole = `id, key, 0, held, held_who, held_why, held_at, learned, ceiling, paused_until, pauses, key_refused, 0, 0, 0, 0, 0, 0, 0, 0, 0, '', 0, 0, '', 0`
		index = "sqlite_autoindex_lane_1"
	}
	all, err := x.all(ctx, `SELECT `+whole+` FROM lane NOT INDEXED`, func(scan func(...any) error) error {
		var r laneRow
		sealed, err := read(&r, scan)
		x.lostLanes = x.lostLanes || err != nil || !sealed && !x.first
		if err == nil && !r.Key.IsZero() {
			x.keys[r.ID] = append(x.keys[r.ID], r.Key)
		}
		if sealed || x.first && !r.Key.IsZero() {
			x.rows[r.ID] = r
		}
		return err
	})
	x.lostLanes = x.lostLanes || !all
	return errors.Join(err, x.each(ctx, `SELECT id, key FROM lane INDEXED BY `+index+` WHERE key >= ''`, func(scan func(...any) error) error {
		var id int64
		var key string
		err := scan(num(&id), txt(&key))
		if parsed, wrong := eventsv2.ParseKey(key); err == nil && wrong == nil {
			x.keys[id] = append(x.keys[id], parsed)
		}
		return err
	}))
}

// each reads as far as it can: what follows the damage is in another copy, or lost.
func (x *salvage) each(ctx context.Context, text string, row func(scan func(...any) error) error) error {
	_, err := x.all(ctx, text, row)
	return err
}

// all does as each does, and reports whether it has read to the end.
func (x *salvage) all(ctx context.Context, text string, row func(scan func(...any) error) error) (bool, error) {
	rows, err := x.old.QueryContext(ctx, text)
	if err == nil {
		err = each(rows, row)
	}
	if err != nil && !isUnreadable(err) {
		return false, err
	}
	return err == nil, nil
}

// found is a row of an event, undelivered or a dead letter, whose seal is right.
type found struct {
	id   int64
	page uint32
	at   int // of the row, within the page
	last int // 1 for a dead letter: of two copies the undelivered one counts, as to be rejected twice does no harm
}

// ids is a set of numbers of events. Those of neighbours share a word.
type ids map[int64]uint64

func (s ids) add(id int64)      { s[id>>6] |= 1 << (id & 63) }
func (s ids) has(id int64) bool { return s[id>>6]&(1<<(id&63)) != 0 }

// events takes over what lies on the file's pages, in the order of the numbers. It goes
// by no tree: one false number would hide others, and one lost page all to which it leads.
func (x *salvage) events(ctx context.Context) error {
	list, err := x.find(ctx)
	if err != nil {
		return err
	}
	taken := ids{}
	for _, f := range list {
		if x.gone.has(f.id) || taken.has(f.id) {
			continue // a second copy; the event has ended, or is there
		}
		page, err := x.pages.page(ctx, f.page)
		if err != nil {
			return err
		}
		r, ok, err := x.read(ctx, page, f.at)
		if err == nil && ok {
			ok, err = x.event(ctx, &r)
		}
		if err != nil {
			return fmt.Errorf("take over event %d of %s: %w", f.id, x.report.File, err)
		}
		if ok {
			taken.add(f.id)
		}
	}
	for _, left := range x.behind { // the one before them is lost
		for i := range left {
			if err := x.place(ctx, &left[i]); err != nil {
				return err
			}
		}
	}
	return x.countUnreadable(ctx)
}

// find looks for rows on every page. It lists those that are to be taken over, in order,
// and notes which events have ended.
func (x *salvage) find(ctx context.Context) (list []found, err error) {
	for number := uint32(2); number <= x.pages.count; number++ { // the first one has the names of the tables
		page, err := x.pages.page(ctx, number)
		if err != nil {
			return nil, err
		}
		places := x.pages.rows(page)
		if len(places) == 0 {
			continue
		}
		if free, err := x.pages.isFree(ctx, number); free || err != nil {
			if err != nil {
				return nil, err
			}
			continue
		}
		for _, at := range places {
			r, ok, err := x.read(ctx, page, at)
			switch {
			case err != nil:
				return nil, err
			case !ok:
			case !r.sealed:
				x.report.Damaged++
				x.seen.add(r.id)
			case r.state == queue.Delivered || r.state == queue.Dropped:
				x.gone.add(r.id)
			default:
				x.seen.add(r.id)
				f := found{id: r.id, page: number, at: at}
				if r.state.Dead() {
					f.last = 1
				}
				list = append(list, f)
			}
		}
	}
	slices.SortFunc(list, func(a, b found) int {
		return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.last, b.last), cmp.Compare(a.page, b.page))
	})
	return list, nil
}

// read reads an event where it lies.
func (x *salvage) read(ctx context.Context, page []byte, at int) (r row, ok bool, err error) {
	id, values, ok, err := x.pages.row(ctx, page, at, x.columns)
	if !ok || err != nil {
		return r, false, err
	}
	values[0] = id // the row itself has nothing there
	scan := func(to ...any) error {
		for i, of := range x.order {
			if err := to[i].(sql.Scanner).Scan(values[of]); err != nil {
				return err
			}
		}
		return nil
	}
	if !x.first {
		return r, true, r.scan(scan)
	}
	var r1 row1
	err = r1.scan(scan)
	r = r1.row
	if keys := x.keys[r.lane]; r1.intact1() && len(keys) > 0 {
		r.cells.content, r.sealed = r.sum(keys[0]), true
	}
	r.next = 0
	return r, true, err
}

// countUnreadable counts the events that an index or a chain knows, and of which no row
// was found.
func (x *salvage) countUnreadable(ctx context.Context) error {
	counted := ids{}
	for _, text := range []string{
		"SELECT id FROM event INDEXED BY event_ready WHERE state = 0",
		"SELECT id FROM event INDEXED BY event_due WHERE state = 2",
		"SELECT id FROM event INDEXED BY event_dead WHERE state IN (5, 6)",
		"SELECT head FROM chain", "SELECT tail FROM chain",
	} {
		err := x.each(ctx, text, func(scan func(...any) error) error {
			var id int64
			err := scan(num(&id))
			if err == nil && !x.seen.has(id) && !x.gone.has(id) && !counted.has(id) {
				counted.add(id)
				x.report.Unreadable++
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// event takes over an event whose content is what was written, and reports whether it
// has.
func (x *salvage) event(ctx context.Context, r *row) (bool, error) {
	key, found := x.keyOf(r)
	if !found {
		if len(x.keys[r.lane]) == 0 {
			x.report.NoKey++
		} else {
			x.report.Damaged++
		}
		return false, nil
	}
	if err := x.lane(r.lane, key); err != nil {
		return false, err
	}
	if r.prev > r.id && !r.state.Ended() { // it had gone to the end of its chain
		x.behind[r.prev] = append(x.behind[r.prev], *r)
		return true, nil
	}
	return true, x.place(ctx, r)
}

// keyOf finds the key with which an event's checksum is right: one of the lane's
// two copies, or one that the configuration lists.
func (x *salvage) keyOf(r *row) (eventsv2.Key, bool) {
	for _, key := range append(x.keys[r.lane][:len(x.keys[r.lane]):len(x.keys[r.lane])], x.w.s.o.Keys()...) {
		if r.intact(key) {
			x.keys[r.lane] = []eventsv2.Key{key}
			return key, true
		}
	}
	return eventsv2.Key{}, false
}

// lane makes a lane with its old number, as the checksums cover that.
func (x *salvage) lane(id int64, key eventsv2.Key) error {
	if x.known[id] {
		return nil
	}
	x.known[id] = true
	r := laneRow{Lane: queue.Lane{ID: id, Key: key}, used: millis(x.w.s.o.Now())}
	if old, whole := x.rows[id]; whole {
		r.Held, r.HeldBy, r.Learned, r.Ceiling, r.twin, r.Proven = old.Held, old.HeldBy, old.Learned, old.Ceiling, old.twin, old.Proven
		r.Upstream, r.Own, r.Since, r.Alias = old.Upstream, old.Own, old.Since, old.Alias
	}
	if other := x.w.s.lanes[folded(key)]; other != nil && r.twin == 0 {
		r.twin = id
	}
	r.count.Lane = id
	x.report.Lanes++
	x.w.lastLane = max(x.w.lastLane, id)
	if err := x.w.insertLane(&r); err != nil {
		return err
	}
	x.w.s.mu.Lock()
	defer x.w.s.mu.Unlock()
	x.w.s.addLane(&laneState{committed: r, row: r})
	return nil
}

// place writes an event into the new file, behind those of its chain that are there
// already, and then those that had gone behind it.
func (x *salvage) place(ctx context.Context, r *row) error {
	w := x.w
	x.report.Events++
	w.last = max(w.last, r.id)
	w.written += len(r.body)
	w.tx.wrote = true
	y := r.cells
	y.prev, y.next = 0, 0
	if r.state.Dead() {
		if err := w.insertRow(&y, &r.facts); err != nil {
			return err
		}
		w.ended(y.lane, y.state, +1)
		w.tx.dead++
		w.tx.deadBytes += int64(len(r.body))
	} else if err := x.chain(&y, r); err != nil {
		return err
	}
	if err := x.history(ctx, r.id); err != nil {
		return err
	}
	behind := x.behind[r.id]
	delete(x.behind, r.id)
	for i := range behind {
		if err := x.place(ctx, &behind[i]); err != nil {
			return err
		}
	}
	return nil
}

// chain puts an undelivered event to the end of its chain.
func (x *salvage) chain(y *cells, r *row) error {
	w := x.w
	weight := weightOf(r.action, r.kind, r.severity)
	y.priority = weight
	if y.state == queue.Blocked {
		y.state = queue.Ready
	}
	w.waiting(y.lane, y.severity, +1)
	id := chainID{y.lane, r.dedup}
	begun := r.kind == queue.Change
	if !begun {
		var err error
		if begun, err = w.begin(id, y.id, weight); err != nil {
			return err
		}
	}
	if begun {
		return w.insertRow(y, &r.facts)
	}
	c, err := w.chain(id)
	if err != nil {
		return err
	}
	tail, err := w.cells(c.tail, id)
	if err != nil {
		return err
	}
	y.state, y.due, y.prev, tail.next = queue.Blocked, 0, tail.id, y.id
	c.tail = y.id
	c.n[weight]++
	return errors.Join(w.insertRow(y, &r.facts), w.link(&tail), w.saveChain(&c), w.prioritise(&c))
}

func (x *salvage) history(ctx context.Context, event int64) error {
	type entry struct {
		n, at, status   int64
		what, text, who string
	}
	var entries []entry
	err := x.each(ctx, fmt.Sprint(`SELECT n, at, what, status, text, who FROM log WHERE event = `, event), func(scan func(...any) error) error {
		var e entry
		err := scan(num(&e.n), num(&e.at), txt(&e.what), num(&e.status), txt(&e.text), txt(&e.who))
		entries = append(entries, e)
		return err
	})
	if err != nil {
		return err
	}
	if err := errors.Join(x.origin(ctx, event), x.fold(ctx, event)); err != nil {
		return err
	}
	for _, e := range entries {
		err := x.w.exec(`INSERT INTO log (event, n, at, what, status, text, who) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING`,
			event, e.n, e.at, e.what, e.status, e.text, e.who)
		if err != nil {
			return err
		}
	}
	return nil
}

// origin takes over which key the sender of an event had named.
func (x *salvage) origin(ctx context.Context, event int64) error {
	lane := int64(0)
	if x.sticky {
		return nil
	}
	err := x.each(ctx, fmt.Sprint(`SELECT lane FROM origin WHERE event = `, event), func(scan func(...any) error) error { return scan(num(&lane)) })
	if err != nil || lane <= 0 {
		return err
	}
	return x.w.noteOrigin(event, lane)
}

// fold takes over what an event tells of others.
func (x *salvage) fold(ctx context.Context, event int64) error {
	if !x.folds {
		return nil
	}
	var told queue.Folded
	err := x.each(ctx, fmt.Sprint(`SELECT `+foldColumns+` FROM fold WHERE event = `, event), func(scan func(...any) error) error {
		var f foldRow
		whole, err := f.scan(scan)
		if whole {
			told = f.folded()
		}
		return err
	})
	if err != nil || told.Pairs == 0 {
		return err
	}
	return x.w.keepFolded(event, &told)
}
