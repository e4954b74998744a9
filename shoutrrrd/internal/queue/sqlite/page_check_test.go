package sqlite

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

// Pages that contradict each other are seen before anything is written. SQLite itself
// believes them, and would write over events or look for them in the wrong place.
func TestContradictingPages(t *testing.T) {
	p := makeSample(t)
	sound := filepath.Join(t.TempDir(), "queue.db")
	if err := os.WriteFile(sound, p.file, 0o600); err != nil {
		t.Fatal(err)
	}
	change(t, sound, `UPDATE event SET reason = '' WHERE state = 7`) // which leaves gaps
	whole := content(sound)
	db := (&Store{o: Options{Path: sound}}).database(1, "query_only(1)")
	defer func() { _ = db.Close() }()
	size := 0
	if err := db.QueryRow("PRAGMA page_size").Scan(&size); err != nil {
		t.Fatal(err)
	}
	root := func(of string) (page int) {
		if err := db.QueryRow("SELECT rootpage FROM sqlite_schema WHERE name = ?1", of).Scan(&page); err != nil {
			t.Fatal(err)
		}
		return (page - 1) * size
	}
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, file []byte)
	}{
		{"a gap that reaches over events", func(t *testing.T, file []byte) {
			const ofTable, firstGap = 13, 1 // what a page is, and where its first gap begins
			for at := size; at < len(file); at += size {
				page := file[at : at+size]
				gap := int(binary.BigEndian.Uint16(page[firstGap:]))
				if page[0] == ofTable && gap > 0 && bytes.Contains(page, []byte("summary of chain")) {
					binary.BigEndian.PutUint16(page[gap+2:], binary.BigEndian.Uint16(page[gap+2:])+256)
					return
				}
			}
			t.Fatal("no page has a gap: the test shows nothing")
		}},
		{"an index that names more rows than it has", func(_ *testing.T, file []byte) { file[root("event_ready")+4] += 16 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "queue.db")
			file := append([]byte{}, whole...)
			c.damage(t, file)
			if err := os.WriteFile(path, file, 0o600); err != nil {
				t.Fatal(err)
			}
			flip(t, p, path, 0, file[0])
		})
	}
}
