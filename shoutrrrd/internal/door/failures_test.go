package door

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// gate is an authenticator whose failures are seen.
type gate struct {
	*Authenticator
	log    bytes.Buffer
	mu     sync.Mutex // guards counts
	counts map[Failure]int
}

func newGate(credentials ...Credential) *gate {
	g := &gate{Authenticator: NewAuthenticator(credentials...), counts: map[Failure]int{}}
	g.Watch(NewFailures(slog.New(slog.NewJSONHandler(&g.log, nil)), func(how Failure) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.counts[how]++
	}))
	return g
}

// lines are what was logged: how many failures each line has.
func (g *gate) lines(t *testing.T) (counts []int) {
	t.Helper()
	for line := range bytes.Lines(g.log.Bytes()) {
		var entry struct{ Count int }
		if err := json.Unmarshal(line, &entry); err != nil {
			t.Fatal(err)
		}
		counts = append(counts, entry.Count)
	}
	return counts
}

// try gives a token and returns whether it was right, and after which time that was
// answered.
func (g *gate) try(address, token string) (bool, time.Duration) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = address
	r.Header.Set("Authorization", "Bearer "+token)
	began := time.Now()
	_, ok := g.Bearer(r)
	return ok, time.Since(began)
}

// Wrong tokens are logged in one line in 10 s with their number, and counted.
func TestFailuresAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(NewCredential("ana", true, "token-of-ana"))
		for i := range 300 {
			if ok, _ := g.try(fmt.Sprintf("203.0.%d.%d:1", i/200, i%200), "wrong"); ok {
				t.Fatal("a wrong token gets in")
			}
		}
		tick(reportEvery + time.Second)
		tick(10 * reportEvery)
		_, _ = g.try("203.0.113.1:1", "wrong")
		tick(10 * reportEvery)
		if got := fmt.Sprint(g.lines(t)); got != "[1 299 1]" || g.counts[WrongToken] != 301 {
			t.Errorf("lines of %s failures, %d were counted:\n%s", got, g.counts[WrongToken], g.log.String())
		}
	})
}

// The answers to a client that fails again and again come later and later. A right
// token is never made to wait, nor is another client.
func TestFailuresAreSlowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(NewCredential("ana", true, "token-of-ana"))
		var waits []time.Duration
		for range freeFailures + 8 {
			_, waited := g.try("203.0.113.1:1", "wrong")
			waits = append(waits, waited)
		}
		if got := fmt.Sprint(waits); got != "[0s 0s 0s 0s 0s 250ms 500ms 1s 2s 4s 5s 5s 5s]" {
			t.Errorf("answers after %s", got)
		}
		if ok, waited := g.try("203.0.113.1:1", "token-of-ana"); !ok || waited != 0 {
			t.Errorf("a right token: %v after %v", ok, waited)
		}
		if _, waited := g.try("203.0.113.2:1", "wrong"); waited != 0 {
			t.Errorf("another client's slip is answered after %v", waited)
		}
		tick(forgetFailures + time.Second)
		if _, waited := g.try("203.0.113.1:1", "wrong"); waited != 0 {
			t.Errorf("five minutes later a slip is answered after %v", waited)
		}
	})
}

// However many fail from wherever, what is remembered is bounded, and so is the number
// of answers that wait.
func TestFailuresAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(NewCredential("ana", true, "token-of-ana"))
		for i := range maxFailing + 100 {
			_, _ = g.try(fmt.Sprintf("[2001:db8:%x::1]:1", i), "wrong")
		}
		if n := len(g.failures.clients); n != maxFailing || g.failures.order.Len() != n {
			t.Errorf("%d clients are remembered", n)
		}
		ended := make(chan time.Duration, 3*maxDelayed)
		for i := range cap(ended) {
			go func() {
				_, waited := g.try(fmt.Sprintf("203.0.113.%d:1", i%3), "wrong")
				ended <- waited
			}()
		}
		synctest.Wait()
		g.failures.mu.Lock()
		if g.failures.delayed > maxDelayed || g.failures.delayed < maxDelayed/2 {
			t.Errorf("%d answers wait", g.failures.delayed)
		}
		g.failures.mu.Unlock()
		for range cap(ended) {
			<-ended
		}
		if g.failures.delayed != 0 {
			t.Errorf("%d answers still wait", g.failures.delayed)
		}
		tick(2 * reportEvery)
	})
}

// An answer that waits holds no place and none of its client's requests in hand.
func TestSlowedAnswersHoldNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(NewCredential("ana", true, "token-of-ana"))
		b := newBench(t, Options{MaxConnections: 16, MaxRequestsPerClient: 4, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, ok := g.Bearer(r); !ok {
				w.WriteHeader(http.StatusUnauthorized)
			}
		})})
		defer b.end()
		request := func(token string) string {
			return "GET / HTTP/1.1\r\nHost: relay\r\nAuthorization: Bearer " + token + "\r\n\r\n"
		}
		for i := range 40 {
			_ = b.open(fmt.Sprintf("203.0.113.1:%d", i+1), request("wrong"))
			tick(grace)
		}
		began := time.Now()
		want(t, "a right token", b.open("203.0.113.1:99", request("token-of-ana")), "200")
		if waited := time.Since(began); waited != 0 {
			t.Errorf("it has waited for %v", waited)
		}
		tick(2 * reportEvery)
	})
}

// A token that has expired is refused, and the log names whose it was.
func TestExpiredTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(NewCredential("ana", true, "token-of-ana").Until(time.Now().Add(time.Hour)), NewCredential("ben", true, "token-of-ben"))
		sessions, browsing := NewSessions(g.Authenticator, time.Now), &browser{}
		w := httptest.NewRecorder()
		if _, ok := sessions.SignIn(w, browsing.request(), "token-of-ana"); !ok {
			t.Fatal("a valid token does not sign in")
		}
		browsing.took(w)
		tick(time.Hour - time.Nanosecond)
		if ok, _ := g.try("203.0.113.1:1", "token-of-ana"); !ok {
			t.Error("a token is refused before it has expired")
		}
		if _, ok := sessions.Identify(browsing.request()); !ok {
			t.Error("a session ends before its token has expired")
		}
		tick(time.Nanosecond)
		if ok, _ := g.try("203.0.113.1:1", "token-of-ana"); ok {
			t.Error("a token that has expired gets in")
		}
		if _, ok := sessions.Identify(browsing.request()); ok {
			t.Error("a session outlives its token")
		}
		if ok, _ := g.try("203.0.113.1:1", "token-of-ben"); !ok {
			t.Error("a token without an end is refused")
		}
		if g.counts[ExpiredToken] != 1 || !bytes.Contains(g.log.Bytes(), []byte(`"expired_tokens_of":["ana"]`)) || bytes.Contains(g.log.Bytes(), []byte("token-of-ana")) {
			t.Errorf("counted %v, logged:\n%s", g.counts, g.log.String())
		}
		tick(2 * reportEvery)
	})
}
