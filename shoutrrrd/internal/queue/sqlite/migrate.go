package sqlite

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"unicode/utf8"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

// schemaVersion is written into the file. A later one is refused: an older
// program does not know what it would break.
const schemaVersion = 6

// applicationID marks a file as a queue of this program
// (https://www.sqlite.org/pragma.html#pragma_application_id): "shtr".
const applicationID = 0x73687472

// migrations[v] brings a file of version v to version v+1. Each runs in one
// transaction: a process that ends in between leaves the file as it was.
var migrations = map[int]func(context.Context, *writer) error{
	1: migrateTo2,
	2: migrateTo3,
	3: migrateTo4,
	4: migrateTo5,
	5: migrateTo6,
}

// migrate brings the file to the present version, one after the other.
func (w *writer) migrate(ctx context.Context, version int) error {
	for ; version < schemaVersion; version++ {
		step, known := migrations[version]
		if !known {
			return fmt.Errorf("%w: it has version %d, which there never was", errDamaged, version)
		}
		if _, err := w.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
			return err
		}
		err := step(ctx, w)
		if err == nil {
			_, err = w.conn.ExecContext(ctx, fmt.Sprintf("UPDATE meta SET value = '%[1]d' WHERE name = 'version'; PRAGMA user_version = %[1]d; COMMIT", version+1))
		}
		if err != nil {
			_, _ = w.conn.ExecContext(ctx, "ROLLBACK") // there may be none
			return fmt.Errorf("bring the queue from version %d to %d: %w", version, version+1, err)
		}
	}
	return nil
}

//go:embed schema2.sql
var schema2 string

// migrateTo2 writes every row anew: the checksums of version 1 cover only a part of
// an event. It takes about half a minute for a million events.
func migrateTo2(ctx context.Context, w *writer) error {
	for _, table := range []string{"lane", "event", "chain", "sticky", "log", "lane_log"} {
		if _, err := w.conn.ExecContext(ctx, "ALTER TABLE "+table+" RENAME TO old_"+table); err != nil {
			return err
		}
	}
	for _, index := range []string{"event_ready", "event_due", "event_dead", "event_done", "sticky_used"} {
		if _, err := w.conn.ExecContext(ctx, "DROP INDEX "+index); err != nil {
			return err
		}
	}
	_, tables, found := strings.Cut(schema2, "-- One lane for each")
	if !found {
		panic("sqlite: internal error: the schema does not begin with meta")
	}
	if _, err := w.conn.ExecContext(ctx, "-- One lane for each"+tables+"\nPRAGMA application_id = "+fmt.Sprint(applicationID)); err != nil {
		return err
	}
	old := &version1{w: w, keys: map[int64]eventsv2.Key{}}
	if err := old.lanes(ctx); err != nil {
		return err
	}
	if err := old.events(ctx); err != nil {
		return err
	}
	if err := old.chains(ctx); err != nil {
		return err
	}
	_, err := w.conn.ExecContext(ctx, `INSERT INTO sticky SELECT * FROM old_sticky; INSERT INTO log SELECT * FROM old_log; INSERT INTO lane_log SELECT * FROM old_lane_log;
		DROP TABLE old_lane; DROP TABLE old_event; DROP TABLE old_chain; DROP TABLE old_sticky; DROP TABLE old_log; DROP TABLE old_lane_log`)
	return err
}

// migrateTo3 adds two tables. What PagerDuty may count was a text in meta after an end in
// order; how urgent it was is not in there.
func migrateTo3(ctx context.Context, w *writer) error {
	if _, err := w.conn.ExecContext(ctx, schemaFrom("-- Attempts of the last minute", "-- One lane for each")); err != nil {
		return err
	}
	text, err := w.meta("counted")
	for word := range strings.FieldsSeq(text) {
		if err != nil {
			return err
		}
		lane, at, _ := strings.Cut(word, ":")
		err = w.exec(`INSERT INTO counted (lane, at, priority, requests) VALUES (CAST(?1 AS INTEGER), CAST(?2 AS INTEGER), 0, 1)`, lane, at)
	}
	if err != nil {
		return err
	}
	return w.exec(`DELETE FROM meta WHERE name = 'counted'`)
}

// schemaFrom is the part of the schema that begins with a comment and ends before another
// one, or at its end.
func schemaFrom(begin, end string) string {
	_, rest, found := strings.Cut(schema, begin)
	if !found {
		panic("sqlite: internal error: the schema has no " + begin)
	}
	if end != "" {
		rest, _, _ = strings.Cut(rest, end)
	}
	return begin + rest
}

