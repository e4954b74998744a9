package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/queuetest"
	lib "modernc.org/sqlite/lib"
)

// filled returns a queue's file that holds events of that many chains, and their
// bodies.
func filled(t *testing.T, chains int) (file []byte, bodies map[string][]byte) {
	t.Helper()
	dir := t.TempDir()
	s, err := Open(context.Background(), Options{Path: filepath.Join(dir, "queue.db")})
	if err != nil {
		t.Fatal(err)
	}
	lane := laneOf(t, s)
	bodies = map[string][]byte{}
	for i := range chains {
		e := event(lane, eventsv2.Trigger, fmt.Sprintf("chain-%d", i), queue.Rank(i%4))
		e.Body = fmt.Appendf(nil, `{"n":%d,"text":%q}`, i, strings.Repeat("abcdefgh", 40))
		bodies[e.DedupKey] = e.Body
		if _, err := s.Put(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	file, err = os.ReadFile(filepath.Join(dir, "queue.db"))
	if err != nil {
		t.Fatal(err)
	}
	return file, bodies
}

// take claims all there is and checks that nothing but what was put comes out. It
// returns how many came out whole.
func take(t *testing.T, s *Store, bodies map[string][]byte) (whole int, err error) {
	t.Helper()
	lanes, _ := s.Lanes(t.Context())
	for _, l := range lanes {
		for {
			events, err := queuetest.Claim(t.Context(), s, l.ID, queue.MostUrgent, 10)
			if err != nil {
				return whole, err
			}
			if len(events) == 0 {
				break
			}
			for _, e := range events {
				if !bytes.Equal(e.Body, bodies[e.DedupKey]) {
					t.Fatalf("a changed event came out: %s %.60s", e.DedupKey, e.Body)
				}
				whole++
			}
		}
	}
	return whole, nil
}

// A file that is no database is set aside, whole, and the relay goes on with a new
// one.
func TestDamagedFileIsSetAside(t *testing.T) {
	file, _ := filled(t, 20)
	for _, damage := range []struct {
		name  string
		after func([]byte) []byte
	}{
		{"overwritten header", func(f []byte) []byte { return append([]byte("this is no database at all, "), f[28:]...) }},
		{"text", func([]byte) []byte { return []byte(strings.Repeat("no database\n", 1000)) }},
		{"cut off", func(f []byte) []byte { return f[:len(f)/3+17] }},
	} {
		t.Run(damage.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "queue.db")
			damaged := damage.after(bytes.Clone(file))
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path+suspectSuffix, nil, 0o600); err != nil { // so that all of it is looked at
				t.Fatal(err)
			}
			s := openTest(t, Options{Path: path})
			if len(s.Quarantined()) != 1 {
				t.Fatalf("set aside: %v", s.Quarantined())
			}
			kept, err := os.ReadFile(filepath.Join(dir, s.Quarantined()[0]))
			if err != nil || !bytes.Equal(kept, damaged) {
				t.Errorf("the damaged file was changed: %v", err)
			}
			if _, err := s.Put(t.Context(), event(laneOf(t, s), eventsv2.Trigger, "new", queue.Critical)); err != nil {
				t.Errorf("the new queue keeps nothing: %v", err)
			}
		})
	}
}

// Whatever bytes the disk changes: nothing panics, nothing comes out that was not
// put in, and what can be read is delivered.
func TestFlippedBytes(t *testing.T) {
	prove.NoRace(t)
	file, bodies := filled(t, 60)
	seed := prove.Seed(t)
	random := rand.New(rand.NewPCG(seed, 0))
	all, salvaged, before := 0, 0, openFiles(t)
	for range prove.Share(t, 20, 500, 2500) {
		path := filepath.Join(memoryDir(t), "queue.db")
		damaged := bytes.Clone(file)
		for range 1 + random.IntN(30) {
			damaged[random.IntN(len(damaged))] ^= byte(1 << random.IntN(8))
		}
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		best := 0
		for range 3 { // each start may meet damage that the one before has marked
			s, err := Open(t.Context(), Options{Path: path})
			if err != nil {
				t.Fatalf("seed %d: a damaged file keeps the relay from starting: %v", seed, err)
			}
			whole, err := take(t, s, bodies)
			best = max(best, whole)
			if len(s.Quarantined()) > 0 {
				salvaged++
			}
			_ = s.Close()
			if !errors.Is(err, queue.ErrBroken) {
				break
			}
		}
		all += best
		_ = os.RemoveAll(filepath.Dir(path))
	}
	t.Logf("%d events came out whole, %d files were set aside", all, salvaged)
	if all == 0 {
		t.Error("no event was saved from any file")
	}
	if after := openFiles(t); after > before+10 { // the runtime may have opened some of its own
		t.Errorf("%d files were open before, %d are now", before, after)
	}
}

