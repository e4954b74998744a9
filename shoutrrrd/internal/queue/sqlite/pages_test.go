package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containrrr/shoutrrr/internal/prove"
)

// fileOf gives the pages of a file without a WAL, as they lie in it.
func fileOf(file []byte, size int) *pages {
	return &pages{count: uint32(len(file) / size), mapped: true, fetch: func(_ context.Context, number uint32) ([]byte, error) {
		if number < 1 || int(number) > len(file)/size {
			return nil, nil
		}
		return file[int(number-1)*size:][:size], nil
	}}
}

// lying is an event's row where it lies in a file.
type lying struct {
	id     int64
	page   uint32
	at     int // of the row, within the page
	number int // of the byte in the file with which the row's number ends
	state  int64
}

// eventsIn finds the rows of events in a file.
func eventsIn(t testing.TB, file []byte) (found []lying) {
	t.Helper()
	const size = 4096
	f := fileOf(file, size)
	_, columns := orderOf("id", 2)
	for n := uint32(2); n <= f.count; n++ {
		page, _ := f.page(t.Context(), n)
		for _, at := range f.rows(page) {
			id, values, ok, err := f.row(t.Context(), page, at, columns)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				continue
			}
			_, first := varint(page[at:])
			_, second := varint(page[at+first:])
			state, _ := values[2].(int64)
			found = append(found, lying{id: id, page: n, at: at, number: int(n-1)*size + at + first + second - 1, state: state})
		}
	}
	if len(found) == 0 {
		t.Fatal("there are no events in the file")
	}
	return found
}

// The columns of each version lie in the order that salvage takes them for.
func TestTableOrder(t *testing.T) {
	newest := filepath.Join(t.TempDir(), "queue.db")
	if err := openTest(t, Options{Path: newest}).Close(); err != nil {
		t.Fatal(err)
	}
	for version, path := range map[int]string{1: oldQueue(t, "closed.db"), 2: newest} {
		db := (&Store{o: Options{Path: path}}).database(1, "query_only(1)")
		rows, err := db.Query("SELECT name FROM pragma_table_info('event') ORDER BY cid")
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		err = each(rows, func(scan func(...any) error) error {
			names = append(names, "")
			return scan(&names[len(names)-1])
		})
		if got := strings.Join(names, " "); err != nil || got != tableOrder[version] {
			t.Errorf("version %d has the columns\n%s, salvage takes them for\n%s: %v", version, got, tableOrder[version], err)
		}
		_ = db.Close()
	}
}

// Whatever rows SQLite writes, with numbers, texts and nothing, on one page or on many:
// they are read where they lie as SQLite reads them.
func TestRowsAreReadAsBySQLite(t *testing.T) {
	prove.NoRace(t)
	for _, size := range []int{512, 1024, 4096, 65536} {
		path := filepath.Join(t.TempDir(), "some.db")
		db, err := sql.Open("sqlite", "file:"+path)
		if err != nil {
			t.Fatal(err)
		}
		db.SetMaxOpenConns(1)
		var want []string
		for _, statement := range []string{fmt.Sprint("PRAGMA page_size = ", size), "PRAGMA auto_vacuum = INCREMENTAL", "CREATE TABLE some (a, b, c)"} {
			if _, err := db.Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
		numbers := []int64{0, 1, -1, 127, 128, -129, 32767, -32769, 1 << 23, -(1 << 23) - 1, 1 << 31, -1 << 33, 1 << 47, math.MaxInt64, math.MinInt64}
		for i := range 300 {
			id, text := int64(i)*int64(i)*1000, strings.Repeat("ab", i*i/3)
			a := numbers[i%len(numbers)]
			if _, err := db.Exec("INSERT INTO some (rowid, a, b, c) VALUES (?, ?, NULL, ?)", id, a, text); err != nil {
				t.Fatal(err)
			}
			want = append(want, fmt.Sprint(id, a, nil, text))
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		f := fileOf(content(path), size)
		var got []string
		for n := uint32(2); n <= f.count; n++ {
			page, _ := f.page(t.Context(), n)
			for _, at := range f.rows(page) {
				id, v, ok, err := f.row(t.Context(), page, at, 3)
				if err != nil {
					t.Fatal(err)
				}
				if ok {
					got = append(got, fmt.Sprint(id, v[0], v[1], v[2]))
				}
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("pages of %d bytes: %d rows are read, want %d, or others", size, len(got), len(want))
		}
	}
}

// Whatever the bytes of a file are, to look for rows in it ends, and a row that is found
// is not larger than the file.
func FuzzRows(f *testing.F) {
	const size = 512 // the smallest page that SQLite has
	file := make([]byte, 3*size)
	file[size] = 0x0d
	binary.BigEndian.PutUint16(file[size+3:], 1)
	binary.BigEndian.PutUint16(file[size+8:], 16)
	copy(file[size+16:], "\x05\x07\x03\x01\x0f\x2ax")
	f.Add(file, 2)
	f.Add(file, 27)
	for _, name := range version1Files {
		old, err := os.ReadFile(filepath.Join("testdata", "v1", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(old[:min(len(old), 64*size)], 21)
	}
	f.Fuzz(func(t *testing.T, file []byte, columns int) {
		p := fileOf(file, size)
		for n := uint32(1); n <= p.count; n++ {
			page, _ := p.page(t.Context(), n)
			if _, err := p.isFree(t.Context(), n); err != nil {
				t.Fatal(err)
			}
			for _, at := range p.rows(page) {
				_, values, found, err := p.row(t.Context(), page, at, max(0, min(columns, 100)))
				if err != nil {
					t.Fatal(err)
				}
				bytes := 0
				for _, v := range values {
					if text, ok := v.(string); ok {
						bytes += len(text)
					}
				}
				if bytes > len(file) || found != (values != nil) {
					t.Fatalf("a row of %d bytes in a file of %d, found: %t", bytes, len(file), found)
				}
			}
		}
	})
}
