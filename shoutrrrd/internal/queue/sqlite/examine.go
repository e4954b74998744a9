package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"slices"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Finding is something in the queue's data that cannot be.
type Finding struct {
	Lane    int64  // 0 if it is not known
	Event   int64  // 0 if it is about a chain, a lane or the file
	What    string //
	Removed bool   // it has been put right: events are dead letters, counts are counted
}

// Report is what an examination has found.
type Report struct {
	Lanes, Events, Chains int // that were read
	// Spoiled events are in their places, but their content is not what was written.
	// They are dead letters, or become that when it is their turn.
	Spoiled  int
	Findings []Finding
	More     int // findings that are not listed
}

// maxFindings is how many findings are listed: a person reads no more.
const maxFindings = 1000

func (r *Report) add(f Finding) {
	if len(r.Findings) >= maxFindings {
		r.More++
		return
	}
	r.Findings = append(r.Findings, f)
}

// Sound reports whether nothing was found.
func (r *Report) Sound() bool { return len(r.Findings) == 0 && r.More == 0 }

// node is an undelivered event in an examination. 2 million of them take 100 MB.
type node struct {
	id, next int64
	seal     int64
	chain    uint64 // hash of its dedup key
	lane     int64
	state    queue.State
	weight   queue.Rank
	reached  bool // by its chain
}

// examination reads the whole queue in one transaction, so that what it sees fits
// together while the writer goes on.
type examination struct {
	seed   maphash.Seed
	report Report
	nodes  []node
	counts map[int64]*queue.Count // as the events' rows say
	lanes  map[int64]lookedAt

	badChains []chain // as they were read; a changed one is not touched
	orphans   []node  // events that no chain leads to
	damaged   []cells // events whose seal is wrong
	wrong     []int64 // lanes whose row is to be put right
	forgotten int     // incidents whose seal is wrong

	entries map[string]entries // that each index should have, as the events' rows say
	indexes []string           // that have others
}

// entries are those of an index: how many, and the sum of their hashes.
type entries struct {
	n   int
	sum uint64
}

func (e entries) with(seed maphash.Seed, columns ...int64) entries {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, c := range columns {
		maphash.WriteComparable(&h, c)
	}
	return entries{e.n + 1, e.sum + h.Sum64()}
}

// lookedAt is a lane's row in an examination.
type lookedAt struct {
	laneRow
	whole bool // it is what was written
}

func newExamination() *examination {
	return &examination{seed: maphash.MakeSeed(), counts: map[int64]*queue.Count{}, lanes: map[int64]lookedAt{}, entries: map[string]entries{}}
}

// Examine reads all of the queue and looks whether rows, chains and counts fit
// together. With repair it makes dead letters of events that no chain leads to, and
// puts the counts right; the relay may go on meanwhile.
func (s *Store) Examine(ctx context.Context, repair bool) (Report, error) {
	if repair { // two at once would each add the same difference to a count
		s.repairing.Lock()
		defer s.repairing.Unlock()
	}
	x := newExamination()
	err := s.noted(x.read(ctx, s.read))
	if err == nil && repair {
		err = x.repair(ctx, s)
	}
	if err != nil {
		return x.report, fmt.Errorf("examine the queue: %w", err)
	}
	return x.report, nil
}

// read reads everything within one transaction.
func (x *examination) read(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // it has changed nothing
	if err := x.readLanes(ctx, tx); err != nil {
		return err
	}
	if err := x.readEvents(ctx, tx); err != nil {
		return err
	}
	if err := x.readIndexes(ctx, tx); err != nil {
		return err
	}
	if err := x.readChains(ctx, tx); err != nil {
		return err
	}
	if err := x.readIncidents(ctx, tx); err != nil {
		return err
	}
	for _, n := range x.nodes {
		if !n.reached {
			x.orphans = append(x.orphans, n)
			x.report.add(Finding{Lane: n.lane, Event: n.id, What: "no chain leads to the event"})
		}
	}
	x.compareCounts()
	return nil
}