// Wherever a process ends while it sets a damaged file aside and takes over what is
// in it, the next one goes on: every event comes out, and comes out once.
func TestSalvageGoesOn(t *testing.T) {
	live := t.TempDir()
	s, err := Open(t.Context(), Options{Path: filepath.Join(live, "queue.db")})
	if err != nil {
		t.Fatal(err)
	}
	lane := laneOf(t, s)
	bodies := map[string][]byte{}
	for i := range 20 {
		e := event(lane, eventsv2.Trigger, fmt.Sprintf("chain-%d", i), queue.Info)
		bodies[e.DedupKey] = e.Body
		if _, err := s.Put(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	// As a process leaves them that is killed, with all events in the WAL.
	files := map[string][]byte{"queue.db": content(filepath.Join(live, "queue.db")), "queue.db-wal": content(filepath.Join(live, "queue.db-wal"))}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	steps := []string{"noted", "the WAL renamed", "all renamed", "a new file begun", "the new file damaged", "taken over"}
	for at, name := range steps {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "queue.db")
			write(t, filepath.Dir(path), files)
			if err := os.WriteFile(path+suspectSuffix, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			interrupted(t, path, at)
			s := openTest(t, Options{Path: path})
			if got, err := take(t, s, bodies); got != len(bodies) || err != nil {
				t.Errorf("%d of %d events come out: %v", got, len(bodies), err)
			}
			page, err := s.Events(t.Context(), queue.Filter{Limit: 100})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Events {
				if e.Repeats > 0 {
					t.Errorf("%s was taken over twice", e.DedupKey)
				}
			}
			if _, err := os.Stat(path + salvageSuffix); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the note stays: %v", err)
			}
			if n := len(s.Quarantined()); n != 1 && (n != 2 || name != "the new file damaged") {
				t.Errorf("set aside: %v", s.Quarantined())
			}
		})
	}
}

// interrupted does what a process does until it ends after so many steps.
func interrupted(t *testing.T, path string, steps int) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	aside, err := planAside(path, time.Now())
	must(err)
	if steps >= 1 {
		must(os.Rename(path+"-wal", aside+"-wal"))
		must(os.Rename(path+suspectSuffix, aside+suspectSuffix))
	}
	if steps >= 2 {
		must(setAside(path, aside))
	}
	switch steps {
	case 3:
		must(os.Rename(path+salvageSuffix, path+".kept"))
		s, err := Open(t.Context(), Options{Path: path})
		must(err)
		must(s.Close())
		must(os.Rename(path+".kept", path+salvageSuffix))
	case 4:
		must(os.WriteFile(path, bytes.Repeat([]byte("no database "), 1000), 0o600))
	case 5:
		s, err := Open(t.Context(), Options{Path: path})
		must(err)
		must(s.Close())
		must(os.WriteFile(path+salvageSuffix, []byte(filepath.Base(aside)), 0o600))
	}
}

// openFiles counts what this process has open, where the system tells.
func openFiles(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Logf("nothing tells what is open: %v", err)
	}
	return len(open)
}

