package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// foldSlice is how many events of chains are looked at in one claim, to be folded: some
// tens of milliseconds of work, for which an event that comes meanwhile waits. A longer
// chain is folded by one claim after the other, and leaves when that is done.
const foldSlice = 500

// inVain is in the log an attempt of which PagerDuty certainly has nothing: nothing reached
// it, or its answer says so. People see it as any attempt. It keeps no event from being
// folded; of those in files of earlier versions nobody knows.
const inVain = "attempt in vain"

// waited is an event of a chain that may be folded, without its body.
type waited struct {
	row
	stays bool // PagerDuty may have got it, or an operator had it sent again, or its content is not what was written
}

// mayFold reports whether what is behind a head that is to be claimed may be folded: it is
// a trigger that has waited, something is behind it, and PagerDuty has no incident open
// that the first resolve would end. While the disk takes nothing a claim writes nothing: a
// page leaves then, and is not to wait for what cannot be kept.
func (w *writer) mayFold(r *row, way queue.WhileWaiting) (bool, error) {
	if way == queue.SendAll || w.s.failure.Load() != nil || r.kind != queue.Alert || r.action != eventsv2.Trigger || r.cells.next == 0 ||
		millis(w.s.o.Now())-r.accepted < queue.FoldAfter.Milliseconds() || r.id <= w.s.unsure && !w.stepped[r.id] {
		return false, nil
	}
	used := false
	err := w.queryRow(`SELECT EXISTS (SELECT 1 FROM incident INDEXED BY incident_lane WHERE lane = ?1 AND dedup = ?2 AND used > 0)`,
		[]any{r.lane, r.dedup}, []any{&used})
	return err == nil && !used, err
}

// folding is one claim's work on chains that have waited.
type folding struct {
	way    queue.WhileWaiting
	left   *int           // events that the claim may still look at
	merged []queue.Merged // what was folded
}

// fold folds the chain of a head that is to be claimed, and makes the row what leaves in
// its place. It returns false if the chain is not handed out in this claim: a change event
// tells of it, or more of it is to be folded.
func (w *writer) fold(r *row, f *folding) (leaves bool, err error) {
	may, err := w.mayFold(r, f.way)
	if err != nil || !may {
		return err == nil, err
	}
	c, err := w.chain(chainID{r.lane, r.dedup})
	if err != nil {
		return false, err
	}
	n := min(int(c.length()), foldSlice)
	if n > *f.left {
		w.ready(r.lane, r.priority)
		return false, nil
	}
	*f.left -= n
	list, err := w.waitedOf(&c, n)
	if err != nil {
		return false, err
	}
	links := make([]queue.Link, len(list))
	for i := range list {
		links[i] = queue.Link{Action: list[i].action, Stays: list[i].stays}
	}
	more := list[len(list)-1].next != 0
	plan, folds := queue.PlanFold(links, f.way, more)
	if !folds {
		return true, nil
	}
	merged, err := w.settleFold(&c, list, &plan)
	if err != nil {
		return false, err
	}
	f.merged = append(f.merged, merged)
	if plan.Note || more {
		return false, nil
	}
	*r, err = w.event(merged.Teller)
	return true, err
}

// waitedOf reads the first events of a chain, as many as there are up to n or until they
// take as much as a transaction may.
func (w *writer) waitedOf(c *chain, n int) (list []waited, err error) {
	statement, err := w.statement(`SELECT ` + columns + `, EXISTS (SELECT 1 FROM log WHERE log.event = event.id AND what IN ('attempt', 'requeued', 'replayed'))
		FROM event WHERE id = ?1`)
	if err != nil {
		return nil, err
	}
	bytes, before := 0, int64(0)
	for id := c.head; id != 0 && len(list) < n && bytes < transactionBytes; {
		var x waited
		err := x.scanInto(statement.QueryRowContext(context.Background(), id).Scan, txt(&x.body), &x.stays)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return nil, &contradiction{c.id, id, "the event is missing"}
		case err != nil:
			return nil, err
		case !x.sealed:
			return nil, &contradiction{c.id, id, "the event's seal is wrong"}
		case x.prev != before || before != 0 && x.state != queue.Blocked:
			return nil, &contradiction{c.id, id, "it is not the next one of its chain"}
		}
		x.stays = x.stays || !x.intact(w.keyOf(x.lane)) // it is found out when it would be sent
		bytes += len(x.body)
		x.body = ""
		list = append(list, x)
		before, id = id, x.next
	}
	return list, nil
}