func (x *examination) readLanes(ctx context.Context, tx *sql.Tx) error {
	return x.each(ctx, tx, `SELECT `+laneColumns+` FROM lane`, func(scan func(...any) error) error {
		var r laneRow
		whole, err := r.scan(scan)
		if err != nil {
			return err
		}
		x.report.Lanes++
		x.lanes[r.ID] = lookedAt{r, whole}
		if !whole {
			x.report.add(Finding{Lane: r.ID, What: "the lane's seal is wrong"})
			x.wrong = append(x.wrong, r.ID)
		}
		return nil
	})
}

func (x *examination) readEvents(ctx context.Context, tx *sql.Tx) error {
	last := int64(math.MinInt64)
	return x.each(ctx, tx, `SELECT `+columns+` FROM event ORDER BY id`, func(scan func(...any) error) error {
		var r row
		if err := r.scan(scan); err != nil {
			return err
		}
		if r.id <= last { // no statement finds each row by its number any more
			return fmt.Errorf("%w: event %d comes behind event %d", errDamaged, r.id, last)
		}
		last = r.id
		x.report.Events++
		x.count(&r)
		live := !r.state.Ended()
		lane, known := x.lanes[r.lane]
		switch {
		case !r.sealed:
			x.report.add(Finding{Lane: r.lane, Event: r.id, What: "the event's seal is wrong"})
			x.damaged = append(x.damaged, r.cells)
			return nil
		case !known && live:
			x.report.add(Finding{Lane: r.lane, Event: r.id, What: "the event belongs to no lane"})
			x.damaged = append(x.damaged, r.cells)
			return nil
		case known && !r.intact(lane.Key):
			x.report.Spoiled++
		}
		if live && r.kind == queue.Alert {
			x.nodes = append(x.nodes, node{
				id: r.id, next: r.next, seal: r.cells.seal(), chain: maphash.String(x.seed, r.dedup), lane: r.lane, state: r.state,
				weight: weightOf(r.action, r.kind, r.severity),
			})
		}
		return nil
	})
}

// readIndexes compares the entries of those indexes that lead to what is to be sent: an
// event that has none there, or one in another place, would wait for ever.
func (x *examination) readIndexes(ctx context.Context, tx *sql.Tx) error {
	for index, text := range map[string]string{
		"event_ready": `SELECT lane, priority, id FROM event INDEXED BY event_ready WHERE state = 0`,
		"event_due":   `SELECT due, 0, id FROM event INDEXED BY event_due WHERE state = 2`,
	} {
		var found entries
		err := x.each(ctx, tx, text, func(scan func(...any) error) error {
			var first, second, id int64
			err := scan(num(&first), num(&second), num(&id))
			found = found.with(x.seed, first, second, id)
			return err
		})
		if err != nil {
			return err
		}
		if want := x.entries[index]; found != want {
			what := fmt.Sprintf("the index %s has %d entries for %d events", index, found.n, want.n)
			if found.n == want.n {
				what = "the index " + index + " says something else than the events"
			}
			x.report.add(Finding{What: what})
			x.indexes = append(x.indexes, index)
		}
	}
	return nil
}

func (x *examination) count(r *row) {
	switch r.state {
	case queue.Ready:
		x.entries["event_ready"] = x.entries["event_ready"].with(x.seed, r.lane, int64(r.priority), r.id)
	case queue.Waiting:
		x.entries["event_due"] = x.entries["event_due"].with(x.seed, r.due, 0, r.id)
	}
	c := x.counts[r.lane]
	if c == nil {
		c = &queue.Count{Lane: r.lane}
		x.counts[r.lane] = c
	}
	switch {
	case r.state == queue.Delivered:
		c.Delivered++
	case r.state == queue.Refused:
		c.Refused++
	case r.state == queue.Expired:
		c.Expired++
	case !r.state.Ended() && r.severity >= queue.Ranks:
		c.Waiting[queue.Critical]++ // as which it becomes a dead letter
	case !r.state.Ended():
		c.Waiting[r.severity]++
	}
}

