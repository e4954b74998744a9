package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// cells are the columns of an event's row that change during its life. Its seal
// covers them. Whoever changes one reads them all, so that no change can cover up
// what the disk has changed.
type cells struct {
	id                 int64
	lane               int64
	state              queue.State
	priority, severity queue.Rank
	prev, next         int64 // neighbours in the chain, 0 for none
	fresh, due, ended  int64 // milliseconds since 1970
	attempts, repeats  int
	status             int
	reason             string
	content            int64 // checksum of the columns that do not change
}

// facts are the columns that do not change, but for a trigger that is coalesced
// into the event.
type facts struct {
	kind     queue.Kind
	action   eventsv2.Action
	dedup    string
	accepted int64
	pool     string // of versions 1 and 2, which the checksum covers
	key      string // as this event spells it; "" as its lane does
	repairs  string // JSON
	summary  string
	source   string
	body     string
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum is a CRC-32C over numbers and texts, each with its length, so that nothing
// can move from one to the next.
type sum struct {
	crc     uint32
	numbers []byte
}

func (s *sum) add(numbers ...int64) {
	s.numbers = s.numbers[:0]
	for _, n := range numbers {
		s.numbers = binary.LittleEndian.AppendUint64(s.numbers, uint64(n))
	}
	s.crc = crc32.Update(s.crc, castagnoli, s.numbers)
}

func (s *sum) text(texts ...string) {
	for _, text := range texts {
		s.add(int64(len(text)))
		s.crc = crc32.Update(s.crc, castagnoli, []byte(text))
	}
}

// seal is never 0, which a page full of zeros would have.
func (s *sum) seal() int64 { return int64(s.crc) | 1<<32 }

func (c *cells) seal() int64 {
	s := sum{numbers: make([]byte, 0, 16*8)}
	s.add(c.id, c.lane, int64(c.state), int64(c.priority), int64(c.severity), c.prev, c.next, c.fresh, c.due, c.ended,
		int64(c.attempts), int64(c.repeats), int64(c.status), c.content)
	s.text(c.reason)
	return s.seal()
}

// sum of the content covers the integration key as well: should the table of lanes
// be lost, it tells which key the events of a lane belong to.
func (c *facts) sum(key eventsv2.Key) int64 {
	s := sum{numbers: make([]byte, 0, 2*8)}
	s.add(int64(c.kind), c.accepted)
	s.text(folded(key), string(c.action), c.dedup, c.pool, c.key, c.repairs, c.summary, c.source, c.body)
	return s.seal()
}

// folded is what a key is compared by: PagerDuty's own are of one case, and a slip
// in the case makes no other key.
func folded(key eventsv2.Key) string { return strings.ToLower(key.Reveal()) }

// contradiction is an error of the data: a row that is not what was written, or
// that does not fit the others. It concerns one chain.
type contradiction struct {
	chain chainID
	event int64 // in which it was seen; 0 for the chain's own row
	what  string
}

func (c *contradiction) Error() string {
	return fmt.Sprintf("the queue contradicts itself in event %d of lane %d: %s", c.event, c.chain.lane, c.what)
}

const cellColumns = `id, lane, state, priority, severity, prev, next, fresh, due, ended, attempts, repeats, status, reason, content, seal`

// scan reads cells and reports whether they are what was written.
func (c *cells) scan(scan func(...any) error, more ...any) (whole bool, err error) {
	var seal int64
	err = scan(append([]any{
		num(&c.id), num(&c.lane), num(&c.state), num(&c.priority), num(&c.severity), num(&c.prev), num(&c.next), num(&c.fresh), num(&c.due),
		num(&c.ended), num(&c.attempts), num(&c.repeats), num(&c.status), txt(&c.reason), num(&c.content), num(&seal),
	}, more...)...)
	return err == nil && seal == c.seal(), err
}

// cells reads an event that belongs to a chain. What is being sent is known
// already.
func (w *writer) cells(id int64, of chainID) (cells, error) {
	if held, ok := w.s.claims[id]; ok {
		return held.cells, nil
	}
	statement, err := w.statement(`SELECT ` + cellColumns + ` FROM event WHERE id = ?1`)
	if err != nil {
		return cells{}, err
	}
	var c cells
	whole, err := c.scan(statement.QueryRowContext(context.Background(), id).Scan)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return c, &contradiction{of, id, "the event is missing"}
	case err != nil:
		return c, err
	case !whole:
		return c, &contradiction{of, id, "the event's seal is wrong"}
	}
	return c, nil
}

// write stores cells that have changed, with a new seal.
func (w *writer) write(c *cells) error {
	return w.changeRow(c, `UPDATE event SET lane = ?2, state = ?3, priority = ?4, severity = ?5, prev = ?6, next = ?7, fresh = ?8, due = ?9,
		ended = ?10, attempts = ?11, repeats = ?12, status = ?13, reason = ?14, content = ?15, seal = ?16 WHERE id = ?1 RETURNING `+boundedSize,
		c.id, c.lane, c.state, c.priority, c.severity, c.prev, c.next, c.fresh, c.due, c.ended, c.attempts, c.repeats, c.status, c.reason, c.content, c.seal())
}

// link stores who comes before and behind an event, which leaves its place in the
// indexes as it is.
func (w *writer) link(c *cells) error {
	return w.changeRow(c, `UPDATE event SET prev = ?2, next = ?3, seal = ?4 WHERE id = ?1 RETURNING `+boundedSize, c.id, c.prev, c.next, c.seal())
}

// changeRow looks that a change met its row, and keeps what is known of an event that
// is being sent. SQLite writes the whole row again, with its body: large ones fill the
// WAL, so they count. It also looks at the type of each column again: a row in which the
// disk has changed one is written anew, or the end of an attempt could never be kept.
func (w *writer) changeRow(c *cells, text string, args ...any) error {
	var size int64
	err := w.queryRow(text, args, []any{num(&size)})
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%w: event %d is not there to be changed", errContradiction, c.id)
	}
	if err != nil && isOfTheData(err) {
		err = w.reissue(c)
	}
	if err != nil {
		return err
	}
	w.written += statementBytes + int(size)
	if held, ok := w.s.claims[c.id]; ok {
		held.cells = *c
		w.setClaim(c.id, held)
	}
	return nil
}

// errContradiction marks contradictions that have no chain of their own.
var errContradiction = errors.New("the queue contradicts itself")

// joinLines and splitLines keep lines that a sender has had a part in: what stands
// in one of them cannot begin another.
func joinLines(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	text, err := json.Marshal(lines)
	if err != nil { // texts can always be written
		panic("sqlite: internal error: " + err.Error())
	}
	return string(text)
}

// splitLines returns the lines of which the whole is there: a list cuts the text.
func splitLines(text string) (lines []string) {
	if text == "" {
		return nil
	}
	d := json.NewDecoder(strings.NewReader(text))
	if _, err := d.Token(); err != nil { // the opening bracket
		return nil
	}
	for d.More() {
		var line string
		if d.Decode(&line) != nil {
			break
		}
		lines = append(lines, line)
	}
	return lines
}
