package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// Check examines the queue of a relay that is stopped, with its indexes. Without
// repair nothing is changed. With it a damaged file is set aside as at a start, and
// what can be read of it taken over.
func Check(ctx context.Context, o Options, repair bool) (report Report, err error) {
	if _, err := os.Stat(o.Path); errors.Is(err, fs.ErrNotExist) {
		return report, fmt.Errorf("there is no queue at %s: %w", o.Path, fs.ErrNotExist)
	}
	if repair {
		return checkAndRepair(ctx, o)
	}
	o.complete()
	lock, err := lockFile(o.Path + ".lock")
	if err != nil {
		return report, err
	}
	s := &Store{o: o, lock: lock}
	if err := s.holdFile(); err != nil {
		return report, errors.Join(err, lock.Close())
	}
	defer func() { err = errors.Join(err, s.closeFiles()) }()
	if err := s.examineMark(); err != nil {
		return damagedReport(err), nil
	}
	s.read = s.database(1, "query_only(1)")
	var version, application int
	err = s.read.QueryRowContext(ctx, "SELECT user_version, application_id FROM pragma_user_version, pragma_application_id").Scan(&version, &application)
	switch {
	case err != nil && (isDamage(err) || isOfTheData(err)):
		return damagedReport(err), nil
	case err != nil:
		return report, err
	case application != applicationID && (application != 0 || version != 1):
		return report, fmt.Errorf("%w: its application_id is %d", errForeign, application)
	case version > schemaVersion:
		err := foreign(version, s.read.QueryRowContext(ctx, versionText))
		if isDamage(err) || isOfTheData(err) {
			return damagedReport(err), nil
		}
		return report, refused(err)
	case version != schemaVersion:
		return report, fmt.Errorf("the queue has version %d, this program checks version %d: start the relay once, which brings an older queue to the present version", version, schemaVersion)
	}
	x := newExamination()
	if err = x.integrity(ctx, s.read); err == nil {
		err = x.read(ctx, s.read)
	}
	if err != nil && (isDamage(err) || isOfTheData(err)) {
		x.report.add(Finding{What: "the file cannot be read to its end: " + err.Error()})
		err = nil
	}
	return x.report, err
}

func damagedReport(err error) Report {
	return Report{Findings: []Finding{{What: "the file is damaged; the next start sets it aside and takes over what can be read: " + err.Error()}}}
}

// checkAndRepair repairs the queue. Damage far inside the file is met on the way, and
// leaves a mark: the second time the file is set aside.
func checkAndRepair(ctx context.Context, o Options) (Report, error) {
	before := len(asides(o.Path))
	report, err := repairOnce(ctx, o, before)
	if errors.Is(err, queue.ErrBroken) || isDamage(err) {
		report, err = repairOnce(ctx, o, before)
	}
	return report, err
}

// repairOnce opens the queue as a relay does. Before is how many files had been set
// aside.
func repairOnce(ctx context.Context, o Options, before int) (report Report, err error) {
	o.checking = true
	s, err := Open(ctx, o)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	x := newExamination()
	if err := s.noted(x.integrity(ctx, s.read)); err != nil {
		return report, err
	}
	if !x.report.Sound() { // the tables can be read, so the indexes are what is wrong
		if err := s.submit(ctx, func(w *writer) error { return w.exec("REINDEX") }); err != nil {
			return x.report, err
		}
	}
	report, err = s.Examine(ctx, true)
	if err == nil && !x.report.Sound() {
		err = s.submit(ctx, func(w *writer) error { return w.refit() })
	}
	for _, f := range x.report.Findings {
		f.Removed = true
		report.add(f)
	}
	if taken := s.Salvaged(); taken != nil && len(s.Quarantined()) > before {
		report.add(Finding{Removed: true, What: fmt.Sprintf("the file was damaged and is set aside as %s; %d events and %d lanes were taken over, %d events are damaged, %d have lost their key, %d numbers cannot be read",
			taken.File, taken.Events, taken.Lanes, taken.Damaged, taken.NoKey, taken.Unreadable)})
		if taken.IncidentsLost {
			report.add(Finding{Removed: true, What: LostIncidents})
		}
	}
	return report, err
}

// refit writes events anew that have in a column what the table does not take, such as
// nothing. It comes after an examination: what cannot be trusted is a dead letter by
// then. Of a line of the history, of an origin, of what is remembered of an incident and of
// what an event tells of others no event depends; they go.
func (w *writer) refit() error {
	for _, table := range []string{"log", "lane_log", "incident", "origin", "counted", "failing", "fold"} {
		unfit, err := w.unfit(table)
		if err != nil {
			return err
		}
		n, err := w.execCount("DELETE FROM " + table + " WHERE " + unfit)
		if err == nil && n > 0 && table == "incident" {
			err = w.lost(0)
		}
		if err != nil {
			return err
		}
	}
	unfit, err := w.unfit("event")
	if err != nil {
		return err
	}
	rows, err := w.query(`SELECT ` + cellColumns + ` FROM event WHERE kind NOT IN (0, 1) OR ` + unfit)
	if err != nil {
		return err
	}
	var list []cells
	err = each(rows, func(scan func(...any) error) error {
		var c cells
		whole, err := c.scan(scan)
		if whole {
			list = append(list, c)
		}
		return err
	})
	for i := 0; i < len(list) && err == nil; i++ {
		err = w.reissue(&list[i])
	}
	return err
}

// unfit is the condition of rows in which a column has another type than its table says.
func (w *writer) unfit(table string) (string, error) {
	rows, err := w.query(`SELECT name, lower(type) FROM pragma_table_info(?1)`, table)
	if err != nil {
		return "", err
	}
	var conditions []string
	err = each(rows, func(scan func(...any) error) error {
		var name, kind string
		err := scan(&name, &kind)
		conditions = append(conditions, fmt.Sprintf("typeof(%s) <> '%s'", name, kind))
		return err
	})
	return strings.Join(conditions, " OR "), err
}

// integrity asks SQLite whether tables and indexes fit together.
func (x *examination) integrity(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, "PRAGMA integrity_check(100)")
	if err != nil {
		return err
	}
	return each(rows, func(scan func(...any) error) error {
		var line string
		err := scan(&line)
		if line != "ok" {
			x.report.add(Finding{What: "SQLite: " + strings.TrimSpace(line)})
		}
		return err
	})
}
