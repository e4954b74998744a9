package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// longestWait is how long a waiting event waits at most after a start.
const longestWait = time.Minute

// errForeign marks a file that another program has written.
var errForeign = errors.New("it is no queue of this program")

// errLater marks a file of a later version.
var errLater = errors.New("a newer program has written the file")

// prepare makes or checks the tables and reads what the memory keeps.
func (w *writer) prepare(ctx context.Context, fresh bool) error {
	var version, application int
	if err := w.conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if err := w.conn.QueryRowContext(ctx, "PRAGMA application_id").Scan(&application); err != nil {
		return err
	}
	rows, err := w.conn.QueryContext(ctx, tablesText)
	if err != nil {
		return err
	}
	tables, err := tablesIn(rows)
	if err != nil {
		return err
	}
	if tables["meta"] {
		err = errors.Join(w.examineWAL(fresh), w.examineBackup())
	}
	switch {
	case isRefusedFile(err):
		return err
	case len(tables) == 0 && application == 0:
		err = w.create(ctx)
	case application != applicationID && !isOurs(tables):
		return fmt.Errorf("%w: another program has written the file (its application_id is %d); name another file", errForeign, application)
	case application != applicationID && (application != 0 || version != 1): // a bit of the header has changed
		return fmt.Errorf("%w: its application_id is %d", errDamaged, application)
	case version > schemaVersion:
		return foreign(version, w.conn.QueryRowContext(ctx, versionText))
	case version < schemaVersion:
		if err = w.s.examineMark(); err == nil {
			err = w.migrate(ctx, version)
		}
	}
	if err == nil {
		err = w.s.examineMark()
	}
	if err == nil {
		err = w.checkSchema(ctx)
	}
	if err == nil {
		err = w.checkPages(ctx)
	}
	if err == nil { // before anything is written that has a time
		err = w.resumeClock()
	}
	if err == nil {
		err = w.readMeta(ctx)
	}
	if err == nil {
		err = w.readFailing()
	}
	if err == nil {
		err = w.readLanes(ctx)
	}
	if err == nil {
		err = w.readTotals(ctx)
	}
	if err == nil {
		err = w.followAll()
	}
	if err == nil {
		err = w.readUnsure()
	}
	if err == nil {
		err = w.shortenWaits(ctx)
	}
	return err
}

// isOurs reports whether the tables are those of a queue. Version 1 had no
// application_id.
func isOurs(tables map[string]bool) bool {
	return tables["meta"] && tables["lane"] && tables["event"] && tables["chain"] && (tables["sticky"] || tables["incident"])
}

const tablesText = "SELECT name FROM sqlite_schema WHERE type = 'table'"

func tablesIn(rows *sql.Rows) (map[string]bool, error) {
	tables := map[string]bool{}
	return tables, each(rows, func(scan func(...any) error) error {
		var name string
		err := scan(&name)
		tables[name] = true
		return err
	})
}

// create makes the tables in one transaction.
func (w *writer) create(ctx context.Context) error {
	_, err := w.conn.ExecContext(ctx, fmt.Sprintf("BEGIN IMMEDIATE;\n%s\nINSERT INTO meta VALUES ('clean', 'yes'), ('version', '%[2]d');\nPRAGMA user_version = %[2]d;\nPRAGMA application_id = %[3]d;\nCOMMIT",
		schema, schemaVersion, applicationID))
	if err != nil {
		_, _ = w.conn.ExecContext(ctx, "ROLLBACK") // there may be none
	}
	return err
}

// versionText asks for the version that the table says.
const versionText = "SELECT value FROM meta WHERE name = 'version'"

// foreign tells a file of a later program, which says its version in two places, the header
// and the table, from one in whose header the disk has changed a bit.
func foreign(header int, table *sql.Row) error {
	var said string
	if err := table.Scan(&said); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if said != strconv.Itoa(header) {
		return fmt.Errorf("%w: its version is %d in the header and %q in the table", errDamaged, header, said)
	}
	return laterError(header)
}

// laterError is the one line that refuses the file of a later program.
func laterError(version int) error {
	return fmt.Errorf("%w: it has version %d, this program knows %d: run the newer program", errLater, version, schemaVersion)
}

