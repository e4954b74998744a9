package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containrrr/shoutrrr/internal/redact"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/access"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/admin"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/clock"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/console"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/door"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/insight"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/intake"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/notify"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/ops"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/sqlite"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/relay"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/routes"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/settings"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/trend"
	"github.com/spf13/cobra"
)

const runExamples = `  shoutrrrd run
  shoutrrrd run --upstream http://127.0.0.1:9480 --rate 120
  SHOUTRRRD_QUEUE=/var/lib/shoutrrr/queue.db shoutrrrd run --config /etc/shoutrrr/shoutrrrd.yaml`

func newRun(sys *system) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "run",
		Short:   "Run the relay",
		Long:    "Run the relay until SIGTERM or Ctrl-C. SIGHUP reads the configuration anew.",
		Example: runExamples,
		Args:    noArgs,
	}
	from := addSettings(cmd, sys)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := from.load()
		if err != nil {
			return err
		}
		return newProgram(sys, from, s).run(cmd.Context())
	}
	return cmd
}

// stopWithin is how long the end may take: systemd waits for 90 s, an impatient
// person for less.
const stopWithin = 8 * time.Second

// stopAtLast is when the process ends whatever still waits for the disk. One that has
// been waited for until endAfter gets a second more: nothing can be recorded on it.
func stopAtLast(disk time.Duration) time.Duration {
	if disk >= endAfter {
		return time.Second
	}
	return stopWithin + time.Second
}

// program is the running relay: its parts and what holds them together.
type program struct {
	sys   *system
	from  *sources
	log   *slog.Logger
	level *slog.LevelVar
	// secrets are the integration keys that the relay knows: those of the settings and those of its lanes. Logs, pages
	// and answers hide them.
	secrets  *redact.Set
	clock    *clock.Line // all times of the relay but those that people see
	settings atomic.Pointer[settings.Settings]
	clients  clients
	routes   routes.Routes // where events go, by the present settings
	store    *sqlite.Store
	relay    *relay.Relay
	hears    atomic.Pointer[relay.Relay] // the relay, once it can hear what became ready: the store reports from the moment it is open
	intake   *intake.Door
	budget   *intake.Budget
	limits   limits
	front    *door.Server
	admin    *door.Server
	auth     *door.Authenticator
	meter    *admin.Meter
	trend    *trend.Trend
	console  *console.Console
	told     *insight.Insight // what people and monitoring see
	outages  *outages         // what the notifier asks
	notifier *notify.Notifier // calls for help
	loaded   atomic.Pointer[insight.Loaded]
	stopping atomic.Bool
	started  func(d *program) // for those who start a relay within their own process
}

func newProgram(sys *system, from *sources, s *settings.Settings) *program {
	level, secrets, read := &slog.LevelVar{}, &redact.Set{}, sys.clock
	if read == nil {
		read = clock.System
	}
	remember(secrets, s)
	d := &program{
		sys: sys, from: from, log: newLogger(sys, s, level, secrets), level: level, secrets: secrets, clock: clock.NewLine(read),
		auth: door.NewAuthenticator(), meter: admin.NewMeter(version()), trend: trend.New(),
	}
	warn(d.log, s)
	d.settings.Store(s)
	d.loaded.Store(&insight.Loaded{At: time.Now()})
	d.meter.Reloaded(time.Now(), nil)
	return d
}

