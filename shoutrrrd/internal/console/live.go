package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	// liveEvery is how often a page is made anew while somebody looks at it. What it
	// shows is shared by all who ask within a second.
	liveEvery = time.Second
	// streamFor is how long a stream lasts: below what the admin listener gives an
	// answer. The browser asks again at once.
	streamFor = 15 * time.Second
	// beatEvery is how often a stream says that the relay is there although nothing has
	// changed. A page that hears nothing for twice as long says that the relay does not
	// answer: a process that is stopped, or a machine that is gone, closes no connection.
	beatEvery = 2 * time.Second
	// renderWithin bounds the making of one page.
	renderWithin = 5 * time.Second
	// maxLive is how many different pages beside the overview, the newest events and the
	// dead letters are live at once. Each may look into 64 MiB of bodies.
	maxLive = 16
	// restFor is how many times as long as a page takes to be made it then stands still:
	// a dear page takes a fifth of one core, not all of it.
	restFor = 4
)

// errNotLive: as many pages are live as may be.
var errNotLive = errors.New("too many different pages are live")

// hub makes each page that somebody looks at once for all who do.
type hub struct {
	mu      sync.Mutex
	topics  map[string]*topic
	queries int // topics that are not common
	stopped chan struct{}
	once    sync.Once
	running sync.WaitGroup
	// A place to make a page: one for the common pages and one for the others, so that a
	// search delays no overview.
	common, query chan struct{}
}

// topic is a page that is looked at.
type topic struct {
	common  bool
	readers map[chan []byte]struct{}
	last    []byte
	end     context.CancelFunc
}

func newHub() *hub {
	return &hub{topics: map[string]*topic{}, stopped: make(chan struct{}), common: make(chan struct{}, 1), query: make(chan struct{}, 1)}
}

// stop ends all streams. When it returns no page is being made.
func (h *hub) stop() {
	h.once.Do(func() {
		h.mu.Lock()
		close(h.stopped)
		for _, t := range h.topics {
			t.end()
		}
		h.mu.Unlock()
	})
	h.running.Wait()
}

// join begins to look at a page. What it gets is the latest state of the page; a
// slow reader misses those in between.
func (h *hub) join(key string, common bool, render func(context.Context) ([]byte, error)) (chan []byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-h.stopped:
		return nil, errNotLive
	default:
	}
	reader := make(chan []byte, 1)
	t := h.topics[key]
	if t == nil {
		if !common {
			if h.queries == maxLive {
				return nil, errNotLive
			}
			h.queries++
		}
		ctx, end := context.WithCancel(context.Background())
		t = &topic{common: common, readers: map[chan []byte]struct{}{}, end: end}
		h.topics[key] = t
		h.running.Go(func() { h.run(ctx, t, render) })
	}
	t.readers[reader] = struct{}{}
	if t.last != nil {
		reader <- t.last
	}
	return reader, nil
}

// leave stops looking. The last one ends the topic.
func (h *hub) leave(key string, reader chan []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[key]
	delete(t.readers, reader)
	if len(t.readers) == 0 {
		t.end()
		delete(h.topics, key)
		if !t.common {
			h.queries--
		}
	}
}

// run makes the page until nobody looks any more.
func (h *hub) run(ctx context.Context, t *topic, render func(context.Context) ([]byte, error)) {
	place := h.query
	if t.common {
		place = h.common
	}
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
		select {
		case place <- struct{}{}:
		case <-ctx.Done():
			return
		}
		began := time.Now()
		bounded, cancel := context.WithTimeout(ctx, renderWithin)
		page, err := render(bounded)
		cancel()
		<-place
		if err == nil {
			h.publish(t, page)
		}
		again.Reset(max(liveEvery, restFor*time.Since(began)))
	}
}

func (h *hub) publish(t *topic, page []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if bytes.Equal(page, t.last) {
		return
	}
	t.last = page
	for reader := range t.readers {
		select {
		case <-reader: // what it has not read yet is old
		default:
		}
		reader <- page
	}
}

// update is what the script puts into the page.
type update struct {
	Title string `json:"title"`
	Alarm bool   `json:"alarm"`
	Bar   string `json:"bar"`
	Live  string `json:"live"`
}

// live streams a page: its query names it.
func (c *Console) live(w http.ResponseWriter, r *http.Request) {
	made, maker, ok := c.pageOf(r)
	if !ok {
		c.problem(w, r, http.StatusNotFound, "There is no such page.")
		return
	}
	key := made.path + "?" + made.query + " " + made.host
	if made.viewer.Operator {
		key += " operator"
	}
	made.client = liveClient
	reader, err := c.hub.join(key, isCommon(made), func(ctx context.Context) ([]byte, error) { return c.update(ctx, made, maker) })
	if err != nil {
		notLive(w)
		return
	}
	defer c.hub.leave(key, reader)
	w.Header().Set("Content-Type", "text/event-stream")
	end := time.NewTimer(streamFor)
	defer end.Stop()
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	control := http.NewResponseController(w)
	if _, err := w.Write([]byte("retry: 300\n\n")); err != nil || control.Flush() != nil {
		return
	}
	for {
		select {
		case page := <-reader:
			if _, err := w.Write(page); err != nil || control.Flush() != nil {
				return
			}
		case <-beat.C:
			if _, err := w.Write([]byte("event: beat\ndata:\n\n")); err != nil || control.Flush() != nil {
				return
			}
		case <-end.C:
			return
		case <-r.Context().Done():
			return
		case <-c.hub.stopped:
			return
		}
	}
}

// liveClient has a share of the searches of its own: that of all live pages together.
const liveClient = "live pages"

// isCommon reports whether a page is one that everybody looks at.
func isCommon(r request) bool {
	return r.query == "" && (r.path == "/" || r.path == "/events" || r.path == "/dead")
}

// notLive has the script say that the page stands still, and ask again in a while.
func notLive(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, "retry: 15000\nevent: still\ndata: \"too many different pages are live\"\n\n") // nobody to tell if the client has left
}

// update is a page as an event of the stream.
func (c *Console) update(ctx context.Context, r request, maker func(context.Context, request, *view) error) ([]byte, error) {
	v, err := c.page(ctx, r, maker)
	if err != nil {
		return nil, err
	}
	u := update{Title: v.FullTitle(), Alarm: v.Alarm}
	if u.Bar, err = c.block(ctx, "bar", v); err != nil {
		return nil, err
	}
	if u.Live, err = c.block(ctx, "live", v); err != nil {
		return nil, err
	}
	data, err := json.Marshal(u)
	return append(append([]byte("data: "), data...), "\n\n"...), err
}

// pageOf reads which page is looked at.
func (c *Console) pageOf(r *http.Request) (request, func(context.Context, request, *view) error, bool) {
	u, err := url.Parse(r.URL.Query().Get("page"))
	if err != nil || u.Host != "" || u.Scheme != "" {
		return request{}, nil, false
	}
	made := request{path: u.EscapedPath(), query: u.RawQuery, host: r.Host, viewer: viewerOf(r), values: map[string]string{}}
	switch id, isEvent := strings.CutPrefix(u.Path, "/events/"); {
	case u.Path == "/":
		return made, c.overview, true
	case u.Path == "/events":
		return made, c.events, true
	case u.Path == "/dead":
		return made, c.dead, true
	case u.Path == "/lanes":
		return made, c.lanes, true
	case isEvent:
		made.values["id"] = id
		return made, c.event, true
	}
	if name, ok := strings.CutPrefix(u.Path, "/lanes/"); ok {
		made.values["lane"] = name
		return made, c.lane, true
	}
	return made, nil, false
}
