package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// errBackup marks a file that is a backup, and no relay's queue.
var errBackup = errors.New("the file is a backup")

// backupMeta is the row that says when a backup was made, in milliseconds since 1970.
const backupMeta = "backup"

// Backup writes the queue of a relay, which may be running, as it stands at one moment
// into a new file for its owner alone. It reads by a connection of its own, and so keeps
// the relay from cutting its write-ahead log meanwhile, and from nothing else.
func Backup(ctx context.Context, path, to string, now time.Time) (err error) {
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("there is no queue at %s: %w", path, err)
	}
	reserved, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // nobody else takes the name meanwhile
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: name another file, or delete %s", err, to)
	}
	if err != nil {
		return err
	}
	partial := to + ".partial"
	defer func() {
		if err != nil { // what is there is no backup
			_ = os.Remove(partial)
			_ = os.Remove(to)
		}
	}()
	if err := reserved.Close(); err != nil {
		return err
	}
	_ = os.Remove(partial)                                                       // of a backup of that name that was cut short
	empty, err := os.OpenFile(partial, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // SQLite takes an empty file, with its mode
	if err != nil {
		return err
	}
	if err := empty.Close(); err != nil {
		return err
	}
	if err := copyInto(ctx, path, partial); err != nil {
		return fmt.Errorf("copy the queue %s: %w", path, refused(err))
	}
	if err := markBackup(ctx, partial, now); err != nil {
		return fmt.Errorf("mark the backup: %w", err)
	}
	if err := syncWhole(partial); err != nil {
		return err
	}
	if err := os.Rename(partial, to); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(to))
}

// copyInto copies a queue of this version into an empty file.
func copyInto(ctx context.Context, path, to string) error {
	from := openPlain(path, "mode=ro")
	defer func() { _ = from.Close() }()
	if err := wantQueue(ctx, from); err != nil {
		return err
	}
	_, err := from.ExecContext(ctx, "VACUUM INTO ?", to)
	return err
}

// openPlain opens a file by one connection without any of the store's settings.
func openPlain(path, mode string) *sql.DB {
	name := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: mode + "&_pragma=busy_timeout(5000)"}
	db, err := sql.Open("sqlite", name.String())
	if err != nil { // the driver is linked, and it looks at nothing else
		panic("sqlite: internal error: " + err.Error())
	}
	db.SetMaxOpenConns(1)
	return db
}

// wantQueue refuses what is no queue of this program's version.
func wantQueue(ctx context.Context, db *sql.DB) error {
	var version, application int
	err := db.QueryRowContext(ctx, "SELECT user_version, application_id FROM pragma_user_version, pragma_application_id").Scan(&version, &application)
	switch {
	case err != nil:
		return err
	case application != applicationID:
		return fmt.Errorf("%w: its application_id is %d", errForeign, application)
	case version > schemaVersion:
		return laterError(version)
	}
	return nil
}

// markBackup says in the file that it is a backup, and that what was queued may have been
// sent since. No copy of it is taken for a relay's queue by mistake: it would send again,
// at once, what the relay has delivered after the backup.
func markBackup(ctx context.Context, path string, now time.Time) error {
	db := openPlain(path, "mode=rw")
	_, err := db.ExecContext(ctx, `INSERT INTO meta (name, value) VALUES (?1, ?2), ('clean', 'no'), ('wal', 'moved') ON CONFLICT DO UPDATE SET value = excluded.value`, backupMeta, strconv.FormatInt(now.UnixMilli(), 10))
	return errors.Join(err, db.Close())
}

