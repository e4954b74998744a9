package console

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	// liveEvery is how often a page is made anew while somebody looks at it: a change
	// shows within a second.
	liveEvery = 500 * time.Millisecond
	// streamFor is how long a stream lasts: below what the door gives an answer. The
	// browser asks again at once.
	streamFor = 15 * time.Second
)

// hub makes each page that somebody looks at once for all who do.
type hub struct {
	c       *Console
	mu      sync.Mutex
	topics  map[string]*topic
	stopped chan struct{}
	once    sync.Once
}

// topic is a page that is looked at.
type topic struct {
	readers map[chan []byte]struct{}
	last    []byte
	end     context.CancelFunc
}

func newHub(c *Console) *hub {
	return &hub{c: c, topics: map[string]*topic{}, stopped: make(chan struct{})}
}

func (h *hub) stop() { h.once.Do(func() { close(h.stopped) }) }

// join begins to look at a page. What it gets is the latest state of the page; a
// slow reader misses those in between.
func (h *hub) join(key string, render func(context.Context) ([]byte, error)) chan []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	reader := make(chan []byte, 1)
	t := h.topics[key]
	if t == nil {
		ctx, end := context.WithCancel(context.Background())
		t = &topic{readers: map[chan []byte]struct{}{}, end: end}
		h.topics[key] = t
		go h.run(ctx, t, render)
	}
	t.readers[reader] = struct{}{}
	if t.last != nil {
		reader <- t.last
	}
	return reader
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
	}
}

// run makes the page until nobody looks any more.
func (h *hub) run(ctx context.Context, t *topic, render func(context.Context) ([]byte, error)) {
	again := time.NewTicker(liveEvery)
	defer again.Stop()
	for {
		if page, err := render(ctx); err == nil {
			h.publish(t, page)
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		case <-h.stopped:
			return
		}
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
	reader := c.hub.join(key, func(ctx context.Context) ([]byte, error) { return c.update(ctx, made, maker) })
	defer c.hub.leave(key, reader)
	w.Header().Set("Content-Type", "text/event-stream")
	end := time.NewTimer(streamFor)
	defer end.Stop()
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
		case <-end.C:
			return
		case <-r.Context().Done():
			return
		case <-c.hub.stopped:
			return
		}
	}
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