func (x *examination) readChains(ctx context.Context, tx *sql.Tx) error {
	return x.each(ctx, tx, `SELECT `+chainColumns+` FROM chain`, func(scan func(...any) error) error {
		var c chain
		whole, err := c.scan(scan)
		if err != nil {
			return err
		}
		x.report.Chains++
		what := "the chain's seal is wrong"
		if whole {
			what = x.walk(&c)
		}
		if what != "" {
			x.report.add(Finding{Lane: c.id.lane, What: what})
			x.badChains = append(x.badChains, c)
		}
		return nil
	})
}

// readIncidents looks whether what is remembered of incidents is what was written.
func (x *examination) readIncidents(ctx context.Context, tx *sql.Tx) error {
	return x.each(ctx, tx, `SELECT `+incidentColumns+` FROM incident`, func(scan func(...any) error) error {
		var i incident
		whole, err := i.scan(scan)
		if err == nil && !whole {
			x.report.add(Finding{Lane: i.lane, What: "what is remembered of an incident is damaged: its seal is wrong"})
			x.forgotten++
		}
		return err
	})
}

// walk follows a chain from its head and returns what is wrong about it, "" if
// nothing is. The events of a wrong one stay unreached.
func (x *examination) walk(c *chain) string {
	dedup := maphash.String(x.seed, c.id.dedup)
	var met []*node
	left := *c
	for id := c.head; id != 0; {
		n := x.node(id)
		switch {
		case n == nil:
			return "the chain leads to an event that is not there or has ended"
		case n.reached || len(met) > 0 && n == met[0]:
			return "two chains lead to the same event"
		case n.chain != dedup:
			return "the chain leads to an event of another dedup key"
		case (n.state == queue.Blocked) != (len(met) > 0):
			return "the chain's head is blocked, or an event behind it is not"
		case len(met) == 0 && n.lane != c.id.lane:
			return "the chain's head is of another lane"
		case left.n[n.weight] == 0:
			return "the chain's counts are wrong"
		}
		left.n[n.weight]--
		met = append(met, n)
		id = n.next
	}
	if len(met) == 0 || met[len(met)-1].id != c.tail || left.length() != 0 {
		return "the chain ends with another event than its tail"
	}
	for _, n := range met {
		n.reached = true
	}
	return ""
}

func (x *examination) node(id int64) *node {
	i, found := slices.BinarySearchFunc(x.nodes, id, func(n node, id int64) int { return cmp.Compare(n.id, id) })
	if !found {
		return nil
	}
	return &x.nodes[i]
}

func (x *examination) compareCounts() {
	for id, lane := range x.lanes {
		if found := x.found(id); found != lane.count && lane.whole {
			x.report.add(Finding{Lane: id, What: fmt.Sprintf("the lane counts %s, there are %s", countText(lane.count), countText(found))})
			x.wrong = append(x.wrong, id)
		}
	}
}

// found counts the events of a lane that there are.
func (x *examination) found(lane int64) queue.Count {
	if c := x.counts[lane]; c != nil {
		return *c
	}
	return queue.Count{Lane: lane}
}

func countText(c queue.Count) string {
	return fmt.Sprintf("%v waiting, %d delivered, %d rejected, %d expired", c.Waiting, c.Delivered, c.Refused, c.Expired)
}

