package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/door"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/share"
)

// sender is a request whose body comes when the test says so.
type sender struct {
	*httptest.ResponseRecorder
	request *http.Request
	pieces  chan []byte
	rest    []byte        // of a piece that has been read in part
	cut     chan struct{} // closed when the reading is to end
	once    sync.Once
	stuck   bool // it cannot be cut
	done    chan struct{}
}

// Read is the body's.
func (s *sender) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		var more bool
		select {
		case s.rest, more = <-s.pieces:
			if !more {
				return 0, io.EOF
			}
		case <-s.cut:
			return 0, os.ErrDeadlineExceeded
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// Close is the body's.
func (s *sender) Close() error { return nil }

// SetReadDeadline is what http.ResponseController calls.
func (s *sender) SetReadDeadline(time.Time) error {
	if !s.stuck {
		s.once.Do(func() { close(s.cut) })
	}
	return nil
}

// limited is an intake with a budget.
type limited struct {
	t       *testing.T
	door    *Door
	senders []*sender
}

func newLimited(t *testing.T, budget int64) *limited {
	return &limited{t: t, door: New(Options{
		Store: nowhere{}, Log: slog.New(slog.DiscardHandler), Now: time.Now, Budget: NewBudget(budget),
		Route: func(key eventsv2.Key) Route { return Route{Name: key.Fingerprint()} },
	})}
}

// post begins a request that has sent a piece of its body.
func (l *limited) post(address, piece string) *sender { return l.begin(1, address, piece) }

func (l *limited) begin(protocol int, address, piece string) *sender {
	s := &sender{ResponseRecorder: httptest.NewRecorder(), pieces: make(chan []byte, 1), cut: make(chan struct{}), done: make(chan struct{})}
	s.request = httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/v2/enqueue", s)
	s.request.RemoteAddr, s.request.ProtoMajor = address, protocol
	l.senders = append(l.senders, s)
	s.send(piece)
	go func() {
		l.door.ServeHTTP(s, s.request)
		close(s.done)
	}()
	synctest.Wait()
	return s
}

func (s *sender) send(piece string) {
	if piece != "" {
		s.pieces <- []byte(piece)
	}
}

// status is that of the answer, 0 while there is none.
func (s *sender) status() int {
	synctest.Wait()
	select {
	case <-s.done:
		return s.Code
	default:
		return 0
	}
}

func (l *limited) want(what string, s *sender, status int) {
	l.t.Helper()
	if got := s.status(); got != status {
		l.t.Errorf("%s got %d, want %d", what, got, status)
	}
	if status == http.StatusServiceUnavailable && (s.Header().Get("Retry-After") == "" || s.Header().Get("Connection") != "close") {
		l.t.Errorf("%s got the headers %v", what, s.Header())
	}
}

// end ends all that is still being sent. Then nothing is taken any more.
func (l *limited) end() {
	l.t.Helper()
	for _, s := range l.senders {
		s.stuck = false
		_ = s.SetReadDeadline(time.Time{})
	}
	for _, s := range l.senders {
		<-s.done
	}
	if used := l.door.o.Budget.Used(); used != 0 || l.door.o.Budget.repairs.Used() != 0 || l.door.o.Budget.stalling.Len() != 0 {
		l.t.Errorf("%d bytes are still taken, %d repairs, %d may stall", used, l.door.o.Budget.repairs.Used(), l.door.o.Budget.stalling.Len())
	}
}

const sampleEvent = `{"routing_key":"` + testKey + `","event_action":"trigger","payload":{"summary":"x","source":"s","severity":"critical"}}`

// A body comes out as it went in, whatever its size and its pieces; what is charged is
// what is held, and in the end nothing.
func TestReceive(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{0, 1, 600, firstChunk - 1, firstChunk, firstChunk + 1, firstChunk + secondChunk, firstChunk + secondChunk + 1, maxLarge, maxLarge + 1, 300_000, maxBody - 1, maxBody} {
		for _, most := range []int{1, 1000, 1 << 20} {
			if most == 1 && size > maxLarge {
				continue
			}
			body := make([]byte, size)
			for i := range body {
				body[i] = byte(random.Uint32())
			}
			b := NewBudget(MinBudget)
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", pieces{bytes.NewReader(body), most})
			in, err := b.receive(httptest.NewRecorder(), r)
			if err != nil || !bytes.Equal(in.body, body) {
				t.Errorf("%d bytes in pieces of %d: %v, %d bytes", size, most, err, len(in.body))
			}
			if used := b.Used(); used < int64(size) || used > int64(size)+largeChunk+firstChunk {
				t.Errorf("%d bytes in pieces of %d: %d are charged", size, most, used)
			}
			in.keep(600)
			if used := b.Used(); used != firstChunk {
				t.Errorf("%d bytes: the event of 600 bytes is charged %d", size, used)
			}
			in.release()
			in.release()
			if used := b.Used(); used != 0 {
				t.Errorf("%d bytes: %d are charged in the end", size, used)
			}
		}
	}
}

// pieces gives at most so many bytes at once.
type pieces struct {
	io.Reader
	most int
}

// Read reads a piece.
func (p pieces) Read(b []byte) (int, error) { return p.Reader.Read(b[:min(len(b), p.most)]) }

func TestReceiveTooMuch(t *testing.T) {
	b := NewBudget(MinBudget)
	for _, tt := range []struct {
		name string
		body io.Reader
		want error
	}{
		{"too large", strings.NewReader(strings.Repeat("x", maxBody+1)), errTooLarge},
		{"broken", io.MultiReader(strings.NewReader(strings.Repeat("x", 100_000)), brokenReader{}), errBroken},
		{"without progress", idleReader{}, io.ErrNoProgress},
	} {
		in, err := b.receive(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", tt.body))
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
		in.release()
		if b.Used() != 0 || b.stalling.Len() != 0 {
			t.Errorf("%s: %d bytes are still charged", tt.name, b.Used())
		}
	}
}

var errBroken = errors.New("broken")

type brokenReader struct{}

// Read fails.
func (brokenReader) Read([]byte) (int, error) { return 0, errBroken }

type idleReader struct{}

// Read reads nothing.
func (idleReader) Read([]byte) (int, error) { return 0, nil }

// Clients that send large bodies and stop hold what they have sent, up to their share.
// The next of the same address waits for 5 s and gets a 503; another address is served
// meanwhile, and so is a page of the same one that fits into a first chunk.
func TestStalledBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimited(t, MinBudget)
		defer l.end()
		large := strings.Repeat(" ", 1<<20)
		for range 20 {
			s := l.post("203.0.113.9:1", large)
			s.stuck = true // or they would make room
		}
		if used := l.door.o.Budget.Used(); used > MinBudget/2 {
			t.Errorf("one client holds %d of %d bytes", used, MinBudget)
		}
		began := time.Now()
		page := l.post("203.0.113.9:2", sampleEvent)
		close(page.pieces)
		l.want("a page of the same address", page, http.StatusAccepted)
		other := l.post("203.0.113.1:1", large+sampleEvent)
		close(other.pieces)
		l.want("a large event of another address", other, http.StatusAccepted)
		if waited := time.Since(began); waited != 0 {
			t.Errorf("they have waited for %v", waited)
		}
		further := l.post("203.0.113.9:3", large+sampleEvent)
		close(further.pieces)
		l.want("a large event of the same address", further, 0)
		<-time.After(patience)
		l.want("a large event of the same address", further, http.StatusServiceUnavailable)
	})
}

