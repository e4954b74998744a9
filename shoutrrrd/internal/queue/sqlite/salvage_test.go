package sqlite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

const pageSize = 4096

// salvaged opens a queue of which a mark says that it is damaged.
func salvaged(t testing.TB, file []byte, keys ...eventsv2.Key) *Store {
	t.Helper()
	path := filepath.Join(memoryDir(t), "queue.db")
	if err := errors.Join(os.WriteFile(path, file, 0o600), os.WriteFile(path+suspectSuffix, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	s := openTest(t, Options{Path: path, Keys: func() []eventsv2.Key { return keys }})
	if s.Salvaged() == nil {
		t.Fatal("the file was not set aside")
	}
	return s
}

// idsOf lists the events of a queue.
func idsOf(t testing.TB, s *Store) (ids []int64) {
	t.Helper()
	for before := int64(0); ; {
		page, err := s.Events(t.Context(), queue.Filter{Limit: 500, Before: before})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			ids = append(ids, e.ID)
			before = e.ID
		}
		if len(page.Events) < 500 {
			slices.Sort(ids)
			return ids
		}
	}
}

// A row whose number has changed costs that row: its false number hides no other one,
// be it that of a neighbour, one far ahead, or one far behind.
func TestFalseNumberHidesNoRow(t *testing.T) {
	prove.NoRace(t)
	p := makeSample(t)
	for _, row := range eventsIn(t, p.file) {
		for _, number := range []byte{1, byte(row.id - 1), byte(row.id + 1), byte(row.id ^ 16), byte(row.id ^ 64)} {
			if int64(number) == row.id {
				continue
			}
			file := bytes.Clone(p.file)
			file[row.number] = number
			s := salvaged(t, file, p.keys...)
			var want []int64
			for id := range p.live {
				if id != row.id {
					want = append(want, id)
				}
			}
			slices.Sort(want)
			if got := idsOf(t, s); !slices.Equal(got, want) {
				t.Errorf("row %d became %d: taken over are %v, want %v; %+v", row.id, number, got, want, s.Salvaged())
			}
			_ = s.Close()
		}
	}
}

// Pages that lead to rows hold no rows: whichever of them is gone, all events are taken
// over. Where a page with rows is gone, those of the others are.
func TestPagesThatLeadToRows(t *testing.T) {
	prove.Long(t)
	const n = 3000
	file, _ := filled(t, n)
	held := map[uint32]int{} // events on each page
	for _, row := range eventsIn(t, file) {
		held[row.page]++
	}
	random := rand.New(rand.NewPCG(prove.Seed(t), 0))
	tried := 0
	for page := uint32(2); page <= uint32(len(file)/pageSize); page++ {
		const interior = 0x05
		first := file[(page-1)*pageSize]
		if first != interior && (held[page] == 0 || page%100 != 0) {
			continue
		}
		tried++
		for name, overwrite := range map[string]func(at []byte){
			"zeros":       func(at []byte) { clear(at) },
			"random":      func(at []byte) { at[0] = 0; fill(at[1:], random) },
			"another":     func(at []byte) { at[0] ^= 0x0f },
			"no pointers": func(at []byte) { at[3], at[4] = 0, 0 },
		} {
			damaged := bytes.Clone(file)
			overwrite(damaged[(page-1)*pageSize : page*pageSize])
			want := n - held[page]
			if name == "another" {
				want = n // the rows are there all the same
			}
			s := salvaged(t, damaged)
			if got := len(idsOf(t, s)); got != want || s.queued != want {
				t.Errorf("page %d, which began with %d and holds %d events, %s: %d of %d are taken over, want %d; %+v", page, first, held[page], name, got, n, want, s.Salvaged())
			}
			_ = s.Close()
		}
	}
	if tried < 3 {
		t.Fatalf("%d pages tried: the file has no pages that lead to rows", tried)
	}
}

func fill(bytes []byte, random *rand.Rand) {
	for i := range bytes {
		bytes[i] = byte(random.IntN(256))
	}
}

// An old copy of a page brings back no event that has ended or has left since: neither
// on a page that is free, nor on one that was left over.
func TestOldCopyOfPageBringsNothingBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	s := openTest(t, Options{Path: path})
	lane := laneOf(t, s)
	for i := range 300 {
		e := event(lane, eventsv2.Trigger, fmt.Sprint(i), queue.Error)
		e.Body = fmt.Appendf(nil, `{"text":%q}`, strings.Repeat("x", 700))
		mustPut(t, s, e)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before := content(path)
	s = openTest(t, Options{Path: path})
	if n := len(deliverAll(t, s)); n != 300 {
		t.Fatalf("%d events were delivered", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	delivered := content(path)
	change(t, path, "PRAGMA wal_autocheckpoint = 0", "PRAGMA secure_delete = 0", "DELETE FROM event WHERE id <= 200", "PRAGMA journal_mode = DELETE", "PRAGMA journal_mode = WAL")
	deleted := content(path)
	old := eventsIn(t, before)
	t.Run("free", func(t *testing.T) {
		file, copied := bytes.Clone(deleted), 0
		for _, row := range old {
			at := (int(row.page) - 1) * pageSize
			if place := mapEntry(row.page); file[place] == 2 { // as a program leaves it that overwrites nothing
				copy(file[at:at+pageSize], before[at:at+pageSize])
				copied++
			}
		}
		if copied < 100 {
			t.Fatalf("%d rows lie on free pages", copied)
		}
		if s := salvaged(t, file); s.queued != 0 {
			t.Errorf("%d events come back: %+v", s.queued, s.Salvaged())
		}
	})
	t.Run("in no tree", func(t *testing.T) {
		if s := salvaged(t, grown(delivered, before, old[0].page, old[100].page, old[200].page)); s.queued != 0 || len(idsOf(t, s)) != 0 {
			t.Errorf("%d events come back: %+v", s.queued, s.Salvaged())
		}
	})
}

// grown is a file with further pages at its end, to which no tree leads, and of which
// the map says nothing.
func grown(file, from []byte, pages ...uint32) []byte {
	file = bytes.Clone(file)
	for _, page := range pages {
		file = append(file, from[(page-1)*pageSize:page*pageSize]...)
	}
	binary.BigEndian.PutUint32(file[28:], uint32(len(file)/pageSize)) // the header's size of the file
	return file
}

// mapEntry is where the file's map says what a page is: five bytes a page, from the
// second page on, for as many pages as the map has room for.
func mapEntry(page uint32) int {
	const group = pageSize/5 + 1
	of := (page-2)/group*group + 2
	return int(of-1)*pageSize + 5*int(page-of-1)
}

// A row of which there are two copies is taken over once, in its place in its chain.
func TestSecondCopyIsTakenOnce(t *testing.T) {
	p := makeSample(t)
	var pages []uint32
	for _, row := range eventsIn(t, p.file) {
		pages = append(pages, row.page)
	}
	file := grown(p.file, p.file, pages...)
	s := salvaged(t, file, p.keys...)
	if got := idsOf(t, s); len(got) != len(p.live) || s.Salvaged().Events != len(got) {
		t.Errorf("taken over are %v, want %v; %+v", got, p.live, s.Salvaged())
	}
	if report, err := s.Examine(t.Context(), false); err != nil || !report.Sound() {
		t.Errorf("after that there is %+v, %v", report, err)
	}
}

// Whatever byte of the events' pages has changed, salvage takes every event that SQLite
// can still read by its number.
func TestSalvageTakesWhatCanBeRead(t *testing.T) {
	prove.Long(t)
	p := makeSample(t)
	pages := map[uint32]bool{}
	var places []int
	for _, row := range eventsIn(t, p.file) {
		from := int(row.page-1) * pageSize
		if !pages[row.page] {
			for at := range 60 { // the page's header and its list of rows
				places = append(places, from+at)
			}
		}
		pages[row.page] = true
		for at := range 60 { // a row's length, its number and the types of its columns
			places = append(places, from+row.at+at)
		}
	}
	random := rand.New(rand.NewPCG(prove.Seed(t), 0))
	random.Shuffle(len(places), func(i, j int) { places[i], places[j] = places[j], places[i] })
	for _, at := range places[:prove.Share(t, 150, len(places), len(places))] {
		file := bytes.Clone(p.file)
		file[at] ^= byte(1 << random.IntN(8))
		copied := filepath.Join(memoryDir(t), "queue.db")
		if err := os.WriteFile(copied, file, 0o600); err != nil {
			t.Fatal(err)
		}
		wanted := p.readable(copied)
		s := salvaged(t, file, p.keys...)
		got := idsOf(t, s)
		for id := range wanted {
			if !slices.Contains(got, id) {
				t.Errorf("byte %d became %d: event %d can be read and is lost; %+v", at, file[at], id, s.Salvaged())
			}
		}
		_ = s.Close()
	}
}

// A row whose number has changed cannot be repaired where it is: a repair builds the
// queue anew, without that row and with all others.
func TestFalseNumberIsRepaired(t *testing.T) {
	prove.NoRace(t)
	p := makeSample(t)
	for _, row := range eventsIn(t, p.file) {
		file := bytes.Clone(p.file)
		file[row.number] = 5
		if row.id == 5 {
			file[row.number] = 6
		}
		path := filepath.Join(memoryDir(t), "queue.db")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		o := Options{Path: path, Keys: func() []eventsv2.Key { return p.keys }}
		if report, err := Check(t.Context(), o, true); err != nil || report.Sound() {
			t.Errorf("event %d: the repair finds %+v, %v", row.id, report, err)
		}
		if report, err := Check(t.Context(), o, false); err != nil || !report.Sound() {
			t.Errorf("event %d: after the repair there is %+v, %v", row.id, report, err)
		}
		ids := idsOf(t, openTest(t, o))
		for id := range p.live {
			if id != row.id && !slices.Contains(ids, id) {
				t.Errorf("event %d: event %d is lost with it", row.id, id)
			}
		}
	}
}