// repair takes what was found out of the queue, in slices. What has changed since
// it was read is left alone: it has been looked at by whoever changed it.
func (x *examination) repair(ctx context.Context, s *Store) error {
	// The counts come first: what follows changes them as it changes the rows.
	if err := s.submit(ctx, func(w *writer) error { return x.correctCounts(w) }); err != nil {
		return err
	}
	for _, c := range x.badChains {
		if c.id.lane <= 0 || c.head <= 0 || c.tail <= 0 { // no statement finds it by a column that is no number
			err := s.submit(ctx, func(w *writer) error {
				return w.exec(`DELETE FROM chain WHERE typeof(lane) <> 'integer' OR typeof(dedup) <> 'text' OR lane <= 0 OR head <= 0 OR tail <= 0`)
			})
			if err != nil {
				return err
			}
			continue
		}
		err := s.submit(ctx, func(w *writer) error {
			now, err := w.chain(c.id)
			if bad := (*contradiction)(nil); err != nil && !errors.As(err, &bad) {
				return err
			} else if err == nil && now != c {
				return nil
			}
			return w.quarantine(&contradiction{c.id, 0, "an examination has found it"})
		})
		if err != nil {
			return err
		}
	}
	for slice := range slices.Chunk(x.damaged, moveSlice) {
		if err := s.submit(ctx, func(w *writer) error { return w.buryDamaged(slice) }); err != nil {
			return err
		}
	}
	for slice := range slices.Chunk(x.orphans, moveSlice) {
		if err := s.submit(ctx, func(w *writer) error { return w.buryOrphans(slice) }); err != nil {
			return err
		}
	}
	if x.forgotten > 0 {
		if err := s.submit(ctx, func(w *writer) error { return w.forgetDamaged() }); err != nil {
			return err
		}
	}
	for _, index := range x.indexes { // at last: what was put right may have left its entry
		if err := s.submit(ctx, func(w *writer) error { return w.reindex(index) }); err != nil {
			return err
		}
	}
	for i := range x.report.Findings {
		x.report.Findings[i].Removed = true
	}
	return nil
}

// buryDamaged makes dead letters of events whose rows are still as they were read.
// One that has ended keeps its state and gets a seal that is right.
func (w *writer) buryDamaged(damaged []cells) error {
	for i := range damaged {
		was := &damaged[i]
		if _, claimed := w.s.claims[was.id]; claimed {
			continue
		}
		now, err := w.cells(was.id, chainID{was.lane, ""})
		if bad := (*contradiction)(nil); err != nil && !errors.As(err, &bad) {
			return err
		}
		if now != *was {
			continue
		}
		if now.state == queue.Delivered || now.state == queue.Dropped {
			if now.ended <= 0 {
				now.ended = max(1, millis(w.s.o.Now()))
			}
			err = w.rewrite(&now)
		} else {
			err = w.buryAlone(&now)
		}
		if err != nil {
			return err
		}
		w.report(Incident{Lane: now.lane, Event: now.id, What: "an event's row is damaged; it is a dead letter", Why: "an examination has found it"})
	}
	return nil
}

// anyLane gives a lane for an event whose own is not known.
func (w *writer) anyLane(lost int64) int64 {
	least := lost
	for id := range w.s.byID {
		if least == lost || id < least {
			least = id
		}
	}
	return least
}

func (w *writer) buryOrphans(orphans []node) error {
	for _, n := range orphans {
		if _, claimed := w.s.claims[n.id]; claimed {
			continue
		}
		now, err := w.cells(n.id, chainID{n.lane, ""})
		if bad := (*contradiction)(nil); errors.As(err, &bad) {
			continue // another examination finds it
		} else if err != nil {
			return err
		}
		if now.seal() != n.seal || now.state.Ended() {
			continue
		}
		if err := w.buryAlone(&now); err != nil {
			return err
		}
		w.report(Incident{Lane: n.lane, Event: n.id, What: "an event that no chain leads to is a dead letter", Why: "an examination has found it"})
	}
	return nil
}

// correctCounts adds the difference between what was counted and what was there at
// that time. Later changes have been counted right. A row that the disk has changed
// under a running relay is written anew with what the memory knows.
func (x *examination) correctCounts(w *writer) error {
	for _, id := range x.wrong {
		r, ok := w.change(id)
		if !ok {
			continue
		}
		l, had, found := w.s.byID[id], x.lanes[id], x.found(id)
		if !had.whole && !l.recount {
			continue
		}
		w.learn(func() { l.recount = false })
		for rank := range had.count.Waiting {
			change := found.Waiting[rank] - max(0, had.count.Waiting[rank])
			r.count.Waiting[rank] += change
			w.tx.queued += change
		}
		r.count.Delivered += found.Delivered - had.count.Delivered
		r.count.Refused += found.Refused - had.count.Refused
		r.count.Expired += found.Expired - had.count.Expired
	}
	return nil
}

func (x *examination) each(ctx context.Context, tx *sql.Tx, text string, row func(scan func(...any) error) error) error {
	rows, err := tx.QueryContext(ctx, text)
	if err != nil {
		return err
	}
	return each(rows, row)
}
