package sqlite

import "context"

// migrateTo5 gives lanes the upstream that their events were accepted for. Which one that is
// of what is queued already nobody has written down: it is the one that the configuration
// names when a relay opens the file. A row that was damaged stays one.
func migrateTo5(ctx context.Context, w *writer) error {
	rows, err := w.conn.QueryContext(ctx, `SELECT `+laneColumns4+`, '', 0, 0, '', seal FROM lane`)
	if err != nil {
		return err
	}
	var whole []laneRow
	err = each(rows, func(scan func(...any) error) error {
		var r laneRow
		sealed, err := r.scan4(scan)
		if sealed {
			whole = append(whole, r)
		}
		return err
	})
	if err != nil {
		return err
	}
	_, err = w.conn.ExecContext(ctx, `ALTER TABLE lane RENAME TO old_lane; DROP INDEX lane_key;`+
		schemaFrom("-- One lane for each", "-- The columns that change come")+
		`INSERT INTO lane (`+laneColumns4+`, seal) SELECT `+laneColumns4+`, seal FROM old_lane; DROP TABLE old_lane`)
	for i := 0; i < len(whole) && err == nil; i++ {
		err = w.exec(`UPDATE lane SET seal = ?2 WHERE id = ?1`, whole[i].ID, whole[i].seal())
	}
	return err
}

// scan4 reads a lane of versions 2 to 4, with empty columns for what came later.
func (r *laneRow) scan4(scan func(...any) error) (whole bool, err error) {
	seal := int64(0)
	_, err = r.scan(func(into ...any) error {
		into[len(into)-1] = num(&seal)
		return scan(into...)
	})
	s := r.sum4()
	return err == nil && !r.Key.IsZero() && seal == s.seal(), err
}

// insertLane4 writes a lane into a file of versions 2 to 4.
func (w *writer) insertLane4(r *laneRow) error {
	s := r.sum4()
	return w.exec(`INSERT INTO lane (`+laneColumns4+`, seal) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)`,
		append(r.values4(), s.seal())...)
}

// values4 are those of laneColumns4.
func (r *laneRow) values4() []any {
	c := &r.count
	return []any{
		r.ID, r.Key.Reveal(), r.twin, r.Held, r.HeldBy.Who, r.HeldBy.Why, millis(r.HeldBy.At), r.Learned, r.Ceiling, millis(r.PausedUntil), r.Pauses, millis(r.KeyRefused),
		c.Waiting[0], c.Waiting[1], c.Waiting[2], c.Waiting[3], c.Delivered, c.Refused, c.Expired, r.used, r.Proven,
	}
}

// insertLane writes a new lane.
func (w *writer) insertLane(r *laneRow) error {
	return w.exec(`INSERT INTO lane (`+laneColumns+`) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26)`,
		append(r.values4(), r.Upstream, r.Own, r.Since, r.Alias, r.seal())...)
}