// run starts the parts in the order in which they need each other, and ends them
// in the opposite one.
func (d *program) run(ctx context.Context) error {
	listeners, err := d.listen()
	if err != nil {
		return err
	}
	defer listeners.close()
	if err := d.settings.Load().Guard(listeners.front.Addr(), listeners.admin.Addr()); err != nil {
		return failed(exitConfig, err)
	}
	d.limits = measureLimits(d.log, d.sys.getenv, d.settings.Load())
	switch err := d.open(ctx); {
	case errors.Is(err, errEnded):
		d.log.Info(err.Error())
		return nil
	case err != nil:
		return err
	}
	if err := d.serve(listeners); err != nil {
		d.closeStore()
		return failed(exitInternal, err)
	}

	working, stop := context.WithCancel(ctx)
	defer stop()
	var parts sync.WaitGroup
	failures := make(chan error, 4)
	parts.Go(func() { failures <- listenerFailed("events", d.front.Serve()) })
	parts.Go(func() { failures <- listenerFailed("admin", d.admin.Serve()) })
	parts.Go(func() { d.watchLimits(working) })
	parts.Go(func() { d.watchPages(working) })
	parts.Go(func() { d.watchDisk(working, failures) })
	parts.Go(func() { d.notifier.Run(working) })
	relayed := make(chan error, 1)
	go func() { relayed <- d.relay.Run(working, stopWithin*3/4) }()
	go supervisor{}.watch(working, func() bool { return d.relay.Alive() })
	supervisor{}.ready("accepting events at " + d.eventsURL())
	d.log.Info("accepting events", "admin", listenerURL(d.admin.Addr(), d.settings.Load().AdminWebConfig), "at", d.eventsURL()+"/v2/enqueue", "queue", d.settings.Load().Queue, "version", version())
	if d.started != nil {
		d.started(d)
	}
	err = d.wait(ctx, failures)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.stop(stop, relayed)
		parts.Wait()
		d.told.Stop() // nothing reads the queue any more when it is closed
		d.closeStore()
	}()
	select {
	case <-ended:
		return err
	case <-time.After(stopAtLast(d.store.Hanging())):
		return errors.Join(err, failed(exitMachine, fmt.Errorf("the disk of the queue has not answered for %s; what was in hand is sent again after the next start", d.store.Hanging().Round(time.Second))))
	}
}

// wait returns when the relay is to end: nil if somebody asked for it.
func (d *program) wait(ctx context.Context, failures <-chan error) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.sys.hangups:
			d.reload()
		case err := <-failures:
			return failed(exitMachine, err)
		case <-d.store.Broken():
			return failed(exitMachine, fmt.Errorf("%w; the relay ends, for its supervisor to start it anew", d.store.Healthy()))
		}
	}
}

// stop accepts nothing more, lets what is in hand end, and settles it.
func (d *program) stop(stop context.CancelFunc, relayed <-chan error) {
	supervisor{}.stopping()
	d.log.Info("stopping")
	d.stopping.Store(true)
	d.intake.Stop()
	bounded, cancel := context.WithTimeout(context.Background(), stopWithin/4)
	defer cancel()
	if err := d.front.Shutdown(bounded); err != nil {
		d.log.Warn("cannot end all requests", "error", err)
	}
	stop()
	if err := <-relayed; err != nil {
		d.log.Error("the relay has failed", "error", err)
	}
	d.console.Stop()
	if err := d.admin.Shutdown(bounded); err != nil { // last, so that the end can be watched
		d.log.Warn("cannot end all requests", "error", err)
	}
}

// errEnded says that somebody has ended the relay while it opened its queue, which takes
// minutes for a large one that is damaged or of an older version. The next start goes on.
var errEnded = errors.New("ended while it starts")

// open opens the queue and what works on it.
func (d *program) open(ctx context.Context) error {
	private, err := access.MakePrivate(d.settings.Load().Queue)
	for _, file := range private {
		d.log.Warn("every user of this machine could read a file of the queue, which holds integration keys; its mode is 0600 now", "file", file)
	}
	if err != nil {
		return failed(exitMachine, err)
	}
	d.routes = routes.Routes{Settings: d.settings.Load, Lane: d.laneOf, Client: d.clients.of}
	d.store, err = sqlite.Open(ctx, d.storeOptions())
	switch {
	case errors.Is(err, queue.ErrLocked):
		return failed(exitTaken, err)
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("%w: %w", errEnded, err)
	case errors.Is(err, queue.ErrRefusedFile):
		return failed(exitConfig, err)
	case err != nil:
		return failed(exitMachine, err)
	}
	d.reportSalvage()
	d.reportDate()
	d.take(d.inheriting(d.settings.Load()))
	d.relay = relay.New(relay.Options{
		Store: d.store, Now: d.clock.Now, Gaps: d.clock.Gaps, Date: d.clock.Date, Route: d.routes.OfLane, Other: d.routes.Other, Trusted: d.trusted, Log: d.log,
		MaxAge:    func() time.Duration { return d.settings.Load().MaxAge },
		Retention: func() time.Duration { return d.settings.Load().Retention },
		Seed:      uint64(time.Now().UnixNano()),
		Done:      d.settled,
		Folded:    func(lane string, m queue.Merged) { d.meter.Folded(lane, len(m.Events)) },
	})
	d.notifier = d.newNotifier()
	d.hears.Store(d.relay)
	return nil
}

