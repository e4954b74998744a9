// Package console is the relay in a browser, for the person on call: pages that are
// read without JavaScript and live with it. Everything that they load comes from
// this binary.
package console

import (
	"bytes"
	"context"
	"embed"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/containrrr/shoutrrr/internal/look"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/door"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/insight"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/ops"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/outlook"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/trend"
)

// Store says which events make up a group.
type Store interface {
	Members(ctx context.Context, g queue.Group, n int) ([]int64, error)
}

// Options says what the console shows and does. All of it is required.
type Options struct {
	Insight  *insight.Insight
	Trend    *trend.Trend
	Store    Store
	Ops      *ops.Ops
	Sessions *door.Sessions
	// Front is the address of the events listener, and whether it has TLS: for the page
	// that shows how to send an event there.
	Front    net.Addr
	FrontTLS bool
	Log      *slog.Logger
	// Now gives the relay's time, and Date makes a date of it, which is what people see.
	Now  func() time.Time
	Date func(time.Time) time.Time
}

// Console is the pages. It is an http.Handler behind the admin listener's guards,
// which say who is asking (door.IdentityOf).
type Console struct {
	o     Options
	pages map[string]*template.Template
	mux   *http.ServeMux
	hub   *hub
}

var _ http.Handler = (*Console)(nil)

//go:embed pages/*.html
var pageFiles embed.FS

//go:embed static
var staticFiles embed.FS

// New returns the console.
func New(o Options) *Console {
	c := &Console{o: o, pages: map[string]*template.Template{}, mux: http.NewServeMux()}
	for _, name := range []string{"overview", "lanes", "events", "event", "dead", "lane", "signin", "problem"} {
		c.pages[name] = template.Must(template.New("").Funcs(c.functions()).ParseFS(pageFiles, "pages/layout.html", "pages/parts.html", "pages/"+name+".html"))
	}
	c.hub = newHub()
	c.mux.HandleFunc("GET /{$}", c.serve(c.overview))
	c.mux.HandleFunc("GET /events", c.serve(c.events))
	c.mux.HandleFunc("GET /events/{id}", c.serve(c.event))
	c.mux.HandleFunc("POST /events/{id}/{what}", c.actOnEvent)
	c.mux.HandleFunc("GET /dead", c.serve(c.dead))
	c.mux.HandleFunc("POST /dead/{group}/{what}", c.actOnGroup)
	c.mux.HandleFunc("GET /lanes", c.serve(c.lanes))
	c.mux.HandleFunc("GET /lanes/{lane}", c.serve(c.lane))
	c.mux.HandleFunc("POST /lanes/{lane}/{what}", c.actOnLane)
	c.mux.HandleFunc("GET /live", c.live)
	c.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		c.problem(w, r, http.StatusNotFound, "There is no such page.")
	})
	return c
}

// ServeHTTP answers a request.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	policy(w)
	c.mux.ServeHTTP(w, r)
}

// Stop ends all live streams, so that the door can be shut.
func (c *Console) Stop() { c.hub.stop() }

// policy lets a page run and load what is of this origin, and nothing else.
func policy(w http.ResponseWriter) {
	w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
}

// Open serves what a browser needs before anybody has signed in: the style sheet,
// the script, the icons, and the page to sign in.
func (c *Console) Open() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /static/family.css", func(w http.ResponseWriter, _ *http.Request) {
		static(w, "text/css; charset=utf-8", []byte(look.Style))
	})
	for name, kind := range map[string]string{
		"console.css": "text/css; charset=utf-8", "console.js": "text/javascript; charset=utf-8",
		"icon.svg": "image/svg+xml", "icon-alarm.svg": "image/svg+xml",
	} {
		content, err := staticFiles.ReadFile("static/" + name)
		if err != nil {
			panic("console: internal error: " + err.Error()) // it is embedded
		}
		mux.HandleFunc("GET /static/"+name, func(w http.ResponseWriter, _ *http.Request) { static(w, kind, content) })
	}
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/static/icon.svg", http.StatusMovedPermanently)
	})
	mux.HandleFunc("GET /signin", c.showSignIn)
	mux.HandleFunc("POST /signin", c.signIn)
	mux.HandleFunc("POST /signout", c.signOut)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		policy(w)
		mux.ServeHTTP(w, r)
	})
}

