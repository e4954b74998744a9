package intake

import (
	"bytes"
	"container/list"
	"errors"
	"io"
	"math"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/share"
)

// Budget bounds the memory that requests hold: bodies while they are received, and
// events until they are answered. It counts what is allocated. A client has a share
// of it; what does not fit waits for 5 s and then gets a 503.
//
// A body is read into chunks, so that a slow client holds no more than a chunk beyond
// what it has sent. The first chunk has a part of the budget of its own, as most
// events fit into it: however many large bodies are stuck, a page gets through.
type Budget struct {
	first   *share.Pool  // bytes of first chunks
	rest    *share.Pool  // bytes of the other chunks
	streams *share.Pool  // bytes that HTTP/2 keeps of streams until they are read
	repairs *share.Pool  // large bodies that are joined and repaired at once
	spare   [2]sync.Pool // of the other chunks' arrays: the second's, then the larger ones'

	mu       sync.Mutex
	stalling list.List // of *reception: those that hold more than a first chunk, or a stream of HTTP/2, the oldest first
}

const (
	// DefaultBudget is the budget if nothing else is said.
	DefaultBudget = 64 << 20
	// MinBudget is the least with which one client's share takes a body of any size.
	MinBudget = 16 << 20

	// firstChunk takes 4,096 requests, the default of max_connections, to a quarter of
	// the default budget. An event has about 600 bytes.
	firstChunk  = 4 << 10
	secondChunk = 16 << 10
	largeChunk  = 64 << 10

	// maxLarge is the size from which on a body counts as large. To join and to repair
	// it takes several times its size, so that only a few are in hand at once.
	maxLarge = 64 << 10

	// streamWindow is what HTTP/2 keeps of a stream that has not been read
	// (door.StreamWindow).
	streamWindow = 32 << 10

	// patience is how long a request waits for memory in all.
	patience = 5 * time.Second
	// stalledWait is how long it waits before it takes what others hold for stalled,
	// and stalledAge how old those are at least: 2 MiB within 2 s are 8 Mbit/s.
	stalledWait = time.Second
	stalledAge  = 2 * time.Second
)

// NewBudget returns a budget of so many bytes, at least [MinBudget].
func NewBudget(size int64) *Budget {
	size = max(size, MinBudget)
	half := func(capacity int64) *share.Pool {
		return share.NewPool(capacity, func(share.Client) int64 { return capacity / 2 }, math.MaxInt)
	}
	// One repair for each processor keeps them busy. Each holds the whole body once
	// more while its chunks are copied.
	repairs := min(int64(runtime.GOMAXPROCS(0)), size/8/maxBody)
	return &Budget{
		// The programs of this machine, a proxy among them, have as many requests as
		// there are connections, and all of these are to get a first chunk: a bound on
		// connections has others make room, one on memory cannot.
		first: share.NewPool(size/4, func(c share.Client) int64 {
			if c.IsLoopback() {
				return size / 4
			}
			return size / 8
		}, math.MaxInt),
		streams: half(size / 8),
		rest:    half(size - size/4 - size/8 - repairs*maxBody),
		repairs: share.NewPool(repairs, func(share.Client) int64 { return max(1, repairs-1) }, math.MaxInt),
	}
}

// Used returns how many bytes are taken.
func (b *Budget) Used() int64 { return b.first.Used() + b.streams.Used() + b.rest.Used() }

// reception is one request's part of the budget.
type reception struct {
	budget  *Budget
	client  share.Client      // who is charged
	left    <-chan struct{}   // closed when the client is known to have left
	cut     func()            // ends the reading of the body
	began   time.Time         // when it could be cut for the first time, see mayStall
	waited  time.Duration     // of patience
	first   int64             // bytes charged to Budget.first
	rest    int64             // and to Budget.rest
	repairs int64             // 1 if it is one of Budget.repairs
	page    *[firstChunk]byte // the first chunk; later the answer's buffer
	chunks  [][]byte          // full ones behind the first
	place   *list.Element     // in Budget.stalling
	wasCut  bool              // guarded by Budget.mu: another request needed what it held
	body    []byte            // whole
}

var pages = sync.Pool{New: func() any { return new([firstChunk]byte) }}

var errTooLarge = errors.New("the body is too large")

// receive reads the body of a request. Its error is [share.ErrBusy] if there was no
// memory for it, errTooLarge, or that of reading. What is received is released by the
// caller in any case.
func (b *Budget) receive(w http.ResponseWriter, r *http.Request) (*reception, error) {
	in := &reception{budget: b, client: share.ClientOf(r.RemoteAddr), left: r.Context().Done()}
	in.cut = func() { _ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) } // a connection that has none is gone
	if r.ProtoMajor > 1 {
		if err := in.take(b.streams, streamWindow); err != nil {
			return in, err
		}
		defer b.streams.Give(in.client, streamWindow) // when the body has been read
		in.mayStall()
	}
	if err := b.first.Take(in.left, in.client, firstChunk, patience-in.waited); err != nil {
		in.settleCut()
		return in, err
	}
	in.first, in.page = firstChunk, pages.Get().(*[firstChunk]byte)
	last, err := in.read(r.Body)
	cut := in.settleCut()
	if err == nil && !cut {
		return in, in.join(last)
	}
	in.reuse(last)
	if cut {
		return in, share.ErrBusy
	}
	return in, err
}

