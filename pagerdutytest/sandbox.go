package pagerdutytest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// isSecondDoor reports whether a request is meant for people and scripts beside
// the Events API. Such requests do not enter the journal.
func isSecondDoor(r *http.Request) bool {
	switch {
	case strings.HasPrefix(r.URL.Path, "/sandbox/"):
		return true
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return false
	}
	return r.URL.Path == "/" || r.URL.Path == "/favicon.ico"
}

// maxSandboxBody is ample for faults, which a person writes.
const maxSandboxBody = 1 << 20

// serveSecondDoor answers only this machine's own pages and programs: a page somewhere
// on the web must neither read nor reset a sandbox. Where other machines reach it, they
// may read it by any name.
func (e *Emulator) serveSecondDoor(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	may := e.mayWrite
	if read {
		may = e.mayRead
	}
	if err := may(r); err != nil {
		sandboxError(w, http.StatusForbidden, err)
		return
	}
	switch route := r.URL.Path; {
	case route == "/" && read:
		e.servePage(w, r)
	case route == "/sandbox/incidents" && read:
		e.show(w, e.Incidents())
	case route == "/sandbox/changes" && read:
		e.show(w, append([]Change{}, e.Changes()...))
	case route == "/sandbox/journal" && read:
		e.show(w, e.journalView())
	case route == "/sandbox/faults" && read:
		e.show(w, append([]Fault{}, e.Faults()...))
	case route == "/sandbox/faults" && r.Method == http.MethodPost:
		e.takeFaults(w, r)
	case route == "/sandbox/reset" && r.Method == http.MethodPost:
		e.Reset()
		w.WriteHeader(http.StatusNoContent)
	case slices.Contains([]string{"/sandbox/incidents", "/sandbox/changes", "/sandbox/journal", "/sandbox/faults", "/sandbox/reset"}, route):
		sandboxError(w, http.StatusMethodNotAllowed, errors.New(r.Method+" is not for "+route))
	default:
		sandboxError(w, http.StatusNotFound, errors.New("no such page: there are /, /sandbox/incidents, /sandbox/changes, /sandbox/journal, /sandbox/faults and /sandbox/reset"))
	}
}

// mayWrite refuses other sites' pages, by their Origin and, because a name of
// theirs can be made to point here, by the Host.
func (e *Emulator) mayWrite(r *http.Request) error {
	if err := new(http.CrossOriginProtection).Check(r); err != nil {
		return err
	}
	return e.isCalledRight(r)
}

// mayRead refuses a page whose name was made to point to the loopback.
func (e *Emulator) mayRead(r *http.Request) error {
	if address := localAddress(r); address.IsValid() && !address.IsLoopback() {
		return nil
	}
	return e.isCalledRight(r)
}

// isCalledRight refuses a Host that is neither this machine's nor one of the options.
func (e *Emulator) isCalledRight(r *http.Request) error {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = canonical(host)
	if host == "localhost" || slices.ContainsFunc(e.options.Hosts, func(h string) bool { return canonical(h) == host }) {
		return nil
	}
	if ip, err := netip.ParseAddr(host); err == nil && (ip.IsLoopback() || ip.Unmap() == localAddress(r)) {
		return nil
	}
	return errors.New("the sandbox answers for localhost and its own address only, not for host " + shorten(host, 100))
}

// localAddress is the address on which the request arrived.
func localAddress(r *http.Request) netip.Addr {
	address, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if address == nil {
		return netip.Addr{}
	}
	at, err := netip.ParseAddrPort(address.String())
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap()
}

// takeFaults injects what is posted and shows what waits now.
func (e *Emulator) takeFaults(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSandboxBody))
	if err != nil {
		sandboxError(w, http.StatusBadRequest, err)
		return
	}
	faults, err := readFaults(body)
	if err != nil {
		sandboxError(w, http.StatusBadRequest, err)
		return
	}
	e.Inject(faults...)
	e.show(w, append([]Fault{}, e.Faults()...))
}

// show writes JSON for scripts and for people who use curl, without any key.
func (e *Emulator) show(w http.ResponseWriter, content any) {
	b, err := json.MarshalIndent(content, "", "  ")
	if err != nil {
		sandboxError(w, http.StatusInternalServerError, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, e.redact(string(b))+"\n") // the reader may be gone
}

func sandboxError(w http.ResponseWriter, status int, err error) {
	b, _ := json.Marshal(map[string]string{"error": err.Error()}) // a map of text cannot fail
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}

// entryView is the JSON form of a journal entry. Its field names are stable.
type entryView struct {
	Number   int         `json:"number"`
	Time     time.Time   `json:"at"`
	Method   string      `json:"method"`
	Path     string      `json:"path"`
	Target   string      `json:"target"`
	Proto    string      `json:"proto"`
	Remote   string      `json:"remote"`
	Conn     int         `json:"connection"`
	Header   http.Header `json:"header"`
	Body     string      `json:"body"`
	Key      string      `json:"routing_key"`
	Action   string      `json:"event_action"`
	DedupKey string      `json:"dedup_key"`
	Fault    string      `json:"fault"`
	Outcome  string      `json:"outcome"`
	Status   int         `json:"status"`
	Answer   string      `json:"answer"`
}

// secretHeaders are not shown at all.
var secretHeaders = []string{"Authorization", "Proxy-Authorization", "Cookie", "X-Routing-Key"}

// journalView is the journal without keys.
func (e *Emulator) journalView() []entryView {
	entries := e.Journal()
	list := make([]entryView, len(entries))
	for i, x := range entries {
		list[i] = entryView{
			Number: x.Number, Time: x.Time, Method: x.Method, Path: x.redact(x.Path), Target: x.redact(x.Target), Proto: x.Proto,
			Remote: x.Remote, Conn: x.Conn, Header: x.shownHeader(), Body: x.redact(string(x.Body)), Key: x.Key, Action: x.redact(x.Action),
			DedupKey: x.redact(x.DedupKey), Fault: x.Fault, Outcome: x.Outcome, Status: x.Status, Answer: x.redact(string(x.Answer)),
		}
	}
	return list
}

func (x Entry) shownHeader() http.Header {
	shown := make(http.Header, len(x.Header))
	for name, values := range x.Header {
		for _, v := range values {
			if slices.Contains(secretHeaders, name) {
				v = "redacted"
			}
			shown.Add(x.redact(name), x.redact(v))
		}
	}
	return shown
}

// hashSource is how a Content-Security-Policy names an inline style.
func hashSource(content string) string {
	sum := sha256.Sum256([]byte(content))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