// reportDate says that the clock may be wrong. Events leave all the same; but tokens may end
// at another time than they should, and certificates count as not valid yet.
func (d *program) reportDate() {
	now := d.clock.Date(d.clock.Now())
	if latest := d.clock.Latest(); latest.Sub(now) >= time.Minute {
		d.log.Warn("the date is earlier than when the last process ended; is the clock of this machine right?", "date", now.UTC().Format(time.RFC3339), "was", latest.UTC().Format(time.RFC3339))
	}
}

// serve makes the doors.
func (d *program) serve(on *listening) error {
	s := d.settings.Load()
	d.budget = intake.NewBudget(d.limits.bodies)
	d.intake = intake.New(intake.Options{
		Store: d.store, Route: d.routes.OfKey, Log: d.log, Now: d.clock.Now,
		OnlyListed:  func() bool { return d.settings.Load().OnlyListed },
		Done:        d.atTheDoor,
		TryRejected: d.relay.TryRejectedKey,
		CanSend:     d.relay.CanSend,
		Budget:      d.budget,
	})
	d.front = door.New(on.front, door.Options{
		Handler: door.RefusePages(d.intake), MaxConnections: d.limits.connections, MaxRequestsPerClient: s.MaxRequestsPerClient, Busy: d.intake.Busy,
		WebConfig: s.WebConfig, Log: d.log,
	})
	d.auth.Replace(credentials(s))
	d.auth.GoBy(d.clock.Latest)
	d.auth.Watch(door.NewFailures(d.log, d.meter.FailedSignIn))
	d.told = d.insight()
	sessions := door.NewSessions(d.auth, d.clock.Now)
	deeds := &ops.Ops{
		Store: d.store, Holder: d.relay, Pools: d.routes.Pools, Heirs: d.routes.Heirs, Name: d.laneName, Alias: d.routes.OfAlias,
		Log: d.log, At: d.clock.At, Changed: d.told.Changed,
	}
	d.console = console.New(console.Options{
		Insight: d.told, Trend: d.trend, Store: d.store, Ops: deeds, Sessions: sessions,
		Front: on.front.Addr(), FrontTLS: s.WebConfig != "", Log: d.log, Now: d.clock.Now, Date: d.clock.Date,
	})
	second, err := admin.New(admin.Options{
		Insight: d.told, Store: d.store, Ops: deeds, Auth: d.auth, Sessions: sessions, Meter: d.meter, Log: d.log,
		Pages: d.console, OpenPages: d.console.Open(),
		Hosts: d.hosts, Accepting: d.accepting, Now: d.clock.Now, Version: version(),
	})
	if err != nil {
		return err
	}
	d.admin = door.New(on.admin, door.Options{
		Handler: second, MaxConnections: d.limits.admin, MaxRequestsPerClient: s.MaxRequestsPerClient, Reserved: []string{"/healthz", "/readyz"},
		WebConfig: s.AdminWebConfig, Log: d.log,
	})
	return errors.Join(
		d.meter.Listener("events", d.front), d.meter.Listener("admin", d.admin), d.meter.BodyMemory(d.budget.Used, d.limits.bodies),
	)
}

// eventsURL is where clients find the events listener. A change of its TLS waits for a new
// start, and so do the settings that are in force.
func (d *program) eventsURL() string { return listenerURL(d.front.Addr(), d.settings.Load().WebConfig) }

// listenerURL is an address that can be called: a listener at all addresses of this machine
// has the machine's name, as nobody can call [::].
func listenerURL(at net.Addr, webConfig string) string {
	u := url.URL{Scheme: "http", Host: at.String()}
	if webConfig != "" { // without TLS it is refused
		u.Scheme = "https"
	}
	if tcp, ok := at.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		if name, err := os.Hostname(); err == nil {
			u.Host = net.JoinHostPort(name, strconv.Itoa(tcp.Port))
		}
	}
	return u.String()
}

