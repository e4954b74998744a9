package sqlite

import (
	"context"
	"fmt"
)

// incidents takes over what is remembered of incidents whose lanes are taken over. What
// older versions remembered has no seal, and no key that the sender had named.
func (x *salvage) incidents(ctx context.Context) error {
	if err := x.losses(ctx); err != nil {
		return err
	}
	var list []incident
	read, lost := 0, false
	take := func(scan func(...any) error) error {
		var i incident
		whole, err := i.scan(scan)
		read++
		switch known := x.known[i.lane] && x.known[i.origin]; {
		case whole && known:
			list = append(list, i)
		case !whole || x.lostLanes: // else its lane was forgotten before
			lost = true
		}
		return err
	}
	older := func(scan func(...any) error) error {
		var i incident
		err := scan(txt(&i.dedup), num(&i.lane), num(&i.used))
		read++
		if i.origin = i.lane; x.known[i.lane] {
			list = append(list, i)
		} else {
			lost = lost || x.lostLanes
		}
		return err
	}
	text, row := `SELECT `+incidentColumns+` FROM incident`, take
	if x.sticky {
		text, row = `SELECT dedup, lane, used FROM sticky`, older
	}
	all, err := x.all(ctx, text, row)
	if err == nil && !x.sticky {
		err = x.each(ctx, `SELECT count(*) FROM incident INDEXED BY incident_lane`, func(scan func(...any) error) error {
			known := 0
			err := scan(num(&known))
			all = all && known <= read
			return err
		})
	}
	for i := 0; i < len(list) && err == nil; i++ {
		err = x.w.remember(list[i])
	}
	if err == nil && !x.first && (!all || lost) {
		x.report.IncidentsLost = true
		err = x.w.lost(0)
	}
	return err
}

// losses takes over which lanes had lost some of their open incidents before. If that
// cannot be read, any may have.
func (x *salvage) losses(ctx context.Context) error {
	known := map[string]string{}
	all, err := x.all(ctx, fmt.Sprintf(`SELECT name, value FROM meta WHERE name >= '%s' AND name < '%[1]sa'`, lostMeta), func(scan func(...any) error) error {
		var name, value string
		err := scan(txt(&name), txt(&value))
		known[name] = value
		return err
	})
	for name, value := range known {
		if err == nil {
			err = x.w.setMeta(name, value)
		}
	}
	if err == nil && !all && !x.first {
		err = x.w.lost(0)
	}
	return err
}