// Each single bit of the file's header: some say that the file is none, some that it
// is read-only, some nothing. The relay starts and keeps events all the same.
func TestFlippedHeader(t *testing.T) {
	const header = 100 // bytes, https://www.sqlite.org/fileformat2.html#the_database_header
	file, bodies := filled(t, 5)
	start, step := prove.Stride(t, 29, 5)
	for bit := start; bit < header*8; bit += step {
		path := filepath.Join(memoryDir(t), "queue.db")
		damaged := bytes.Clone(file)
		damaged[bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		kept := false
		for range 3 { // what a start finds out while it runs, the next one mends
			s, err := Open(t.Context(), Options{Path: path})
			if err != nil {
				t.Fatalf("byte %d, bit %d: the relay does not start: %v", bit/8, bit%8, err)
			}
			if _, err = take(t, s, bodies); err == nil {
				_, err = s.Put(t.Context(), event(laneOf(t, s), eventsv2.Trigger, "new", queue.Critical))
			}
			_ = s.Close()
			if kept = err == nil; kept {
				break
			}
			if !errors.Is(err, queue.ErrBroken) {
				t.Fatalf("byte %d, bit %d: %v", bit/8, bit%8, err)
			}
		}
		if !kept {
			t.Errorf("byte %d, bit %d: nothing is kept after three starts", bit/8, bit%8)
		}
		_ = os.RemoveAll(filepath.Dir(path))
	}
}

// laterFile is a queue that says version 7 in its table and in its header.
func laterFile(t *testing.T) (path string, content []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "queue.db")
	s, err := Open(t.Context(), Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	err = s.submit(t.Context(), func(w *writer) error { return w.setMeta("version", "7") })
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	content, err = os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[63] = 7 // user_version
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, content
}

// A file of a later program is refused, and stays as it is.
func TestLaterVersion(t *testing.T) {
	path, file := laterFile(t)
	if _, err := Open(t.Context(), Options{Path: path}); err == nil || !strings.Contains(err.Error(), "run the newer program") {
		t.Errorf("a file of version 7: %v", err)
	}
	if _, err := Check(t.Context(), Options{Path: path}, false); !errors.Is(err, queue.ErrRefusedFile) || !strings.Contains(err.Error(), "run the newer program") {
		t.Errorf("fsck of a file of version 7: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, file) {
		t.Errorf("the file was changed: %v", err)
	}
}

// A disk that does not read the table in which a later program says its version shows no damage.
func TestLaterVersionUnread(t *testing.T) {
	path, _ := laterFile(t)
	page := pageOf(t, path, "meta")
	r := newRecorder(t)
	r.read = func(offset int64) int32 {
		if offset == page {
			return lib.SQLITE_IOERR_READ
		}
		return 0
	}
	report, err := Check(t.Context(), Options{Path: path, vfs: r.name, disk: r}, false)
	if err == nil || !strings.Contains(err.Error(), "disk I/O error") || errors.Is(err, queue.ErrRefusedFile) || !report.Sound() {
		t.Errorf("the table cannot be read: %v, %+v", err, report)
	}
}

// pageOf is where a table begins in its file.
func pageOf(t *testing.T, path, table string) (offset int64) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	err = db.QueryRow("SELECT (rootpage - 1) * page_size FROM sqlite_schema, pragma_page_size WHERE name = ?1", table).Scan(&offset)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return offset
}

// A second relay on the same file would deliver everything twice.
func TestSecondRelay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	openTest(t, Options{Path: path})
	if s, err := Open(t.Context(), Options{Path: path}); !errors.Is(err, queue.ErrLocked) {
		_ = s.Close()
		t.Errorf("a second store: %v", err)
	}
}

// The file holds integration keys, so only its owner may read it.
func TestFileModes(t *testing.T) {
	s := openTest(t, Options{})
	laneOf(t, s)
	dir := filepath.Dir(s.o.Path)
	for _, name := range []string{"", "queue.db", "queue.db-wal", "queue.db.lock"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", filepath.Join("queue", name), info.Mode())
		}
	}
}

// A clock that is set back by an hour between two starts delays nothing by an hour.
func TestClockSetBack(t *testing.T) {
	now := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	path := filepath.Join(t.TempDir(), "queue.db")
	s := openTest(t, Options{Path: path, Now: func() time.Time { return now }})
	lane := laneOf(t, s)
	if _, err := s.Put(t.Context(), event(lane, eventsv2.Trigger, "a", queue.Info)); err != nil {
		t.Fatal(err)
	}
	claimed, err := queuetest.Claim(t.Context(), s, lane, queue.MostUrgent, 1)
	if err != nil || len(claimed) != 1 {
		t.Fatal(err, claimed)
	}
	x := queue.Settlement{ID: claimed[0].ID, Claim: claimed[0].Claim, State: queue.Waiting, At: now, Due: now.Add(time.Minute), Attempts: 1, Tried: true}
	if err := queuetest.Settle(t.Context(), s, x); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	now = now.Add(-time.Hour)
	s = openTest(t, Options{Path: path, Now: func() time.Time { return now }})
	next, err := s.Wake(t.Context(), now.Add(longestWait), 0)
	if err != nil || !next.IsZero() {
		t.Fatalf("%v, next wake at %s", err, next)
	}
	if claimed, err := queuetest.Claim(t.Context(), s, lane, queue.MostUrgent, 1); err != nil || len(claimed) != 1 {
		t.Errorf("the event still waits: %v %v", err, claimed)
	}
}
