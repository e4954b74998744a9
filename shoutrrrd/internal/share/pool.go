package share

import (
	"container/list"
	"errors"
	"sync"
	"time"
)

// ErrBusy is returned to a client that did not get its part in time.
var ErrBusy = errors.New("too much is in hand")

// Pool has a number of units of something. Each client may take up to its share;
// what does not fit waits. Clients take turns, so that one with a thousand requests
// that wait delays another's first request by one of them.
type Pool struct {
	capacity int64                // units of all clients together
	share    func(c Client) int64 // units of one client at most
	waiting  int                  // requests of one client that may wait at once
	mu       sync.Mutex           // guards what follows
	used     int64                // units that are taken
	accounts map[Client]*account  // of the clients that have or want something
	turns    list.List            // of *account: whose first request fits its share and waits for capacity
	spare    []*account           // to be used again, without an allocation for each request
}

// account is what one client has and wants.
type account struct {
	client Client
	used   int64         // units that it has
	share  int64         // units that it may have
	queue  list.List     // of *waiter, the first one first
	turn   *list.Element // its place in Pool.turns, nil if it has none
}

// waiter is a request that waits.
type waiter struct {
	units   int64
	granted chan struct{} // closed when it has them
}

// maxSpare bounds the accounts that are kept to be used again.
const maxSpare = 64

// NewPool returns a pool of which nothing is taken.
func NewPool(capacity int64, share func(c Client) int64, waiting int) *Pool {
	return &Pool{capacity: capacity, share: share, waiting: waiting, accounts: map[Client]*account{}}
}

// Take takes units for a client. If they are not there it waits for as long as its
// patience, or until done is closed, and then returns [ErrBusy].
func (p *Pool) Take(done <-chan struct{}, c Client, units int64, patience time.Duration) error {
	p.mu.Lock()
	a := p.account(c)
	if a.queue.Len() == 0 && p.turns.Len() == 0 && a.used+units <= a.share && p.used+units <= p.capacity {
		a.used += units
		p.used += units
		p.mu.Unlock()
		return nil
	}
	if patience <= 0 || units > a.share || units > p.capacity || a.queue.Len() >= p.waiting {
		p.forget(a)
		p.mu.Unlock()
		return ErrBusy
	}
	own := &waiter{units: units, granted: make(chan struct{})}
	place := a.queue.PushBack(own)
	p.line(a)
	p.grant() // it may fit: only those before it in turn had to be asked first
	p.mu.Unlock()
	return p.wait(done, a, place, patience)
}

// wait returns when the request at a place of an account's queue has its units, or
// takes it out of the queue.
func (p *Pool) wait(done <-chan struct{}, a *account, place *list.Element, patience time.Duration) error {
	own := place.Value.(*waiter)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-own.granted:
		return nil
	case <-timer.C:
	case <-done:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-own.granted: // at the last moment
		return nil
	default:
	}
	a.queue.Remove(place)
	p.line(a) // a smaller request behind it may fit
	p.grant()
	p.forget(a)
	return ErrBusy
}

// Give gives units of a client back.
func (p *Pool) Give(c Client, units int64) {
	if units == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.account(c)
	a.used -= units
	p.used -= units
	p.line(a)
	p.grant()
	p.forget(a)
}

// Used returns how many units are taken.
func (p *Pool) Used() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used
}

// Lacks reports what has no room for units of a client: its own share, and the
// capacity.
func (p *Pool) Lacks(c Client, units int64) (share, capacity bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a, known := p.accounts[c]; known {
		share = a.used+units > a.share
	}
	return share, p.used+units > p.capacity
}

func (p *Pool) account(c Client) *account {
	if a, known := p.accounts[c]; known {
		return a
	}
	var a *account
	if last := len(p.spare) - 1; last >= 0 {
		a, p.spare = p.spare[last], p.spare[:last]
	} else {
		a = &account{}
	}
	a.client, a.share = c, p.share(c)
	p.accounts[c] = a
	return a
}

// forget drops an account that has nothing and wants nothing.
func (p *Pool) forget(a *account) {
	if a.used != 0 || a.queue.Len() > 0 || p.accounts[a.client] != a {
		return
	}
	delete(p.accounts, a.client)
	if len(p.spare) < maxSpare {
		p.spare = append(p.spare, a)
	}
}

// line gives an account a turn if its first request fits its share, and else takes
// its turn away.
func (p *Pool) line(a *account) {
	first := a.queue.Front()
	fits := first != nil && a.used+first.Value.(*waiter).units <= a.share
	switch {
	case fits && a.turn == nil:
		a.turn = p.turns.PushBack(a)
	case !fits && a.turn != nil:
		p.turns.Remove(a.turn)
		a.turn = nil
	}
}

// grant hands out what is free, one request to each client in turn. It stops at the
// first one that does not fit: if smaller ones passed it, a large one would starve.
func (p *Pool) grant() {
	for turn := p.turns.Front(); turn != nil; turn = p.turns.Front() {
		a := turn.Value.(*account)
		first := a.queue.Front()
		own := first.Value.(*waiter)
		if p.used+own.units > p.capacity {
			return
		}
		a.queue.Remove(first)
		a.used += own.units
		p.used += own.units
		close(own.granted)
		p.turns.Remove(turn)
		a.turn = nil
		p.line(a)
	}
}
