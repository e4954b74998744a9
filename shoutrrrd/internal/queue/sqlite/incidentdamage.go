package sqlite

// forgetDamaged deletes what is remembered of incidents and is not what was written.
func (w *writer) forgetDamaged() error {
	rows, err := w.query(`SELECT ` + incidentColumns + ` FROM incident`)
	if err != nil {
		return err
	}
	var list []incident
	err = each(rows, func(scan func(...any) error) error {
		var i incident
		whole, err := i.scan(scan)
		if !whole {
			list = append(list, i)
		}
		return err
	})
	for i := 0; i < len(list) && err == nil; i++ {
		_, err = w.dropDamaged(&list[i])
	}
	return err
}

// dropDamaged deletes what is remembered of an incident and is not what was written, and
// reports it: to follow it could send a resolve through another key. Through which lane
// the incident was triggered is not known any more, so it may be any.
func (w *writer) dropDamaged(i *incident) (gone bool, err error) {
	n, err := w.execCount(`DELETE FROM incident WHERE origin = ?1 AND dedup = ?2`, i.origin, i.dedup)
	if err == nil && n == 0 { // a column may have another type than the table says
		n, err = w.execCount(`DELETE FROM incident WHERE CAST(origin AS INTEGER) = ?1 AND CAST(dedup AS TEXT) = ?2`, i.origin, i.dedup)
	}
	if err != nil || n == 0 {
		return false, err
	}
	found := Incident{
		What: "what was remembered of an incident is damaged and deleted; its acknowledge or resolve goes by the key that it names, which PagerDuty ignores if another key has opened the incident",
		Why:  "its seal is wrong",
	}
	for _, lane := range []int64{i.lane, i.origin} {
		if w.s.byID[lane] != nil {
			found.Lane = lane
			break
		}
	}
	w.leftovers = true
	w.report(found)
	w.learn(w.s.examineSoon)
	return true, w.lost(0)
}
