package pagerduty

import (
	"crypto/sha256"
	"slices"
	"sync"
	"time"
)

// memoryLedgerSize bounds what a process that triggers without ever resolving
// remembers. The oldest go first: with so many open, an acknowledge without a
// dedup key is ambiguous whatever is forgotten.
const memoryLedgerSize = 1_000

// MemoryLedger is a [Ledger] that ends with the process. The zero value is empty. Of more than 1,000 open incidents it forgets the oldest.
type MemoryLedger struct {
	mu    sync.Mutex
	open  map[incidentID]Incident
	order []incidentID // by the time they were first put
}

// incidentID stands for the two keys of an incident. It is a hash, in which the
// garbage collector has nothing to follow: with thousands of open incidents that
// would cost each event more than the hash does.
type incidentID [16]byte

func newIncidentID(keyID, dedupKey string) incidentID {
	var room [256]byte // most keys fit
	text := append(room[:0], keyID...)
	text = append(text, 0)
	text = append(text, dedupKey...)
	sum := sha256.Sum256(text)
	return incidentID(sum[:len(incidentID{})])
}

var _ Ledger = (*MemoryLedger)(nil)

// NewMemoryLedger returns an empty ledger.
func NewMemoryLedger() *MemoryLedger {
	return &MemoryLedger{open: make(map[incidentID]Incident)}
}

// Open implements [Ledger]. The incidents come in the order in which they were
// first triggered.
func (l *MemoryLedger) Open(now time.Time) ([]Incident, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	open := make([]Incident, 0, len(l.open))
	for _, id := range l.order {
		if in, ok := l.open[id]; ok && now.Sub(in.Triggered) < ledgerLife {
			open = append(open, in)
		}
	}
	return open, nil
}

// Put implements [Ledger].
func (l *MemoryLedger) Put(in Incident) error {
	id := newIncidentID(in.KeyID, in.DedupKey)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		l.open = make(map[incidentID]Incident)
	}
	_, known := l.open[id]
	l.open[id] = in
	if !known {
		l.order = append(l.order, id)
		l.forget(in.Triggered)
	}
	return nil
}

// Add implements [Ledger].
func (l *MemoryLedger) Add(in Incident) (bool, error) {
	l.mu.Lock()
	known, found := l.open[newIncidentID(in.KeyID, in.DedupKey)]
	l.mu.Unlock()
	if found && in.Triggered.Sub(known.Triggered) < ledgerLife {
		return false, nil
	}
	return true, l.Put(in)
}

// forget drops what is resolved, too old or too much from the front of the order.
func (l *MemoryLedger) forget(now time.Time) {
	for len(l.order) > 0 {
		in, open := l.open[l.order[0]]
		if open && now.Sub(in.Triggered) < ledgerLife && len(l.order) <= memoryLedgerSize {
			return
		}
		delete(l.open, l.order[0])
		l.order = l.order[1:]
	}
}

// Remove implements [Ledger].
func (l *MemoryLedger) Remove(keyID, dedupKey string) error {
	id := newIncidentID(keyID, dedupKey)
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.open[id]; !known {
		return nil
	}
	delete(l.open, id)
	if at := slices.Index(l.order, id); at >= 0 {
		l.order = slices.Delete(l.order, at, at+1)
	}
	return nil
}