func syncWhole(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// examineBackup refuses a backup that was not restored.
func (w *writer) examineBackup() error {
	made, err := w.meta(backupMeta)
	if err != nil || made == "" || w.s.o.restoring {
		return err
	}
	return fmt.Errorf("%w of %s: shoutrrrd restore makes a queue of it, with its lanes paused; a relay that sent from it at once would repeat what was delivered since", errBackup, madeAt(made).Format(time.RFC3339))
}

func madeAt(text string) time.Time {
	at, _ := strconv.ParseInt(text, 10, 64) // a damaged number is a wrong date, for people
	return time.UnixMilli(at).UTC()
}

// Restored is what a backup has queued.
type Restored struct {
	MadeAt time.Time
	Lanes  []RestoredLane // those in which something is queued
}

// RestoredLane is a lane with what it would send.
type RestoredLane struct {
	Key    eventsv2.Key
	Count  queue.Count
	Oldest time.Time
}

// Restore makes the queue of a stopped relay from a backup: a new file, all lanes of which
// are paused by that operator. With show it changes nothing and says what would be sent.
// What the file had in flight, and what was delivered since, would be sent again.
func Restore(ctx context.Context, backup string, o Options, by queue.By, show bool) (r Restored, err error) {
	if there := leftAt(o.Path); !show && there != "" {
		return r, fmt.Errorf("there is a queue, or a part of one, at %s: stop its relay, and move the queue away with its companions (-wal, -shm, %s); a restore overwrites nothing: %w", there, salvageSuffix, fs.ErrExist)
	}
	folder := filepath.Dir(o.Path)
	if show { // a copy of it is what is looked at, since to read it changes it
		if folder, err = os.MkdirTemp("", "shoutrrrd-restore-"); err != nil {
			return r, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	} else if err := os.MkdirAll(folder, 0o700); err != nil {
		return r, err
	}
	// In a folder of its own nothing is left of what could not be restored.
	own := filepath.Join(folder, filepath.Base(o.Path)+".restoring")
	err = os.Mkdir(own, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return r, fmt.Errorf("%w: a restore was cut short, or another one runs; if none does, delete %s", err, own)
	}
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(own)) }()
	partial := filepath.Join(own, filepath.Base(o.Path))
	if err := copyFile(backup, partial); err != nil {
		return r, err
	}
	if r, err = pauseAll(ctx, partial, o, by); err != nil {
		return r, fmt.Errorf("%s: %w", backup, err)
	}
	if show {
		return r, nil
	}
	if err := os.Link(partial, o.Path); err != nil { // which fails if somebody has made one meanwhile
		return r, err
	}
	return r, syncFolder(folder)
}

// copyFile makes a copy for its owner alone, in a file that was not there.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return nil
}

// pauseAll pauses each lane of a copy of a backup, and says what they hold.
func pauseAll(ctx context.Context, path string, o Options, by queue.By) (r Restored, err error) {
	o.Path, o.restoring, o.checking = path, true, true
	s, err := Open(ctx, o)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if len(s.Quarantined()) > 0 {
		return r, fmt.Errorf("%w: it cannot be restored; use another backup", errDamaged)
	}
	err = s.submit(ctx, func(w *writer) error {
		made, err := w.meta(backupMeta)
		if err == nil && made == "" {
			err = verdict{fmt.Errorf("%wit is no backup that shoutrrrd backup has made", queue.ErrRefusedFile)}
		}
		r.MadeAt = madeAt(made)
		if err != nil {
			return err
		}
		return w.exec(`DELETE FROM meta WHERE name = ?1`, backupMeta)
	})
	if err != nil {
		return r, err
	}
	return r, s.pauseLanes(ctx, by, &r)
}

func (s *Store) pauseLanes(ctx context.Context, by queue.By, r *Restored) error {
	counts, err := s.Totals(ctx)
	if err != nil {
		return err
	}
	for _, count := range counts {
		l, err := s.LaneByID(ctx, count.Lane)
		if err != nil {
			return err
		}
		if !l.Held { // a pause of before stays that operator's
			if err := s.Hold(ctx, l.ID, by); err != nil {
				return err
			}
		}
		if count.Total() == 0 {
			continue
		}
		oldest, err := s.oldestOf(ctx, l.ID)
		if err != nil {
			return err
		}
		r.Lanes = append(r.Lanes, RestoredLane{Key: l.Key, Count: count, Oldest: oldest})
	}
	return nil
}

func (s *Store) oldestOf(ctx context.Context, lane int64) (time.Time, error) {
	var at int64
	err := s.read.QueryRowContext(ctx, `SELECT coalesce(min(accepted), 0) FROM event WHERE lane = ?1 AND state < 4`, lane).Scan(num(&at))
	return fromMillis(at), err
}

// leftAt returns the first file of a queue of that path, "" if there is none. SQLite would
// replay a log that another queue has left into the restored file, and a note has the next
// start set that file aside: nothing would be paused then.
func leftAt(path string) string {
	for _, end := range []string{"", "-wal", "-shm", "-journal", salvageSuffix} {
		if exists(path + end) {
			return path + end
		}
	}
	return ""
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
