package main

import (
	"bytes"
	"database/sql"
	"fmt"
	"net/http"
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

// Large events of another key that fill the disk take nothing from what is remembered of
// open incidents: a resolve that names the new key still leaves by the old one.
func TestFullQueueKeepsOpenIncidents(t *testing.T) {
	t.Parallel()
	const thirdKey = "0c9d17be42fa4e6b8d35a1f7c2e690b4"
	r := &rotating{dir: t.TempDir(), upstream: pagerdutytest.NewServer(t, pagerdutytest.Options{})}
	writeFile(t, r.dir, "web.key", oldKey)
	writeFile(t, r.dir, "new.key", testKey)
	writeFile(t, r.dir, "third.key", thirdKey)
	third := "  - alias: third\n    key: file:third.key\n"
	r.settings = writeFile(t, r.dir, "web.yaml", rotatePart(t, "yaml before")+third)
	r.p = start(t, r.dir, "--config", r.settings, "--upstream", r.upstream.URL(), "--max-disk", "16MiB")
	opened := []string{"o1", "o2", "o3"}
	for _, dedup := range opened {
		r.post(t, oldKey, dedup, "trigger")
	}
	r.post(t, thirdKey, "first", "trigger") // which makes its lane
	r.p.drained(t, time.Minute)
	r.reload(t, rotatePart(t, "yaml after")+third)
	by := map[string]string{}
	for _, entry := range r.upstream.Journal() {
		by[entry.DedupKey] = entry.Key
	}
	r.run(t, "shoutrrr queue pause third --why outage")
	filler, full := strings.Repeat("x", 400_000), 0
	for i := 0; full < 5 && i < 100; i++ {
		body := strings.Replace(trigger(fmt.Sprint("info ", i), "info", "large"), testKey, thirdKey, 1)
		body = strings.Replace(body, `"payload":{`, `"payload":{"custom_details":{"text":"`+filler+`"},`, 1)
		if answer, _ := r.p.answer(t, body); answer.StatusCode == http.StatusServiceUnavailable {
			full++
		}
	}
	if full < 5 {
		t.Fatal("the disk is not full: the test shows nothing")
	}
	r.run(t, "shoutrrr queue resume third --why over")
	for _, dedup := range opened {
		body := strings.Replace(trigger(dedup, "critical", "over"), `"trigger"`, `"resolve"`, 1)
		eventually(t, "there is room again", patience, func() bool {
			answer, _ := r.p.answer(t, body)
			return answer.StatusCode == http.StatusAccepted
		})
	}
	for _, dedup := range opened {
		eventually(t, dedup+" is resolved", patience, func() bool {
			for _, entry := range r.upstream.Journal() {
				if entry.DedupKey == dedup && entry.Action == "resolve" {
					if entry.Key != by[dedup] {
						t.Errorf("the resolve of %s left by %s, want %s", dedup, entry.Key, by[dedup])
					}
					return true
				}
			}
			return false
		})
	}
}