// Bodies that have been coming for long make room for another one of the same client:
// the oldest first, after a second, each with an answer.
func TestStalledBodiesMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimited(t, MinBudget)
		defer l.end()
		large := strings.Repeat(" ", 1<<20)
		var stalled []*sender
		for range 20 { // the share has room for three of them; the others wait
			stalled = append(stalled, l.post("203.0.113.9:1", large))
		}
		l.door.o.Budget.mu.Lock()
		holding := l.door.o.Budget.stalling.Len()
		l.door.o.Budget.mu.Unlock()
		if holding < 2 || holding > 8 {
			t.Fatalf("%d hold something", holding)
		}
		stranger := l.post("203.0.113.1:1", large)
		<-time.After(30 * time.Second)
		late := l.post("203.0.113.9:2", large+sampleEvent)
		close(late.pieces)
		<-time.After(stalledWait)
		l.want("a late one", late, http.StatusAccepted)
		l.want("the oldest", stalled[0], http.StatusServiceUnavailable)
		l.want("one of another client", stranger, 0)
	})
}

// However many small bodies of this machine's programs stop, as many as there are
// connections get a first chunk.
func TestFirstChunksOfThisMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimited(t, MinBudget)
		defer l.end()
		for i := range MinBudget/4/firstChunk - 1 {
			_ = l.post(fmt.Sprintf("127.0.0.1:%d", i+1), "{")
		}
		page := l.post("127.0.0.1:9999", sampleEvent)
		close(page.pieces)
		l.want("a page", page, http.StatusAccepted)
	})
}

// A stream of HTTP/2 is charged what its connection keeps of it, until its body has
// been read; one client has a share of that, and one that stalls makes room.
func TestStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimited(t, MinBudget)
		defer l.end()
		stream := func(address, piece string) *sender { return l.begin(2, address, piece) }
		if streamWindow != door.StreamWindow {
			t.Fatalf("a stream is charged %d bytes and may have %d", streamWindow, door.StreamWindow)
		}
		const share = MinBudget / 8 / 2 / streamWindow
		for range share {
			_ = stream("203.0.113.9:1", "{")
		}
		if used := l.door.o.Budget.Used(); used != share*(streamWindow+firstChunk) {
			t.Errorf("%d bytes are charged", used)
		}
		other := stream("203.0.113.1:1", sampleEvent)
		close(other.pieces)
		l.want("another client's", other, http.StatusAccepted)
		<-time.After(stalledAge)
		same := stream("203.0.113.9:2", sampleEvent)
		close(same.pieces)
		l.want("the same client's", same, 0)
		<-time.After(stalledWait)
		l.want("the same client's", same, http.StatusAccepted)
		l.want("the oldest", l.senders[0], http.StatusServiceUnavailable)
	})
}

// Few large bodies are joined and repaired at once; the others wait for their turn.
func TestLargeBodiesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimited(t, MinBudget)
		defer l.end()
		b := l.door.o.Budget
		taken := int64(0)
		for b.repairs.Take(nil, share.ClientOf(fmt.Sprintf("203.0.113.%d:1", taken)), 1, 0) == nil {
			taken++
		}
		if taken == 0 {
			t.Fatal("no large body is ever repaired")
		}
		large := l.post("203.0.113.99:1", strings.Repeat(" ", 100_000)+sampleEvent)
		close(large.pieces)
		small := l.post("203.0.113.99:2", strings.Repeat(" ", 10_000)+sampleEvent)
		close(small.pieces)
		l.want("a small one", small, http.StatusAccepted)
		l.want("a large one", large, 0)
		for i := range taken {
			b.repairs.Give(share.ClientOf(fmt.Sprintf("203.0.113.%d:1", i)), 1)
		}
		l.want("a large one", large, http.StatusAccepted)
	})
}