func static(w http.ResponseWriter, kind string, content []byte) {
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(content) // nobody to tell if the client has left
}

// view is a page in the making: what its templates get.
type view struct {
	Page    string // name of its template
	Title   string
	Here    string // path and query
	Status  insight.Status
	Alarm   bool // a critical event waits for too long
	Viewer  viewer
	Command string // what does the same in a shell
	Notice  string // what was just done
	Refresh bool   // whether it is live
	Now     time.Time
	Body    any
}

// viewer is who looks.
type viewer struct {
	Name     string
	Operator bool
	SignedIn bool // and can sign out
}

// request is what a page is made for.
type request struct {
	path   string
	values map[string]string // of the path
	query  string
	host   string
	client string // whose share of the searches it uses
	viewer viewer
}

// alarmAfter is how long a critical event may wait before the icon turns red, also if it is
// known when it leaves.
const alarmAfter = 10 * time.Second

// page makes the page of a request: maker says what is on it.
func (c *Console) page(ctx context.Context, r request, maker func(context.Context, request, *view) error) (*view, error) {
	status, err := c.o.Insight.Status(ctx)
	if err != nil {
		return nil, err
	}
	v := &view{
		Here: r.path, Status: status, Viewer: r.viewer, Now: c.date(), Refresh: true,
		Alarm: status.Headline.State == outlook.NotLeaving || status.OldestCritical != nil && *status.OldestCritical > alarmAfter.Seconds(),
	}
	if r.query != "" {
		v.Here += "?" + r.query
	}
	return v, maker(ctx, r, v)
}

// block renders a part of a page, without any key: summaries and reasons are other
// people's texts.
func (c *Console) block(ctx context.Context, name string, v *view) (string, error) {
	var out bytes.Buffer
	if err := c.pages[v.Page].ExecuteTemplate(&out, name, v); err != nil {
		return "", err
	}
	return c.o.Insight.Scrub(ctx, out.String()), nil
}

func (c *Console) write(w http.ResponseWriter, r *http.Request, status int, v *view) {
	text, err := c.block(r.Context(), "page", v)
	if err != nil {
		c.o.Log.Error("cannot make a page", "page", v.Page, "error", c.o.Insight.Scrub(r.Context(), err.Error()))
		http.Error(w, "the page could not be made; the log says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // nobody to tell if the client has left
}

// requestOf reads what a page is made for.
func requestOf(r *http.Request) request {
	made := request{path: r.URL.EscapedPath(), query: r.URL.RawQuery, host: r.Host, client: clientOf(r), values: map[string]string{}, viewer: viewerOf(r)}
	for _, name := range []string{"id", "lane"} {
		made.values[name] = r.PathValue(name)
	}
	return made
}

// clientOf is whose share of the searches a request uses: a token's, or that of the
// address of who has none.
func clientOf(r *http.Request) string {
	if who, ok := door.IdentityOf(r.Context()); ok {
		return "token " + who.Name
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

func viewerOf(r *http.Request) viewer {
	who, ok := door.IdentityOf(r.Context())
	if !ok {
		return viewer{Name: "local", Operator: true}
	}
	return viewer{Name: who.Name, Operator: who.Operator, SignedIn: true}
}

func (c *Console) serve(maker func(context.Context, request, *view) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := c.page(r.Context(), requestOf(r), maker)
		if err != nil {
			c.failed(w, r, err)
			return
		}
		v.Notice = notices[r.URL.Query().Get("done")]
		c.write(w, r, http.StatusOK, v)
	}
}

// title puts what is most urgent first: a tab shows little.
func (v *view) FullTitle() string {
	parts := []string{}
	if v.Status.Version != "" {
		parts = append(parts, v.Status.Headline.Sentence)
	}
	return strings.Join(append(parts, v.Title, "shoutrrrd"), " · ")
}