// settleFold ends what a plan folds, joins what stays of the chain, and keeps what is
// told. All of it is one transaction, so that a crash leaves either all events or the one
// that tells of them.
func (w *writer) settleFold(c *chain, list []waited, plan *queue.Fold) (queue.Merged, error) {
	now := w.s.o.Now()
	told, most, err := w.toldBy(list, plan)
	merged := queue.Merged{Lane: c.id.lane, DedupKey: c.id.dedup, Pairs: told.Pairs, Note: plan.Note}
	if err != nil {
		return merged, err
	}
	if plan.Note {
		merged.Teller, err = w.insertNote(c, list[plan.Pairs[len(plan.Pairs)-1].Opened].id, &told, most)
	} else {
		merged.Teller = list[plan.Teller].id
	}
	if err != nil {
		return merged, err
	}
	gone := make(map[int]bool, len(plan.Folded))
	for _, i := range plan.Folded {
		x := &list[i]
		gone[i] = true
		delete(w.stepped, x.id)
		merged.Events = append(merged.Events, x.id)
		if err := c.take(weightOf(x.action, queue.Alert, x.severity), x.id); err != nil {
			return merged, err
		}
		y := x.cells
		y.state, y.ended, y.due, y.prev, y.next, y.reason = queue.Dropped, max(1, millis(now)), 0, 0, 0, queue.ToldByReason(merged.Teller)
		if err := errors.Join(w.write(&y), w.countEnd(&y), w.log(x.id, now, "folded", 0, y.reason, "")); err != nil {
			return merged, err
		}
	}
	dated := told.Dated(w.s.o.Date)
	if err := errors.Join(w.keepFolded(merged.Teller, &told), w.log(merged.Teller, now, "folded", 0, dated.String(), "")); err != nil {
		return merged, err
	}
	if !plan.Note {
		teller := &list[plan.Teller]
		if err := c.take(teller.severity, teller.id); err != nil {
			return merged, err
		}
		w.waiting(teller.lane, most, +1) // first: a lane in which nothing is left takes another upstream
		w.waiting(teller.lane, teller.severity, -1)
		teller.severity = most
		c.n[most]++
	}
	return merged, w.rejoin(c, list, gone)
}

// toldBy is what is told by the event that stands for others, and the highest severity of
// the triggers that it stands for.
func (w *writer) toldBy(list []waited, plan *queue.Fold) (told queue.Folded, most queue.Rank, err error) {
	most = queue.Info
	if !plan.Note {
		most = list[plan.Teller].severity
	}
	for _, i := range plan.Folded {
		if list[i].action == eventsv2.Trigger {
			most = min(most, list[i].severity)
		}
	}
	told = plan.Told(func(i int) time.Time { return fromMillis(list[i].accepted) }, func(i int) queue.Folded {
		before, failed := w.folded(list[i].id)
		err = errors.Join(err, failed)
		return before
	})
	return told, most, err
}

// rejoin links what stays of a chain, makes the first of it the head, and what is behind
// the events that were looked at its end as before.
func (w *writer) rejoin(c *chain, list []waited, gone map[int]bool) error {
	after := list[len(list)-1].next
	var stay []*waited
	for i := range list {
		if !gone[i] {
			stay = append(stay, &list[i])
		}
	}
	head, last := stay[0], stay[len(stay)-1]
	for i, x := range stay {
		x.prev, x.next = 0, after
		if i > 0 {
			x.prev = stay[i-1].id
		}
		if i < len(stay)-1 {
			x.next = stay[i+1].id
		}
	}
	if after == 0 {
		c.tail = last.id
	} else if after != 0 && gone[len(list)-1] {
		behind, err := w.cells(after, c.id)
		if err != nil {
			return err
		}
		behind.prev = last.id
		if err := w.link(&behind); err != nil {
			return err
		}
	}
	c.head = head.id
	head.state, head.due, head.priority = queue.Ready, 0, c.priority()
	if head.id <= w.s.unsure {
		w.stepped[head.id] = true
	}
	if err := w.relocate(&head.cells, c.id.lane); err != nil {
		return err
	}
	for _, x := range stay {
		if err := w.write(&x.cells); err != nil {
			return err
		}
	}
	w.ready(c.id.lane, head.priority)
	return w.saveChain(c)
}

