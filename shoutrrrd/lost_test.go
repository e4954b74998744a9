package main

import (
	"bytes"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containrrr/shoutrrr/pagerdutytest"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

// What was remembered of open incidents and is damaged, or lost with a damaged file, is in
// the log, and the old key is not called safe to remove.
func TestLostIncidents(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		damage func(t *testing.T, path string)
		log    string
	}{
		"a row": {func(t *testing.T, path string) {
			onFile(t, path, func(db *sql.DB) error {
				_, err := db.Exec(`UPDATE incident SET seal = seal + 1`)
				return err
			})
		}, "what was remembered of an incident is damaged"},
		"the table": {func(t *testing.T, path string) {
			var root, size int64
			onFile(t, path, func(db *sql.DB) error {
				return db.QueryRow(`SELECT rootpage, page_size FROM sqlite_schema, pragma_page_size WHERE name = 'incident'`).Scan(&root, &size)
			})
			file, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := file.WriteAt(bytes.Repeat([]byte{0xff}, int(size)), (root-1)*size); err != nil || file.Close() != nil {
				t.Fatal(err)
			}
			writeFile(t, filepath.Dir(path), "queue.db.suspect", "")
		}, "what the relay remembered of open incidents was lost"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &rotating{dir: t.TempDir(), upstream: pagerdutytest.NewServer(t, pagerdutytest.Options{})}
			writeFile(t, r.dir, "web.key", oldKey)
			writeFile(t, r.dir, "new.key", testKey)
			r.settings = writeFile(t, r.dir, "web.yaml", rotatePart(t, "yaml before"))
			r.p = start(t, r.dir, "--config", r.settings, "--upstream", r.upstream.URL())
			r.post(t, oldKey, "open", "trigger")
			r.p.drained(t, time.Minute)
			if err := r.p.stop(t); err != nil {
				t.Fatal(err)
			}
			tt.damage(t, filepath.Join(r.dir, "queue.db"))
			writeFile(t, r.dir, "web.yaml", rotatePart(t, "yaml after"))
			r.p = start(t, r.dir, "--config", r.settings, "--upstream", r.upstream.URL())
			r.post(t, testKey, "open", "resolve")
			eventually(t, "the loss is in the log", patience, func() bool { return strings.Contains(r.p.log.String(), tt.log) })
			if n := r.p.metric(t, "shoutrrrd_damage_total"); n != 1 {
				t.Errorf("%v finds are counted, want one:\n%s", n, r.p.log)
			}
			var lane struct {
				Retiring  bool
				Unknown   bool `json:"open_unknown"`
				Removable bool `json:"safe_to_remove"`
			}
			former, err := eventsv2.ParseKey(oldKey)
			if err != nil {
				t.Fatal(err)
			}
			if r.p.getJSON(t, "/api/lanes/web-formerly-"+strings.TrimPrefix(former.Fingerprint(), "key-")[:8], &lane); !lane.Retiring || !lane.Unknown || lane.Removable {
				t.Errorf("the old key's lane: %+v", lane)
			}
		})
	}
}

// onFile uses the file of a relay that is stopped.
func onFile(t *testing.T, path string, use func(db *sql.DB) error) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if err := use(db); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