// accepting returns why no critical event is accepted now, nil if they are.
func (d *program) accepting() error {
	if d.stopping.Load() {
		return errors.New("the relay is stopping")
	}
	return d.store.Healthy()
}

// hosts are the names by which the admin listener may be called, beside those of the
// loopback.
func (d *program) hosts() []string {
	s := d.settings.Load()
	host, _, err := net.SplitHostPort(s.Admin)
	if err != nil || host == "" {
		return s.AdminHosts
	}
	return append([]string{host}, s.AdminHosts...)
}

func credentials(s *settings.Settings) []door.Credential {
	list := make([]door.Credential, len(s.Tokens))
	for i, t := range s.Tokens {
		list[i] = door.NewCredential(t.Name, t.Operator, t.Secret.Reveal()).Until(t.Expires)
	}
	return list
}

// reload reads the settings anew. What needs a new start stays as it is; if the rest
// does not go with that and with the open sockets, or anything is wrong, all of the old
// settings stay.
func (d *program) reload() {
	supervisor{}.reloading()
	defer supervisor{}.ready("accepting events at " + d.eventsURL())
	before := d.settings.Load()
	var after *settings.Settings
	read, err := d.from.load()
	if err == nil {
		after, err = read.Reloaded(before, d.front.Addr(), d.admin.Addr())
	}
	d.meter.Reloaded(time.Now(), err)
	if err != nil {
		d.loaded.Store(&insight.Loaded{At: d.loaded.Load().At, Err: err})
		d.log.Error("the configuration is wrong, the old one stays", "error", err)
		return
	}
	after = d.inheriting(after)
	d.loaded.Store(&insight.Loaded{At: time.Now()})
	remember(d.secrets, after)
	warn(d.log, after)
	d.auth.Replace(credentials(after))
	changes, _ := settings.Diff(before, after)
	_, needStart := settings.Diff(after, read)
	setLevel(d.level, after)
	d.take(after)
	d.relay.Reconfigure()
	d.notifyAnew(before, after)
	d.log.Info("configuration read", "changes", changes)
	if len(needStart) > 0 {
		d.log.Warn("some changes need a new start", "changes", needStart)
	}
}

// remember has the keys of the settings hidden. That has no end: a key that was
// taken out of the settings is a secret still.
func remember(secrets *redact.Set, s *settings.Settings) {
	for _, key := range s.Secrets() {
		secrets.Add(key)
	}
}

// listening are the sockets of the listeners.
type listening struct{ front, admin net.Listener }

func (l *listening) close() {
	for _, one := range []net.Listener{l.front, l.admin} {
		if one != nil {
			_ = one.Close() // its server has closed it already
		}
	}
}

// listen takes the addresses before anything else is done, so that a relay that
// cannot have them leaves everything as it was.
func (d *program) listen() (*listening, error) {
	given, err := supervisor{}.listeners()
	if err != nil {
		return nil, failed(exitMachine, err)
	}
	// The listeners' own time limits end a connection whose client is gone; TCP's
	// keep-alive would cost three system calls for each, which count in a flood.
	config := net.ListenConfig{KeepAlive: -1}
	s := d.settings.Load()
	l := &listening{front: given["front"], admin: given["admin"]}
	for _, one := range []struct {
		name, address string
		into          *net.Listener
	}{{"listen", s.Listen, &l.front}, {"admin", s.Admin, &l.admin}} {
		if *one.into != nil {
			continue
		}
		if *one.into, err = config.Listen(context.Background(), "tcp", one.address); err != nil {
			l.close()
			return nil, failed(listenStatus(err), fmt.Errorf("cannot listen at %s: %w; --%s takes another address", one.address, withoutAddress(err), one.name))
		}
	}
	return l, nil
}

// listenStatus tells what waiting mends, an address that is in use or not there yet,
// from what it does not: a port that this user may not have.
func listenStatus(err error) int {
	if errors.Is(err, fs.ErrPermission) {
		return exitConfig
	}
	return exitTaken
}

// withoutAddress is why listening failed, without where.
func withoutAddress(err error) error {
	var call *os.SyscallError
	if errors.As(err, &call) {
		return call.Err
	}
	return err
}

var _ relay.Poster = (*eventsv2.Client)(nil)
