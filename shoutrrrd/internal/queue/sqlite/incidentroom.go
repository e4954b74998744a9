package sqlite

import (
	"cmp"
	"context"
	"slices"
	"strconv"
)

// forIncidents is the part of a full disk that open incidents may take: one of so many.
// What is remembered of them is never deleted for events as long as it takes no more. A
// key whose triggers are never resolved has 5 million of them within 30 days.
const forIncidents = 4

// incidentBytes is what the file has of an incident, with its indexes, beside three
// copies of its dedup key.
const incidentBytes = 120

// lostMeta begins the names of the values that say when open incidents of a lane were
// lost: their number follows, 0 if it may have been any lane.
const lostMeta = "incidents lost "

// lost notes that a lane may have more incidents open than are remembered.
func (w *writer) lost(lane int64) error {
	return w.setMeta(lostMeta+strconv.FormatInt(lane, 10), strconv.FormatInt(max(1, millis(w.s.o.Now())), 10))
}

// forgetLost forgets losses before then: of the incidents that were lost nothing has come
// since, or they are remembered anew.
func (w *writer) forgetLost(before int64) error {
	return w.exec(`DELETE FROM meta WHERE name >= ?1 AND name < ?1 || 'a' AND CAST(value AS INTEGER) < ?2`, lostMeta, before)
}

// OpenBy counts the incidents that are open by the key of a lane, or may be, up to so many.
// It reports unknown if others may be open that were lost.
func (s *Store) OpenBy(ctx context.Context, lane int64, most int) (n int, unknown bool, err error) {
	damaged, dedup := false, ""
	look := func(scan func(...any) error) error {
		var i incident
		whole, err := i.scan(scan)
		damaged, dedup = damaged || err == nil && !whole, i.dedup
		return err
	}
	// One that was triggered under the names of two keys has two rows.
	err = s.rows(ctx, `SELECT `+incidentColumns+` FROM incident INDEXED BY incident_lane WHERE lane = ?1 AND used > 0
		AND dedup IN (SELECT DISTINCT dedup FROM incident INDEXED BY incident_lane WHERE lane = ?1 AND used > 0 ORDER BY dedup LIMIT ?2) ORDER BY dedup`, []any{lane, most},
		func(scan func(...any) error) error {
			before := dedup
			err := look(scan)
			if n == 0 || dedup != before {
				n++
			}
			return err
		})
	if err == nil { // of a row with a false lane the origin may be right
		err = s.rows(ctx, `SELECT `+incidentColumns+` FROM incident INDEXED BY incident_from WHERE origin = ?1 AND lane <> origin LIMIT ?2`, []any{lane, most}, look)
	}
	if damaged {
		s.examineSoon()
	}
	if err == nil {
		err = s.row(ctx, `SELECT EXISTS (SELECT 1 FROM meta WHERE name IN (?1 || '0', ?1 || ?2))`, []any{lostMeta, strconv.FormatInt(lane, 10)},
			func(scan func(...any) error) error { return scan(&unknown) })
	}
	return n, unknown || damaged, err
}

// remembered is what the incidents of a lane take of the disk.
type remembered struct {
	lane, n, bytes int64
}

// boundIncidents has open incidents of a full disk take no more than their share. Beyond
// it the lanes that have most of them forget their oldest, and none of those that have
// less than their part. A tenth more goes than must, so that it is reported once in a while.
func (s *Store) boundIncidents(ctx context.Context) error {
	var lanes []remembered
	total := int64(0)
	err := s.rows(ctx, `SELECT lane, count(*), sum(?1 + 3 * length(dedup)) FROM incident INDEXED BY incident_lane GROUP BY lane`, []any{incidentBytes},
		func(scan func(...any) error) error {
			var r remembered
			err := scan(num(&r.lane), num(&r.n), num(&r.bytes))
			lanes, total = append(lanes, r), total+r.bytes
			return err
		})
	share := s.measured().Limit / forIncidents
	if err != nil || total <= share {
		return err
	}
	share -= share / 10
	part := share / int64(len(lanes))
	slices.SortFunc(lanes, func(a, b remembered) int { return cmp.Compare(b.bytes, a.bytes) })
	for _, r := range lanes {
		take := min(total-share, r.bytes-part)
		if take <= 0 {
			break
		}
		total -= take
		if err := s.forgetOldest(ctx, r.lane, 1+r.n*take/r.bytes); err != nil {
			return err
		}
	}
	return nil
}

// forgetOldest forgets so many open incidents of a lane, of which nothing is queued, in
// slices. They are looked for beside the writer: those of other lanes are passed over.
func (s *Store) forgetOldest(ctx context.Context, lane, n int64) error {
	for since, first := int64(1), true; n > 0; first = false {
		var slice []incident
		err := s.rows(ctx, `SELECT `+incidentColumns+` FROM incident INDEXED BY incident_used WHERE used >= ?1 AND lane = ?2
			AND NOT EXISTS (SELECT 1 FROM chain WHERE chain.lane = incident.lane AND chain.dedup = incident.dedup) ORDER BY used LIMIT ?3`, []any{since, lane, min(n, forgetSlice)},
			func(scan func(...any) error) error {
				var i incident
				_, err := i.scan(scan)
				slice = append(slice, i)
				return err
			})
		if err != nil || len(slice) == 0 {
			return err
		}
		gone := 0
		err = s.submit(ctx, func(w *writer) (err error) {
			gone, err = w.forgetThese(slice, first)
			return err
		})
		if err != nil || gone == 0 {
			return err
		}
		since, n = slice[len(slice)-1].used, n-int64(gone)
	}
	return nil
}

// forgetThese forgets open incidents of a lane of which nothing has come meanwhile, and
// reports it the first time.
func (w *writer) forgetThese(list []incident, first bool) (gone int, err error) {
	for _, i := range list {
		n, err := w.execCount(`DELETE FROM incident WHERE origin = ?1 AND dedup = ?2 AND used = ?3`, i.origin, i.dedup, i.used)
		if err != nil {
			return gone, err
		}
		gone += int(n)
	}
	if gone == 0 {
		return 0, nil
	}
	w.leftovers = true
	if first {
		w.report(Incident{
			Lane: list[0].lane, Sound: true, What: "the disk is full, and the oldest open incidents of a lane are forgotten; an acknowledge or resolve of one goes by the key that it names, which PagerDuty ignores if another key has opened it",
			Why: "open incidents may take a quarter of max_disk; resolve what is over, or raise max_disk",
		})
	}
	return gone, w.lost(list[0].lane)
}