// version1 reads a queue of that version, of which the tables have other names.
type version1 struct {
	w    *writer
	keys map[int64]eventsv2.Key
}

// lanes come first, as the checksums cover their keys. A key in two cases had two
// lanes: nothing new comes to the second.
func (o *version1) lanes(ctx context.Context) error {
	rows, err := o.w.conn.QueryContext(ctx, `SELECT id, key, held, held_who, held_why, held_at, learned, ceiling, paused_until, pauses, key_refused,
		waiting0, waiting1, waiting2, waiting3, delivered, refused, expired FROM old_lane ORDER BY id`)
	if err != nil {
		return err
	}
	var lanes []laneRow
	err = each(rows, func(scan func(...any) error) error {
		var r laneRow
		var key string
		var held, heldAt, paused, refused int64
		c := &r.count
		err := scan(&r.ID, &key, &held, &r.HeldBy.Who, &r.HeldBy.Why, &heldAt, &r.Learned, &r.Ceiling, &paused, &r.Pauses, &refused,
			&c.Waiting[0], &c.Waiting[1], &c.Waiting[2], &c.Waiting[3], &c.Delivered, &c.Refused, &c.Expired)
		if err != nil {
			return err
		}
		if r.Key, err = eventsv2.ParseKey(key); err != nil {
			return fmt.Errorf("lane %d: %w: %w", r.ID, errDamaged, err)
		}
		r.Held, r.HeldBy.At, r.PausedUntil, r.KeyRefused = held == 1, fromMillis(heldAt), fromMillis(paused), fromMillis(refused)
		r.used, r.Proven = millis(o.w.s.o.Now()), c.Delivered > 0
		lanes = append(lanes, r)
		return nil
	})
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for i := range lanes {
		r := &lanes[i]
		if seen[folded(r.Key)] {
			r.twin = r.ID
		}
		seen[folded(r.Key)] = true
		o.keys[r.ID] = r.Key
		if err := o.w.insertLane4(r); err != nil {
			return err
		}
	}
	return nil
}

// row1 is an event of version 1.
type row1 struct {
	row
	checksum int64
}

const columns1 = `id, lane, state, priority, severity, kind, action, dedup, coalesce(next, 0), accepted, fresh, due, ended, attempts, repeats, status, reason, pool, repairs, checksum, body`

func (r *row1) scan(scan func(...any) error) error {
	err := scan(num(&r.id), num(&r.lane), num(&r.state), num(&r.priority), num(&r.severity), num(&r.kind), txt(&r.action), txt(&r.dedup), num(&r.next),
		num(&r.accepted), num(&r.fresh), num(&r.due), num(&r.ended), num(&r.attempts), num(&r.repeats), num(&r.status), txt(&r.reason), txt(&r.pool),
		txt(&r.repairs), num(&r.checksum), txt(&r.body))
	if r.repairs != "" {
		r.repairs = joinLines(strings.Split(r.repairs, "\n"))
	}
	r.summary, r.source = shownOf(r.body)
	return err
}

// intact1 is version 1's check. It covered the content, the lane and the severity.
func (r *row1) intact1() bool {
	sum := crc32.Update(uint32(r.lane)<<2|uint32(r.severity), castagnoli, []byte(r.action))
	sum = crc32.Update(sum, castagnoli, []byte(r.dedup))
	return r.checksum == int64(crc32.Update(sum, castagnoli, []byte(r.body)))
}

// shownOf takes summary and source out of an event's body, for lists.
func shownOf(body string) (summary, source string) {
	var e struct {
		Payload struct {
			Summary string `json:"summary"`
			Source  string `json:"source"`
		} `json:"payload"`
	}
	if json.Unmarshal([]byte(body), &e) != nil {
		return "", "" // a damaged row, which says so itself
	}
	return shown(e.Payload.Summary), shown(e.Payload.Source)
}

// maxShown is how many characters of a summary or source a list shows: as many as
// PagerDuty takes of a summary.
const maxShown = 1024

func shown(text string) string {
	if utf8.RuneCountInString(text) <= maxShown {
		return text
	}
	return string([]rune(text)[:maxShown])
}

