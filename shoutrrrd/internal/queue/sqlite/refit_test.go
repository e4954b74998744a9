package sqlite

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/queuetest"
)

// nothingIn is a statement that puts NULL into a column that never has it, and the table
// whose text must say for so long that it may.
func nothingIn(table, column, where string) string {
	return fmt.Sprintf("%s: UPDATE %s SET %s = NULL WHERE %s", table, table, column, where)
}

// After a repair no row holds what its table does not take, whatever the disk has made
// of it, and no event is gone.
func TestRepairedRowsCanBeRead(t *testing.T) {
	prove.NoRace(t)
	for _, statement := range []string{
		nothingIn("event", "summary", "id = 4"),
		nothingIn("event", "body", "id = 1"),
		nothingIn("event", "kind", "id = 10"),
		nothingIn("event", "reason", "id = 11"),
		nothingIn("event", "size", "id = 5"),
		nothingIn("event", "due", "id = 5"),
		nothingIn("log", "text", "1"),
		"UPDATE event SET kind = 5 WHERE id = 7",
		"UPDATE event SET kind = 5 WHERE id = 10",
		"UPDATE event SET kind = 5 WHERE id = 4",
		"UPDATE event SET kind = 5, seal = 0 WHERE id = 4",
		"UPDATE event SET kind = 5, seal = 0 WHERE id = 1",
		"UPDATE event SET kind = 5, seal = 0 WHERE id = 7",
		"UPDATE event SET dedup = '', seal = 0 WHERE id = 7",
		"UPDATE event SET size = -1, seal = 0 WHERE id = 4",
	} {
		t.Run(statement, func(t *testing.T) {
			path := mixed(t)
			if table, set, empties := strings.Cut(statement, ": "); empties {
				change(t, path, "PRAGMA writable_schema = ON", "UPDATE sqlite_schema SET sql = replace(sql, ' NOT NULL', ' /**/ NULL') WHERE name = '"+table+"'")
				change(t, path, set)
				change(t, path, "PRAGMA writable_schema = ON", "UPDATE sqlite_schema SET sql = replace(sql, ' /**/ NULL', ' NOT NULL') WHERE name = '"+table+"'")
			} else {
				change(t, path, statement)
			}
			if report, err := Check(t.Context(), Options{Path: path}, true); err != nil || report.Sound() {
				t.Fatalf("the repair finds %+v, %v", report, err)
			}
			if report, err := Check(t.Context(), Options{Path: path}, false); err != nil || !report.Sound() {
				t.Errorf("after the repair there is %+v, %v", report, err)
			}
			s := openTest(t, Options{Path: path})
			deliverAll(t, s)
			if n := len(idsOf(t, s)); n != 11 {
				t.Errorf("%d of 11 events are left", n)
			}
		})
	}
}

// One changed bit makes a BLOB of a text, with the same bytes. The event is what was
// written; it leaves once, and the end of its attempt is kept.
func TestTextThatIsABlob(t *testing.T) {
	for _, column := range []string{"reason", "action", "dedup", "pool", "key", "repairs", "summary", "source", "body"} {
		t.Run(column, func(t *testing.T) {
			path := mixed(t)
			change(t, path, "PRAGMA writable_schema = ON", "UPDATE sqlite_schema SET sql = replace(sql, ') STRICT', ') /**/') WHERE name = 'event'")
			change(t, path, fmt.Sprintf("UPDATE event SET %[1]s = CAST(%[1]s AS BLOB)", column))
			change(t, path, "PRAGMA writable_schema = ON", "UPDATE sqlite_schema SET sql = replace(sql, ') /**/', ') STRICT') WHERE name = 'event'")
			s := openTest(t, Options{Path: path})
			if left := deliverAll(t, s); len(left) != 5 {
				t.Errorf("%q left, want 5 events", left)
			}
		})
	}
}

// A line of an event's history whose number has changed keeps no event from leaving, and
// no operator from deciding about it.
func TestFalseNumberInHistory(t *testing.T) {
	for name, n := range map[string]string{"a text": "''", "a text behind all": "'x'", "the highest": "9223372036854775807", "before all": "-9223372036854775807"} {
		t.Run(name, func(t *testing.T) {
			path := mixed(t)
			change(t, path, "PRAGMA writable_schema = ON", "UPDATE sqlite_schema SET sql = replace(sql, ') STRICT', ') /**/') WHERE name = 'log'")
			change(t, path, "INSERT INTO log (event, n, at, what) SELECT 4, 1, 1, 'attempt' WHERE NOT EXISTS (SELECT 1 FROM log WHERE event = 4 AND n = 1)",
				"INSERT INTO log (event, n, at, what) VALUES (4, "+n+", 1, 'attempt')")
			change(t, path, "PRAGMA writable_schema = ON", "UPDATE sqlite_schema SET sql = replace(sql, ') /**/', ') STRICT') WHERE name = 'log'")
			s := openTest(t, Options{Path: path})
			if err := queuetest.RequeueOne(t.Context(), s, 4, queue.By{Who: "ana", At: time.Now()}); err != nil {
				t.Error(err)
			}
			if left := deliverAll(t, s); len(left) != 6 {
				t.Errorf("%q left, want 6 events", left)
			}
		})
	}
}

// A column that is no number any more keeps nobody from seeing how all else stands.
func TestColumnThatIsNoNumber(t *testing.T) {
	for _, column := range []string{"event: lane", "event: priority", "event: accepted", "event: severity", "event: status", "log: at", "log: status"} {
		t.Run(column, func(t *testing.T) {
			table, column, _ := strings.Cut(column, ": ")
			path := mixed(t)
			change(t, path, "PRAGMA writable_schema = ON", "UPDATE sqlite_schema SET sql = replace(sql, ') STRICT', ') /**/') WHERE name = '"+table+"'")
			change(t, path, "UPDATE "+table+" SET "+column+" = ''")
			change(t, path, "PRAGMA writable_schema = ON", "UPDATE sqlite_schema SET sql = replace(sql, ') /**/', ') STRICT') WHERE name = '"+table+"'")
			s := openTest(t, Options{Path: path})
			_, counts := s.Overview(t.Context(), nil, 100)
			_, shapes := s.Shapes(t.Context(), time.Now())
			_, groups := s.Groups(t.Context())
			_, listed := s.Events(t.Context(), queue.Filter{})
			_, _, one := s.Event(t.Context(), 4)
			if err := errors.Join(counts, shapes, groups, listed, one); err != nil {
				t.Error(err)
			}
		})
	}
}
