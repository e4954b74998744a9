package sqlite

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	lib "modernc.org/sqlite/lib"

	"github.com/containrrr/shoutrrr/internal/prove"
)

// After an fsync that failed the system's memory has what the disk has not, and
// says that it is written. A relay that starts from it must not build on that: a
// power cut after the second start loses nothing that either of them promised.
func TestRestartAfterFailedSync(t *testing.T) {
	prove.NoRace(t)
	start, step := prove.Stride(t, 25, 3) // many differ little
	met := 0
	for n := 1 + start; ; n += step {
		bad, failed := restart(t, n, true)
		if !failed {
			break
		}
		met++
		if bad > 0 {
			t.Errorf("fsync %d failed: %d images have lost something", n, bad)
		}
	}
	t.Logf("%d places", met)
	if met < 5 {
		t.Error("hardly an fsync failed: the test has tested nothing")
	}
}

// A start that trusts the system's memory is seen to lose events.
func TestRestartAfterFailedSyncIsSeen(t *testing.T) {
	prove.Long(t)
	for n := 1; ; n++ {
		bad, failed := restart(t, n, false)
		if bad > 0 {
			return
		}
		if !failed {
			t.Fatal("nothing was lost: the images do not test what they should")
		}
	}
}

// trustful is a disk whose files are what the system says.
type trustful struct{ *recorder }

func (trustful) Rewrite(*os.File) error { return nil }

// restart lets the nth fsync fail, starts again on what the system says is in the
// files, and cuts the power at any time. It returns how many images have lost
// something, and whether there was an nth fsync.
func restart(t *testing.T, n int, renew bool) (bad int, failed bool) {
	t.Helper()
	r := newRecorder(t)
	random := rand.New(rand.NewPCG(uint64(n), 1))
	syncs := 0
	r.fail = func(_ int, kind opKind) int32 {
		if kind == opSync {
			syncs++
		}
		if kind == opSync && syncs == n {
			failed = true
			return lib.SQLITE_IOERR_FSYNC
		}
		return 0
	}
	o := Options{vfs: r.name, disk: r}
	if !renew {
		o.disk, o.unmarked = trustful{r}, true
	}
	first, second := t.TempDir(), t.TempDir()
	for _, dir := range []string{first, second} {
		o.Path = filepath.Join(dir, "queue.db")
		s, err := Open(t.Context(), o)
		if err != nil { // the first fsyncs are those of the start
			continue
		}
		workload(s, r, random, 60)
		_ = s.Close()
		write(t, second, map[string][]byte{"queue.db": content(o.Path), "queue.db-wal": content(o.Path + "-wal")})
	}
	d, promised := newPlatter(), map[int64]bool{}
	image := memoryDir(t)
	for _, o := range r.log {
		d.apply(o)
		if o.kind == opMark {
			promised[o.note] = true
		}
		if random.IntN(8) == 0 {
			write(t, image, d.crash(random))
			if len(look(t, image, promised, false)) > 0 {
				bad++
			}
		}
	}
	_ = os.RemoveAll(image)
	return bad, failed
}

func content(path string) []byte {
	content, _ := os.ReadFile(path) // no file has no content
	return content
}