// read reads into chunks until the body ends, and returns the last one, with an error
// as well.
func (in *reception) read(from io.Reader) ([]byte, error) {
	chunk, total, idle := in.page[:0], 0, 0
	for {
		n, err := from.Read(chunk[len(chunk):cap(chunk)])
		chunk, total = chunk[:len(chunk)+n], total+n
		switch {
		case total > maxBody:
			return chunk, errTooLarge
		case errors.Is(err, io.EOF):
			return chunk, nil
		case err != nil:
			return chunk, err
		case n > 0:
			idle = 0
		default:
			if idle++; idle > 100 {
				return chunk, io.ErrNoProgress
			}
		}
		if len(chunk) < cap(chunk) {
			continue
		}
		if chunk, err = in.next(chunk); err != nil {
			return nil, err
		}
	}
}

// next puts a full chunk aside and returns an empty one.
func (in *reception) next(full []byte) ([]byte, error) {
	size := int64(largeChunk)
	if in.rest == 0 {
		size = secondChunk
	} else {
		in.chunks = append(in.chunks, full)
	}
	if err := in.take(in.budget.rest, size); err != nil {
		return nil, err
	}
	in.rest += size
	in.mayStall()
	if array, ok := in.budget.spare[class(size)].Get().(*[]byte); ok {
		return (*array)[:0], nil
	}
	return make([]byte, 0, size), nil
}

// reuse keeps chunks for other bodies: as garbage they would be counted by nothing
// until they are collected.
func (in *reception) reuse(last []byte) {
	for _, chunk := range append(in.chunks, last) {
		if cap(chunk) == secondChunk || cap(chunk) == largeChunk {
			in.budget.spare[class(int64(cap(chunk)))].Put(&chunk)
		}
	}
	in.chunks = nil
}

func class(size int64) int {
	if size == secondChunk {
		return 0
	}
	return 1
}

// take waits for bytes of a pool. After a second, and each second from then on, the
// oldest of those that are still being received makes room.
func (in *reception) take(from *share.Pool, size int64) error {
	if from.Take(in.left, in.client, size, 0) == nil {
		return nil
	}
	started, over := time.Now(), make(chan struct{})
	defer func() {
		close(over)
		in.waited += time.Since(started)
	}()
	go func() {
		again := time.NewTicker(stalledWait)
		defer again.Stop()
		for {
			select {
			case <-again.C:
				in.budget.cutStalled(in, from, size)
			case <-over:
				return
			}
		}
	}()
	return from.Take(in.left, in.client, size, patience-in.waited)
}

// mayStall puts the reception among those that make room when they take long.
func (in *reception) mayStall() {
	if in.place != nil {
		return
	}
	in.began = time.Now()
	in.budget.mu.Lock()
	defer in.budget.mu.Unlock()
	in.place = in.budget.stalling.PushBack(in)
}

// cutStalled ends the reception that has been going on for longest: one of the same
// client if it is its own share that is used up, of any if it is all there is.
func (b *Budget) cutStalled(waiting *reception, from *share.Pool, size int64) {
	own, all := from.Lacks(waiting.client, size)
	if !own && !all {
		return // its turn has come, or will without this
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for e := b.stalling.Front(); e != nil; e = e.Next() {
		in := e.Value.(*reception)
		if time.Since(in.began) < stalledAge {
			return // and all behind it are younger
		}
		if in != waiting && !in.wasCut && (!own || in.client == waiting.client) {
			in.wasCut = true
			in.cut()
			return
		}
	}
}

// settleCut takes the reception out of those that can be cut, and reports whether it
// has been.
func (in *reception) settleCut() bool {
	if in.place == nil {
		return false
	}
	in.budget.mu.Lock()
	defer in.budget.mu.Unlock()
	in.budget.stalling.Remove(in.place)
	in.place = nil
	return in.wasCut
}

// join makes one text of the chunks.
func (in *reception) join(last []byte) error {
	if in.rest == 0 {
		in.body = last
		return nil
	}
	total := firstChunk + len(last)
	for _, chunk := range in.chunks {
		total += len(chunk)
	}
	if total > maxLarge {
		if err := in.budget.repairs.Take(in.left, in.client, 1, patience-in.waited); err != nil {
			return err
		}
		in.repairs = 1
	}
	in.body = append(make([]byte, 0, total), in.page[:]...)
	for _, chunk := range in.chunks {
		in.body = append(in.body, chunk...)
	}
	in.body = append(in.body, last...)
	in.reuse(last)
	return nil
}

// keep gives back all but what the event needs that has been made of the body.
func (in *reception) keep(size int) {
	in.body = nil
	surplus := max(0, in.rest-max(0, int64(size)-in.first))
	in.budget.rest.Give(in.client, surplus)
	in.rest -= surplus
	in.budget.repairs.Give(in.client, in.repairs)
	in.repairs = 0
}

// answer returns an empty buffer, for what is answered when the body is not needed
// any more.
func (in *reception) answer() *bytes.Buffer { return bytes.NewBuffer(in.page[:0]) }

// release gives everything back.
func (in *reception) release() {
	in.keep(0)
	in.budget.rest.Give(in.client, in.rest)
	in.budget.first.Give(in.client, in.first)
	in.first, in.rest = 0, 0
	if in.page != nil {
		pages.Put(in.page)
		in.page = nil
	}
}