// schemaText lists tables and indexes as they are written into a file.
const schemaText = "SELECT name, coalesce(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name"

// expectedSchema is what a new file has.
var expectedSchema = sync.OnceValues(func() (string, error) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return "", err
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(schema); err != nil {
		return "", err
	}
	rows, err := db.Query(schemaText)
	if err != nil {
		return "", err
	}
	return joined(rows)
})

func joined(rows *sql.Rows) (string, error) {
	var b strings.Builder
	err := each(rows, func(scan func(...any) error) error {
		var name, text string
		err := scan(&name, &text)
		b.WriteString(name + "\n" + text + "\n")
		return err
	})
	return b.String(), err
}

// checkSchema refuses a file whose tables are not those that this program makes: a
// bit in their text can give a column another name, and every statement would fail.
func (w *writer) checkSchema(ctx context.Context) error {
	want, err := expectedSchema()
	if err != nil {
		return err
	}
	rows, err := w.conn.QueryContext(ctx, schemaText)
	if err != nil {
		return err
	}
	got, err := joined(rows)
	if err == nil && got != want {
		return fmt.Errorf("%w: its tables are not those of version %d", errDamaged, schemaVersion)
	}
	return err
}

// checkedAtStart is how large a file may be whose pages are checked at each start: 45 ms
// of work for 12 MB.
const checkedAtStart = 32 << 20

// checkPages refuses a file whose pages contradict each other, before anything is
// written: SQLite trusts what a page says of its free space, and would write an event
// over another one. A larger file would keep the start waiting; it is examined while
// the relay works.
func (w *writer) checkPages(ctx context.Context) error {
	if sizeOfFile(w.s.o.Path) > checkedAtStart {
		return nil
	}
	var said string
	err := w.conn.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&said)
	if err == nil && strings.HasPrefix(said, "*** in database") { // else it is about a row, which is looked at when it is read
		return fmt.Errorf("%w: SQLite says %s", errDamaged, strings.Join(strings.Fields(said), " "))
	}
	return err
}

// readMeta learns whether the last end was clean, and says in the file that this
// one is not yet.
func (w *writer) readMeta(ctx context.Context) error {
	clean, err := w.meta("clean")
	if err != nil {
		return err
	}
	w.s.clean = clean == "yes"
	return w.setMeta("clean", "no")
}

// readUnsure learns up to which number events may have been in flight when a process
// ended: claims are kept in memory alone.
func (w *writer) readUnsure() error {
	if !w.s.clean {
		w.s.unsure = w.last
		return w.noteUnsure()
	}
	return w.queryRow(`SELECT coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'unsure'), 0)`, nil, []any{&w.s.unsure})
}

func (w *writer) noteUnsure() error { return w.setMeta("unsure", strconv.FormatInt(w.last, 10)) }

// readLanes reads the lanes. Of one whose seal is wrong the key counts if the index
// has the same; its counts are those of the examination that it asks for, and what
// was learned of it is learned again.
func (w *writer) readLanes(ctx context.Context) error {
	rows, err := w.conn.QueryContext(ctx, `SELECT `+laneColumns+` FROM lane ORDER BY used`)
	if err != nil {
		return err
	}
	var damaged []laneRow
	err = each(rows, func(scan func(...any) error) error {
		var r laneRow
		whole, err := r.scan(scan)
		if err != nil {
			return err
		}
		if !whole {
			damaged = append(damaged, r)
			return nil
		}
		w.takeLane(&r)
		return nil
	})
	for i := range damaged {
		if err != nil {
			return err
		}
		err = w.readDamagedLane(&damaged[i])
	}
	return err
}

