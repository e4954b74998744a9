package sqlite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// errDamaged marks a file that SQLite reads and that says what cannot be.
var errDamaged = errors.New("the file is damaged")

// isDamage reports whether SQLite finds the file damaged, or this package finds in
// it what cannot be anywhere.
func isDamage(err error) bool {
	var e *driver.Error
	if errors.As(err, &e) {
		code := e.Code() & 0xff
		return code == lib.SQLITE_CORRUPT || code == lib.SQLITE_NOTADB
	}
	return errors.Is(err, errDamaged)
}

// isOfTheData reports whether a request failed because of what the rows say, or of a
// mistake of this package: a contradiction, a constraint, a column that cannot be
// read. That says nothing about the disk, and nothing about other requests.
func isOfTheData(err error) bool {
	var e *driver.Error
	if errors.As(err, &e) {
		switch e.Code() & 0xff {
		case lib.SQLITE_ERROR, lib.SQLITE_CONSTRAINT, lib.SQLITE_MISMATCH, lib.SQLITE_TOOBIG, lib.SQLITE_RANGE:
			return true
		}
		return false
	}
	if isCalledOff(err) {
		return false
	}
	var call syscall.Errno // of a file that this package opens itself
	return !errors.As(err, &call) && !errors.Is(err, errDamaged) && !isRefusedFile(err) && !errors.Is(err, errTaken) && !errors.Is(err, queue.ErrLocked) &&
		!errors.Is(err, queue.ErrBroken) && !errors.Is(err, queue.ErrUnavailable)
}

// isCalledOff reports whether what was done ended because the caller wanted it to: a
// start that is called off has found nothing in the file.
func isCalledOff(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// isUnreadable reports whether a file that was set aside cannot be read at one place.
// Any other error says nothing about the place, such as one of too many open files:
// the next start may read it.
func isUnreadable(err error) bool {
	var e *driver.Error
	if errors.As(err, &e) && e.Code()&0xff == lib.SQLITE_IOERR {
		return true // the disk does not read the page
	}
	return isDamage(err) || isOfTheData(err)
}

// isFailedSync reports whether an fsync has failed.
func isFailedSync(err error) bool {
	var e *driver.Error
	return errors.As(err, &e) && (e.Code() == lib.SQLITE_IOERR_FSYNC || e.Code() == lib.SQLITE_IOERR_DIR_FSYNC)
}

// suspectSuffix names the mark that a running store leaves beside a file that has
// contradicted itself. The next start builds a new one from its rows: to find out
// what else is wrong in it takes longer, and finds less.
const suspectSuffix = ".suspect"

func (s *Store) suspect() {
	_ = os.WriteFile(s.o.Path+suspectSuffix, nil, 0o600) // without it the next start trusts the file until it meets the damage again
}

// examineMark refuses a file that has turned out to be damaged. A file that has not
// is not looked at: to read a gigabyte takes longer than a start may take.
func (s *Store) examineMark() error {
	if _, err := os.Stat(s.o.Path + suspectSuffix); err == nil {
		return fmt.Errorf("%w: it turned out to be damaged while it was used", errDamaged)
	}
	return nil
}

// examineHeader refuses a file of a format that this program never writes. SQLite
// takes it for one of a later version and opens it for reading only, which would
// look like a disk that is read-only, at every start
// (https://www.sqlite.org/fileformat2.html#file_format_version_numbers). It also
// refuses a file of another program before anything is changed in it.
func (s *Store) examineHeader(ctx context.Context) error {
	const writeVersion, readVersion, latest, application, length = 18, 19, 2, 68, 100 // 2 is a file with a WAL
	file, err := os.Open(s.o.Path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	header := make([]byte, length)
	if _, err := io.ReadFull(file, header); err != nil {
		return nil //nolint:nilerr // a new file; what else it may be, SQLite says
	}
	if header[writeVersion] > latest || header[readVersion] > latest {
		return fmt.Errorf("%w: its header has format %d, %d", errDamaged, header[writeVersion], header[readVersion])
	}
	if binary.BigEndian.Uint32(header[application:]) == applicationID {
		return nil
	}
	db := s.database(1, "query_only(1)")
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(ctx, tablesText)
	if err != nil {
		return nil //nolint:nilerr // it is damaged, and SQLite says so again
	}
	if tables, err := tablesIn(rows); err == nil && len(tables) > 0 && !isOurs(tables) {
		return fmt.Errorf("%w: another program has written the file; name another one", errForeign)
	}
	return nil
}

// salvageSuffix names the note of a damaged file that is being set aside and taken
// over: a process that ends in between leaves it to the next one to go on.
const salvageSuffix = ".salvage"

// belongings are the files that go with the queue's, itself at the end: once it has
// its new name, all of them have.
var belongings = []string{"-wal", "-shm", "-journal", suspectSuffix, ""}

// planAside chooses a name that is free for a damaged file and notes it.
func planAside(path string, now time.Time) (string, error) {
	base := path + ".corrupt-" + now.UTC().Format("20060102T150405Z")
	aside := base
	for n := 2; ; n++ {
		if _, err := os.Lstat(aside); errors.Is(err, os.ErrNotExist) {
			break
		}
		aside = fmt.Sprintf("%s-%d", base, n)
	}
	note := path + salvageSuffix
	file, err := os.OpenFile(note+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	_, err = file.WriteString(filepath.Base(aside))
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return "", fmt.Errorf("note what is set aside: %w", err)
	}
	if err := os.Rename(note+".new", note); err != nil {
		return "", fmt.Errorf("note what is set aside: %w", err)
	}
	return aside, syncFolder(filepath.Dir(path))
}

// plannedAside returns the name that an earlier process has noted and not done with,
// "" if there is none.
func plannedAside(path string) (string, error) {
	name, err := os.ReadFile(path + salvageSuffix)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return filepath.Join(filepath.Dir(path), filepath.Base(string(name))), nil
}

// forgetPlan ends what planAside began.
func forgetPlan(path string) error {
	if err := os.Remove(path + salvageSuffix); errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// setAside gives a damaged file, with what belongs to it, the name that was planned.
// It does nothing if that was done before.
func setAside(path, aside string) error {
	if _, err := os.Lstat(aside); err == nil {
		return nil
	}
	for _, suffix := range belongings {
		if err := os.Rename(path+suffix, aside+suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("set the damaged queue aside: %w", err)
		}
	}
	return syncFolder(filepath.Dir(path))
}

// asides lists the files that were set aside.
func asides(path string) []string {
	found, _ := filepath.Glob(globQuoted(path) + ".corrupt-*") // the pattern is valid
	found = slices.DeleteFunc(found, func(name string) bool {
		return slices.ContainsFunc(belongings, func(suffix string) bool { return suffix != "" && strings.HasSuffix(name, suffix) })
	})
	for i, name := range found {
		found[i] = filepath.Base(name)
	}
	return found
}

func globQuoted(path string) string {
	return strings.NewReplacer(`*`, `[*]`, `?`, `[?]`, `[`, `[[]`).Replace(path)
}
