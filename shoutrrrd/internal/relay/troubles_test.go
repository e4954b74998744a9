package relay_test

import (
	"database/sql"
	"time"
)

var moods = []string{"away", "lossy", "sick", "slow", "walled", "elsewhere", "hanging"}

// hostTrouble changes the mood of a host for a while.
func (w *world) hostTrouble() {
	if w.quiet {
		return
	}
	host, mood := []string{common, europe, europe}[w.script.IntN(3)], moods[w.script.IntN(len(moods))]
	again := []time.Duration{0, time.Duration(w.script.IntN(20)) * time.Second}[w.script.IntN(2)]
	length := w.some(20 * time.Minute)
	if w.script.IntN(10) == 0 {
		length = w.some(4 * time.Hour)
	}
	w.mu.Lock()
	w.up.hostMood(host, mood)
	w.up.again[1] = again
	w.judge.reached["host "+mood]++
	w.mu.Unlock()
	w.in(length, func() {
		w.mu.Lock()
		w.up.hostMood(host, "")
		w.judge.host(host).troubled = time.Now()
		w.mu.Unlock()
		w.in(w.some(4*time.Hour), w.hostTrouble)
	})
}

// keyTrouble has PagerDuty reject or throttle one key for a while.
func (w *world) keyTrouble() {
	if w.quiet {
		return
	}
	key, mood := 1+w.script.IntN(5), []string{"rejected", "throttled"}[w.script.IntN(2)]
	again := []time.Duration{0, time.Duration(1+w.script.IntN(120)) * time.Second}[w.script.IntN(2)]
	w.mu.Lock()
	w.up.keyMood(key, mood)
	w.up.again[key] = again
	if w.o.truth > 0 {
		w.up.takes([]int{w.o.truth, w.o.truth, max(1, w.o.truth/2), 2 * w.o.truth}[w.script.IntN(4)])
	}
	w.judge.reached["key "+mood]++
	w.mu.Unlock()
	w.in(w.some(30*time.Minute), func() {
		w.mu.Lock()
		w.up.keyMood(key, "")
		w.mu.Unlock()
		w.in(w.some(3*time.Hour), w.keyTrouble)
	})
}

// poolTrouble has one key of the pool rejected, throttled or its lane paused for a while.
// The next one may come before that is over.
func (w *world) poolTrouble() {
	if w.quiet {
		return
	}
	key, mood := 2+w.script.IntN(2), []string{"rejected", "throttled", "throttled", "paused", "failing"}[w.script.IntN(5)]
	again := []time.Duration{0, time.Duration(1+w.script.IntN(600)) * time.Second}[w.script.IntN(2)]
	length := w.some(20 * time.Minute)
	w.in(w.some(30*time.Minute), w.poolTrouble)
	w.note("pool key " + mood)
	if mood == "paused" {
		w.holdKey(key, length)
		return
	}
	w.mu.Lock()
	w.up.keyMood(key, mood)
	w.up.again[key] = again
	w.mu.Unlock()
	w.in(length, func() {
		w.mu.Lock()
		w.up.keyMood(key, "")
		w.mu.Unlock()
	})
}

// diskTrouble has the disk fail or hang for a while.
func (w *world) diskTrouble() {
	if w.quiet {
		return
	}
	length := w.some(2 * time.Minute)
	hangs := w.script.IntN(3) == 0
	w.mu.Lock()
	if hangs {
		length = w.some(20 * time.Second) // above 30 s the program ends
		w.disk.hanging = make(chan struct{})
	}
	w.disk.failing = !hangs
	w.judge.reached[map[bool]string{true: "disk hangs", false: "disk fails"}[hangs]]++
	w.mu.Unlock()
	w.in(length, func() {
		w.repairDisk()
		w.in(w.some(6*time.Hour), w.diskTrouble)
	})
}

func (w *world) repairDisk() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.disk.hanging != nil {
		close(w.disk.hanging)
	}
	if w.disk.failing || w.disk.hanging != nil {
		w.disk.last = time.Now()
	}
	w.disk.failing, w.disk.hanging = false, nil
}

// live lets the process end, mostly without a warning, and a new one begin. Now and then the
// machine begins anew as well.
func (w *world) live() {
	if w.quiet {
		return
	}
	clean := false
	if w.script.IntN(4) == 0 {
		clean = w.stop()
		w.note("stopped")
	} else {
		w.kill()
		w.note("killed")
	}
	reboots := w.script.IntN(4) == 0
	w.in(time.Second+w.some(time.Minute), func() {
		if w.life != nil { // peace came first
			return
		}
		if reboots {
			w.machine.reboot(w.wrongBy())
			w.note("rebooted")
		}
		w.start(!clean || reboots)
		w.in(time.Minute+w.some(8*time.Hour), w.live)
	})
}

// wrongBy is how far a date may be off.
func (w *world) wrongBy() time.Duration {
	const years = 10 * 365 * 24 * time.Hour
	if !w.o.clocks {
		return 0
	}
	return []time.Duration{-years, -time.Hour, 0, 0, time.Hour, years}[w.script.IntN(6)]
}

// setClock sets the wall clock of the machine while the process runs. Nothing else happens.
func (w *world) setClock() {
	if w.quiet {
		return
	}
	w.machine.set(w.wrongBy())
	w.note("clock set")
	w.in(w.some(time.Hour), w.setClock)
}

// sleep suspends the machine, now and then.
func (w *world) sleep() {
	if w.quiet {
		return
	}
	w.suspend(2*time.Minute + w.some(2*time.Hour))
	w.in(w.some(2*time.Hour), w.sleep)
}

// suspend lets a time pass, at least a minute, in which the machine does nothing.
func (w *world) suspend(long time.Duration) {
	w.machine.suspend(long)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.judge.reached["suspended"]++
	w.judge.woke = time.Now()
	clear(w.up.taken) // it is not within a minute
	w.up.all = nil
	for _, l := range w.judge.lanes {
		l.ends, l.criticals, l.arrivals = nil, nil, nil
	}
	for _, h := range w.judge.hosts {
		h.starts, h.ends, h.failing = nil, nil, time.Time{}
	}
}

// spoil has a row of the file go bad below the store, as a bad disk does.
func (w *world) spoil() {
	if w.quiet {
		return
	}
	id := int64(0)
	w.file(func(db *sql.DB) error {
		err := db.QueryRow(`SELECT coalesce(max(id), 0) FROM event WHERE state < 4`).Scan(&id)
		if err == nil {
			_, err = db.Exec(`UPDATE event SET body = replace(body, 'event', 'Event') WHERE id = ?1`, id)
		}
		return err
	})
	w.mu.Lock()
	if x := w.judge.records[id]; x != nil {
		w.judge.chain(x.chain).spoiled = true
		w.judge.reached["damage"]++
	}
	w.mu.Unlock()
	w.in(w.some(time.Hour), w.spoil)
}

// file opens the queue's file beside the store.
func (w *world) file(do func(*sql.DB) error) {
	db, err := sql.Open("sqlite", "file:"+queueFile(w.dir)+"?_pragma=busy_timeout(5000)")
	if err == nil {
		err = do(db)
		if closing := db.Close(); err == nil {
			err = closing
		}
	}
	if err != nil {
		w.fail("cannot change the file: %v", err)
	}
}
