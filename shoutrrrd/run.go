package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/admin"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/console"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/door"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/insight"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/intake"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/sqlite"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/relay"
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

// program is the running relay: its parts and what holds them together.
type program struct {
	sys      *system
	from     *sources
	log      *slog.Logger
	level    *slog.LevelVar
	clock    *clock
	settings atomic.Pointer[settings.Settings]
	clients  clients
	store    *sqlite.Store
	relay    *relay.Relay
	intake   *intake.Door
	front    *door.Server
	admin    *door.Server
	auth     *door.Authenticator
	meter    *admin.Meter
	trend    *trend.Trend
	console  *console.Console
	loaded   atomic.Pointer[insight.Loaded]
	stopping atomic.Bool
	started  func(d *program) // for those who start a relay within their own process
}

func newProgram(sys *system, from *sources, s *settings.Settings) *program {
	level := &slog.LevelVar{}
	d := &program{
		sys: sys, from: from, log: newLogger(sys, s, level), level: level, clock: newClock(),
		auth: door.NewAuthenticator(), meter: admin.NewMeter(version()), trend: trend.New(),
	}
	warn(d.log, s)
	d.settings.Store(s)
	d.loaded.Store(&insight.Loaded{At: d.clock.wall})
	d.meter.Reloaded(d.clock.wall, nil)
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
	if err := d.open(ctx); err != nil {
		return err
	}
	defer func() {
		if err := d.store.Close(); err != nil {
			d.log.Error("cannot close the queue", "error", err)
		}
	}()
	if err := d.serve(listeners); err != nil {
		return failed(exitInternal, err)
	}

	working, stop := context.WithCancel(ctx)
	defer stop()
	var parts sync.WaitGroup
	failures := make(chan error, 3)
	parts.Go(func() { failures <- d.front.Serve() })
	parts.Go(func() { failures <- d.admin.Serve() })
	parts.Go(func() { d.watchLimits(working) })
	relayed := make(chan error, 1)
	go func() { relayed <- d.relay.Run(working, stopWithin*3/4) }()
	go supervisor{}.watch(working, func() bool { return d.relay.Alive() })
	supervisor{}.ready("accepting events at " + d.front.Addr().String())
	d.log.Info("accepting events", "admin", "http://"+d.admin.Addr().String(), "at", "http://"+d.front.Addr().String()+"/v2/enqueue", "queue", d.settings.Load().Queue, "version", version())
	if d.started != nil {
		d.started(d)
	}
	err = d.wait(ctx, failures)
	d.stop(stop, relayed)
	parts.Wait()
	return err
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
			return failed(exitMachine, fmt.Errorf("a door has failed: %w", err))
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

// open opens the queue and what works on it.
func (d *program) open(ctx context.Context) error {
	s := d.settings.Load()
	var err error
	d.store, err = sqlite.Open(ctx, sqlite.Options{
		Path: s.Queue, MaxQueued: s.MaxQueued, Now: d.clock.Now,
		OnReady: func(lane int64, rank queue.Rank) { d.relay.Ready(lane, rank) },
	})
	switch {
	case errors.Is(err, queue.ErrLocked):
		return failed(exitTaken, err)
	case err != nil:
		return failed(exitMachine, err)
	}
	for _, file := range d.store.Quarantined() {
		d.log.Error("a damaged queue was set aside; what could be read of it was taken over", "file", file)
	}
	d.relay = relay.New(relay.Options{
		Store: d.store, Now: d.clock.Now, Route: d.route, Other: d.other, Log: d.log,
		MaxAge:    func() time.Duration { return d.settings.Load().MaxAge },
		Retention: func() time.Duration { return d.settings.Load().Retention },
		Seed:      uint64(time.Now().UnixNano()),
		Done:      d.settled,
	})
	return nil
}

// serve makes the doors.
func (d *program) serve(on *listening) error {
	s := d.settings.Load()
	d.intake = intake.New(intake.Options{
		Store: d.store, Route: d.lookup, Log: d.log, Now: d.clock.Now,
		OnlyListed: func() bool { return d.settings.Load().OnlyListed },
		Done:       d.atTheDoor,
	})
	d.front = door.New(on.front, door.Options{Handler: d.intake, MaxConnections: s.MaxConnections, WebConfig: s.WebConfig, Log: d.log})
	d.auth.Replace(credentials(s))
	told, sessions := d.insight(), door.NewSessions(d.auth, d.clock.Now)
	d.console = console.New(console.Options{
		Insight: told, Trend: d.trend, Store: d.store, Holder: d.relay, Sessions: sessions,
		Front: on.front.Addr(), FrontTLS: s.WebConfig != "", Log: d.log, Now: d.clock.Now,
	})
	second, err := admin.New(admin.Options{
		Insight: told, Store: d.store, Holder: d.relay, Auth: d.auth, Sessions: sessions, Meter: d.meter, Log: d.log,
		Pages: d.console, OpenPages: d.console.Open(),
		Hosts: d.hosts, Accepting: d.accepting, Now: d.clock.Now, Version: version(),
	})
	if err != nil {
		return err
	}
	if err := d.meter.Connections("front", d.front.Connections); err != nil {
		return err
	}
	d.admin = door.New(on.admin, door.Options{Handler: second, MaxConnections: adminConnections, WebConfig: s.AdminWebConfig, Log: d.log})
	return d.meter.Connections("admin", d.admin.Connections)
}

// accepting returns why no event is accepted now, nil if all is well.
func (d *program) accepting() error {
	if d.stopping.Load() {
		return errors.New("the relay is stopping")
	}
	return d.store.Healthy()
}

// hosts are the names by which the second door may be called, beside those of the
// loopback.
func (d *program) hosts() []string {
	s := d.settings.Load()
	host, _, err := net.SplitHostPort(s.Admin)
	if err != nil || host == "" {
		return s.AdminHosts
	}
	return append([]string{host}, s.AdminHosts...)
}

// adminConnections is plenty for people and their monitoring.
const adminConnections = 256

func credentials(s *settings.Settings) []door.Credential {
	list := make([]door.Credential, len(s.Tokens))
	for i, t := range s.Tokens {
		list[i] = door.NewCredential(t.Name, t.Operator, t.Secret.Reveal())
	}
	return list
}

// reload reads the settings anew and keeps the old ones if they are wrong.
func (d *program) reload() {
	supervisor{}.reloading()
	defer supervisor{}.ready("accepting events at " + d.front.Addr().String())
	before := d.settings.Load()
	after, err := d.from.load()
	d.meter.Reloaded(time.Now(), err)
	if err != nil {
		d.loaded.Store(&insight.Loaded{At: d.loaded.Load().At, Err: err})
		d.log.Error("the configuration is wrong, the old one stays", "error", err)
		return
	}
	d.loaded.Store(&insight.Loaded{At: time.Now()})
	warn(d.log, after)
	d.auth.Replace(credentials(after))
	changes, needStart := settings.Diff(before, after)
	d.settings.Store(after)
	setLevel(d.level, after)
	d.relay.Reconfigure()
	d.log.Info("configuration read", "changes", changes)
	if len(needStart) > 0 {
		d.log.Warn("some changes need a new start", "changes", needStart)
	}
}

// clock gives a time that is the wall clock's at the start and then goes by the
// monotonic clock: a wall clock that is set back does not move it.
type clock struct{ wall, start time.Time }

func newClock() *clock {
	now := time.Now()
	return &clock{wall: now.Round(0), start: now}
}

func (c *clock) Now() time.Time { return c.wall.Add(time.Since(c.start)) }

// listening are the sockets of the doors.
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
	s := d.settings.Load()
	l := &listening{front: given["front"], admin: given["admin"]}
	for _, one := range []struct {
		name, address string
		into          *net.Listener
	}{{"listen", s.Listen, &l.front}, {"admin", s.Admin, &l.admin}} {
		if *one.into != nil {
			continue
		}
		if *one.into, err = net.Listen("tcp", one.address); err != nil {
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