// insertNote queues the change event that tells of folded pairs, made of their latest
// trigger. It takes the place of at least one event, so there is room for it.
func (w *writer) insertNote(c *chain, latest int64, told *queue.Folded, most queue.Rank) (int64, error) {
	r, err := w.event(latest)
	if err != nil {
		return 0, err
	}
	if !r.intact(w.keyOf(r.lane)) {
		return 0, &contradiction{c.id, latest, "the event's content is damaged"}
	}
	of := r.event()
	now := w.s.o.Now()
	e := queue.New{Lane: c.id.lane, Origin: c.id.lane, Kind: queue.Change, Severity: queue.Info, Accepted: now, Source: of.Source}
	if r.lane == c.id.lane {
		e.Key = of.Key
	}
	dated := told.Dated(w.s.o.Date)
	e.Summary, e.Body = of.Note(&dated, most, w.s.o.Date(now))
	placed, err := w.insert(&e, c.id.lane, queue.Ready, queue.Info, 0)
	return placed.ID, err
}

const foldColumns = `event, pairs, own, spans, seal`

// foldRow is a row of that table: what an event tells of others.
type foldRow struct {
	event, pairs, own int64
	spans             string // [[opened, resolved], …], milliseconds since 1970
}

func (f *foldRow) seal() int64 {
	s := sum{numbers: make([]byte, 0, 3*8)}
	s.add(f.event, f.pairs, f.own)
	s.text(f.spans)
	return s.seal()
}

// scan reads a row and reports whether it is what was written.
func (f *foldRow) scan(scan func(...any) error) (whole bool, err error) {
	var seal int64
	err = scan(num(&f.event), num(&f.pairs), num(&f.own), txt(&f.spans), num(&seal))
	return err == nil && seal == f.seal(), err
}

// folded is what the row says.
func (f *foldRow) folded() (told queue.Folded) {
	var spans [][2]int64
	if json.Unmarshal([]byte(f.spans), &spans) != nil {
		return told // its seal is right, so it is not the disk's
	}
	told.Pairs, told.Own = int(f.pairs), f.own == 1
	for _, s := range spans {
		told.Spans = append(told.Spans, queue.Span{Opened: fromMillis(s[0]), Resolved: fromMillis(s[1])})
	}
	return told
}

// folded reads what an event tells of others. What is not what was written is not told:
// the history of each of these events says where it is.
func (w *writer) folded(event int64) (queue.Folded, error) {
	statement, err := w.statement(`SELECT ` + foldColumns + ` FROM fold WHERE event = ?1`)
	if err != nil {
		return queue.Folded{}, err
	}
	var f foldRow
	whole, err := f.scan(statement.QueryRowContext(context.Background(), event).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return queue.Folded{}, nil
	}
	if err != nil || !whole {
		return queue.Folded{}, err
	}
	return f.folded(), nil
}

// keepFolded stores what an event tells of others.
func (w *writer) keepFolded(event int64, told *queue.Folded) error {
	f := foldRow{event: event, pairs: int64(told.Pairs)}
	if told.Own {
		f.own = 1
	}
	spans := make([][2]int64, 0, len(told.Spans))
	for _, s := range told.Spans {
		spans = append(spans, [2]int64{millis(s.Opened), millis(s.Resolved)})
	}
	text, err := json.Marshal(spans)
	if err != nil { // numbers can always be written
		panic("sqlite: internal error: " + err.Error())
	}
	f.spans = string(text)
	return w.exec(`INSERT INTO fold (`+foldColumns+`) VALUES (?1, ?2, ?3, ?4, ?5)
		ON CONFLICT DO UPDATE SET pairs = excluded.pairs, own = excluded.own, spans = excluded.spans, seal = excluded.seal`,
		f.event, f.pairs, f.own, f.spans, f.seal())
}

// withFolded adds to events what they tell of others.
func (s *Store) withFolded(ctx context.Context, events []queue.Event) error {
	if len(events) == 0 {
		return nil
	}
	at := make(map[int64]int, len(events))
	ids := make([]int64, len(events))
	for i := range events {
		at[events[i].ID], ids[i] = i, events[i].ID
	}
	list, err := json.Marshal(ids)
	if err != nil { // numbers can always be written
		panic("sqlite: internal error: " + err.Error())
	}
	return s.rows(ctx, `SELECT `+foldColumns+` FROM fold WHERE event IN (SELECT value FROM json_each(?1))`, []any{string(list)}, func(scan func(...any) error) error {
		var f foldRow
		whole, err := f.scan(scan)
		if i, known := at[f.event]; whole && known {
			events[i].Folded = f.folded()
		}
		return err
	})
}