func (w *writer) readDamagedLane(r *laneRow) error {
	var key string
	err := w.queryRow(`SELECT coalesce((SELECT key FROM lane INDEXED BY lane_key WHERE id = ?1 AND key >= ''), '')`, []any{r.ID}, []any{txt(&key)})
	if err != nil {
		return err
	}
	if r.Key.IsZero() || key != r.Key.Reveal() || r.ID <= 0 {
		return fmt.Errorf("lane %d: %w: its key is not what was written", r.ID, errDamaged)
	}
	held := r.Held && !r.HeldBy.At.IsZero()
	by := r.HeldBy
	// If the disk has changed the upstream, the lane waits for one that nobody names.
	*r = laneRow{Lane: queue.Lane{ID: r.ID, Key: r.Key, Upstream: r.Upstream, Own: r.Own, Since: r.Since, Alias: r.Alias}, count: r.count, twin: r.twin}
	if held {
		r.Held, r.HeldBy = true, by
	}
	for rank, n := range r.count.Waiting {
		r.count.Waiting[rank] = max(0, n)
	}
	w.takeLane(r)
	w.s.byID[r.ID].recount = true
	w.s.o.Report(Incident{Lane: r.ID, What: "a lane's row is damaged; its limit is learned again and its events are counted anew", Why: "its seal is wrong"})
	w.s.examineSoon()
	return nil
}

func (w *writer) takeLane(r *laneRow) {
	w.lastLane = max(w.lastLane, r.ID)
	w.s.queued += r.count.Total()
	w.s.addLane(&laneState{committed: *r, row: *r})
}

// followAll has the lanes be what the configuration says now, which may have changed since
// the last end.
func (w *writer) followAll() error {
	for _, l := range w.s.byID {
		if !w.follow(&l.row) {
			continue
		}
		r := &l.row
		if err := w.exec(`UPDATE lane SET upstream = ?2, own = ?3, since = ?4, alias = ?5, seal = ?6 WHERE id = ?1`, r.ID, r.Upstream, r.Own, r.Since, r.Alias, r.seal()); err != nil {
			return err
		}
		l.committed = l.row
	}
	return nil
}

// readTotals reads the highest numbers given out and how many dead letters there
// are: the index holds all of that.
func (w *writer) readTotals(ctx context.Context) error {
	var last, lastLane int64
	err := w.conn.QueryRowContext(ctx, `SELECT max(coalesce((SELECT max(id) FROM event), 0), coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'last'), 0)),
		coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'last lane'), 0)`).Scan(num(&last), num(&lastLane))
	if err != nil {
		return err
	}
	w.last, w.lastLane = max(w.last, last), max(w.lastLane, lastLane)
	return w.conn.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(`+boundedSize+`), 0) FROM event INDEXED BY event_least WHERE state IN (5, 6)`).Scan(num(&w.s.dead), num(&w.s.deadBytes))
}

// shortenWaits keeps a wrong clock of an earlier version from holding an event for years;
// what a server asked for, it can ask for again.
func (w *writer) shortenWaits(context.Context) error {
	latest := millis(w.s.o.Now().Add(longestWait))
	for more := true; more; {
		if err := w.exec("BEGIN IMMEDIATE"); err != nil {
			return err
		}
		var err error
		if more, err = w.shortenSome(latest); err == nil {
			err = w.exec("COMMIT")
		}
		if err != nil {
			_ = w.exec("ROLLBACK") // there may be none
			return err
		}
		w.checkpoint(transactionBytes)
	}
	return nil
}

// shortenSome does it for a slice, and reports whether there may be more. Each call
// makes the index shorter, whatever it says, or the start would never end.
func (w *writer) shortenSome(latest int64) (more bool, err error) {
	waiting, err := w.events(`SELECT `+columns+` FROM event INDEXED BY event_due WHERE state = 2 AND due > ?1 ORDER BY due DESC LIMIT ?2`, latest, wakeSlice)
	for i, before := 0, w.written; i < len(waiting) && err == nil && w.written-before < transactionBytes; i++ {
		x := &waiting[i].cells
		if waiting[i].sealed {
			x.due = latest
			err = w.write(x)
			continue
		}
		var n int64 // it is found out when it is due
		n, err = w.execCount(`UPDATE event SET due = ?2 WHERE id = ?1 AND state = 2 AND due > ?2`, x.id, latest)
		if err == nil && n == 0 { // the row is not what its entry in the index says
			return true, w.reindex("event_due")
		}
	}
	return len(waiting) > 0, err
}
