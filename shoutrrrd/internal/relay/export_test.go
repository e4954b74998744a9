package relay

import (
	"reflect"
	"time"
	"unsafe"
)

// Claims is how many claimed events the relay remembers. Call it when the loop rests.
func (r *Relay) Claims() int { return len(r.events) }

// Opened lists the lanes that the shell knows. Call it when the loop rests.
func (r *Relay) Opened() []int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := make([]int64, 0, len(r.lanes))
	for id := range r.lanes {
		ids = append(ids, id)
	}
	return ids
}

// Break plants a fault, for the simulation to find. A name that it does not know
// changes nothing: other faults are planted elsewhere.
func (r *Relay) Break(fault string) {
	switch fault {
	case "announcements first":
		r.slice = 1 << 40
	case "one chain opens the breaker":
		r.rule("chains", 1)
	case "a rejected key is never tried again":
		r.rule("rejected", int64(10_000*time.Hour))
	case "strangers are trusted":
		at := reflect.ValueOf(r.core).Elem().FieldByName("rules").FieldByName("naive")
		reflect.NewAt(at.Type(), unsafe.Pointer(at.UnsafeAddr())).Elem().SetBool(true)
	case "one host takes all places":
		r.rule("hostShare", 1_000_000)
	case "a slot is free after 55 s":
		r.rule("window", int64(55*time.Second))
	}
}

// rule changes one of the core's numbers. They are the core's own, as no program has a
// reason to change them.
func (r *Relay) rule(name string, to int64) {
	at := reflect.ValueOf(r.core).Elem().FieldByName("rules").FieldByName(name)
	reflect.NewAt(at.Type(), unsafe.Pointer(at.UnsafeAddr())).Elem().SetInt(to)
}

// Wire is what PagerDuty gets of an event.
var Wire = wire
