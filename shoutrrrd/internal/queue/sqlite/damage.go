package sqlite

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// errDamaged marks a file that SQLite reads and that says what cannot be.
var errDamaged = errors.New("the file is damaged")

// isDamage reports whether the file cannot be what was written. Every statement of
// this package is constant and every constraint is one that it keeps, so an error
// of their kind says that the disk has changed the schema or a row.
func isDamage(err error) bool {
	var e *driver.Error
	if errors.As(err, &e) {
		switch e.Code() & 0xff {
		case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB, lib.SQLITE_ERROR, lib.SQLITE_CONSTRAINT, lib.SQLITE_MISMATCH:
			return true
		}
	}
	// database/sql has no type for a column that does not hold what it should.
	return errors.Is(err, errDamaged) || err != nil && strings.Contains(err.Error(), "sql: Scan error")
}

// isFailedSync reports whether an fsync has failed.
func isFailedSync(err error) bool {
	var e *driver.Error
	return errors.Is(err, errSync) || errors.As(err, &e) && (e.Code() == lib.SQLITE_IOERR_FSYNC || e.Code() == lib.SQLITE_IOERR_DIR_FSYNC)
}

// suspectSuffix names the mark that a running store leaves beside a file that has
// contradicted itself. The next start builds a new one from its rows: to find out
// what else is wrong in it takes longer, and finds less.
const suspectSuffix = ".suspect"

func (s *Store) suspect() {
	_ = os.WriteFile(s.o.Path+suspectSuffix, nil, 0o600) // without it the next start trusts the file until it meets the damage again
}

// examine refuses a file that has contradicted itself. A file that has not is not
// looked at: to read a gigabyte takes longer than a start may take.
func (s *Store) examine() error {
	if _, err := os.Stat(s.o.Path + suspectSuffix); err == nil {
		return fmt.Errorf("%w: it contradicted itself while it was used", errDamaged)
	}
	return nil
}

// examineHeader refuses a file of a format that this program never writes. SQLite
// takes it for one of a later version and opens it for reading only, which would
// look like a disk that is read-only, at every start
// (https://www.sqlite.org/fileformat2.html#file_format_version_numbers).
func examineHeader(path string) error {
	const writeVersion, readVersion, latest = 18, 19, 2 // bytes 18 and 19; 2 is a file with a WAL
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	header := make([]byte, readVersion+1)
	if _, err := io.ReadFull(file, header); err != nil {
		return nil //nolint:nilerr // a new file; what else it may be, SQLite says
	}
	if header[writeVersion] > latest || header[readVersion] > latest {
		return fmt.Errorf("%w: its header has format %d, %d", errDamaged, header[writeVersion], header[readVersion])
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