// events writes each event with the new checksums. One that was damaged gets a
// checksum that is wrong, so that it is found out when it would be sent.
func (o *version1) events(ctx context.Context) error {
	const slice = 500
	prev := map[int64]int64{} // by the event behind it
	for after := int64(0); ; {
		rows, err := o.w.conn.QueryContext(ctx, `SELECT `+columns1+` FROM old_event WHERE id > ?1 ORDER BY id LIMIT ?2`, after, slice)
		if err != nil {
			return err
		}
		var list []row1
		err = each(rows, func(scan func(...any) error) error {
			list = append(list, row1{})
			return list[len(list)-1].scan(scan)
		})
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return o.requeued(prev)
		}
		for i := range list {
			r := &list[i]
			after = r.id
			if r.state.Ended() {
				r.next = 0
			} else if r.next != 0 {
				prev[r.next] = r.id
			}
			r.prev = prev[r.id]
			delete(prev, r.id)
			if r.cells.content = r.sum(o.keys[r.lane]); !r.intact1() {
				r.cells.content++
			}
			if err := o.w.insertRow(&r.cells, &r.facts); err != nil {
				return err
			}
		}
	}
}

// requeued tells events who comes before them if that has a higher number: they had
// gone to the end of their chain.
func (o *version1) requeued(prev map[int64]int64) error {
	for id, before := range prev {
		x, err := o.w.cells(id, chainID{})
		if bad := (*contradiction)(nil); errors.As(err, &bad) {
			continue // the event is not there; its chain says so when it comes to it
		}
		if err != nil {
			return err
		}
		x.prev = before
		if err := o.w.link(&x); err != nil {
			return err
		}
	}
	return nil
}

// chains are as they were, with a seal.
func (o *version1) chains(ctx context.Context) error {
	rows, err := o.w.conn.QueryContext(ctx, `SELECT lane, dedup, head, tail, n0, n1, n2, n3 FROM old_chain`)
	if err != nil {
		return err
	}
	var list []chain
	err = each(rows, func(scan func(...any) error) error {
		var c chain
		err := scan(&c.id.lane, &c.id.dedup, &c.head, &c.tail, &c.n[0], &c.n[1], &c.n[2], &c.n[3])
		list = append(list, c)
		return err
	})
	for i := range list {
		if err != nil {
			return err
		}
		c := &list[i]
		err = o.w.exec(`INSERT INTO chain (`+chainColumns+`) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)`,
			c.id.lane, c.id.dedup, c.head, c.tail, c.n[0], c.n[1], c.n[2], c.n[3], c.seal())
	}
	return err
}

// migrateTo4 remembers incidents of all keys, where version 3 knew those of pools. What a
// pool had chosen leads to its key; which key the sender had named is not known. The open
// incidents of other keys are those whose last delivered event is no resolve. Of what is
// queued nobody knows whether it was accepted.
func migrateTo4(ctx context.Context, w *writer) error {
	tables := schemaFrom("-- Through which key an incident", "-- What an event tells of pairs") + schemaFrom("CREATE INDEX event_said", "-- A chain is what has not ended")
	_, err := w.conn.ExecContext(ctx, tables+`
		INSERT INTO incident SELECT lane, dedup, lane, max(used), 0 FROM sticky WHERE lane IN (SELECT id FROM lane) GROUP BY lane, dedup;
		INSERT OR IGNORE INTO incident SELECT lane, dedup, lane, ended, 0 FROM (SELECT lane, dedup, action, max(ended) AS ended FROM event INDEXED BY event_done
			WHERE state IN (4, 7) AND state = 4 AND ended > 0 AND kind = 0 AND pool = '' AND lane IN (SELECT id FROM lane) GROUP BY lane, dedup) WHERE action <> 'resolve';
		DROP TABLE sticky;
		INSERT OR REPLACE INTO meta SELECT 'unsure', max(coalesce((SELECT max(id) FROM event), 0), coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'unsure'), 0))`)
	if err != nil {
		return err
	}
	return sealIncidents(ctx, w)
}

// sealIncidents gives incidents their seals, in the order of their keys, a slice at a time.
func sealIncidents(ctx context.Context, w *writer) error {
	const slice = 500
	after := chainID{}
	for n := slice; n == slice; {
		rows, err := w.conn.QueryContext(ctx, `SELECT `+incidentColumns+` FROM incident WHERE (origin, dedup) > (?1, ?2) ORDER BY origin, dedup LIMIT ?3`, after.lane, after.dedup, slice)
		if err != nil {
			return err
		}
		var list []incident
		err = each(rows, func(scan func(...any) error) error {
			var i incident
			_, err := i.scan(scan)
			list = append(list, i)
			return err
		})
		for i := 0; i < len(list) && err == nil; i++ {
			after = chainID{list[i].origin, list[i].dedup}
			err = w.exec(`UPDATE incident SET seal = ?3 WHERE origin = ?1 AND dedup = ?2`, after.lane, after.dedup, list[i].seal())
		}
		if err != nil {
			return err
		}
		n = len(list)
	}
	return nil
}
