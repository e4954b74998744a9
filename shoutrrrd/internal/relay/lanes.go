package relay

import (
	"context"
	"log/slog"
	"time"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/lane"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
)

// openLanes tells the core of all lanes that the store knows.
func (r *Relay) openLanes(ctx context.Context) error {
	known, err := r.o.Store.Lanes(ctx)
	if err != nil {
		return err
	}
	for _, l := range known {
		in := r.openLane(ctx, l)
		in.Unclean = in.Unclean || !r.o.Store.Clean() // a lane that is made later has nothing from before the crash
		r.step(ctx, in)
	}
	return nil
}

func (r *Relay) knows(id int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.lanes[id]
	return ok
}

// open opens a lane that was made after the start.
func (r *Relay) open(ctx context.Context, id int64) lane.Input {
	known, _ := r.o.Store.Lanes(ctx) // answered from memory
	for _, l := range known {
		if l.ID == id {
			return r.openLane(ctx, l)
		}
	}
	return lane.Tick{}
}

func (r *Relay) openLane(ctx context.Context, l queue.Lane) lane.Opened {
	route := r.o.Route(l)
	r.mu.Lock()
	r.lanes[l.ID] = opened{l, route}
	r.mu.Unlock()
	recent, err := r.o.Store.Recent(ctx, l.ID, r.o.Now().Add(-time.Minute))
	if err != nil {
		r.o.Log.Warn("cannot read what was delivered in the last minute", "lane", route.Name, "error", err)
	}
	return lane.Opened{Lane: l, Host: route.Host, Limit: route.Limit, Recent: recent, Unclean: err != nil}
}

// Reconfigure asks for the route of every lane anew, and for the age that an event
// may have.
func (r *Relay) Reconfigure() {
	r.mu.Lock()
	changed := []lane.Input{lane.Aged{MaxAge: r.o.MaxAge()}}
	for id, l := range r.lanes {
		route := r.o.Route(l.lane)
		r.lanes[id] = opened{l.lane, route}
		changed = append(changed, lane.Configured{Lane: id, Host: route.Host, Limit: route.Limit})
	}
	r.mu.Unlock()
	for _, in := range changed {
		r.inputs.put(in)
	}
}

// Hold pauses a lane in an operator's name: what is in flight ends, nothing more
// is sent.
func (r *Relay) Hold(ctx context.Context, id int64, by queue.By) error {
	if err := r.o.Store.Hold(ctx, id, by); err != nil {
		return err
	}
	r.held(id, true, by)
	return nil
}

// Unhold ends a hold.
func (r *Relay) Unhold(ctx context.Context, id int64, by queue.By) error {
	if err := r.o.Store.Unhold(ctx, id, by); err != nil {
		return err
	}
	r.held(id, false, by)
	return nil
}

func (r *Relay) held(id int64, held bool, by queue.By) {
	r.o.Log.Info("lane "+map[bool]string{true: "paused", false: "resumed"}[held], "lane", r.name(id), "by", by.Who, "why", by.Why)
	r.inputs.put(lane.Hold{Lane: id, Held: held, By: by})
}

// Statuses tells how the lanes stand.
func (r *Relay) Statuses() []lane.Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.core.Statuses(r.o.Now())
}

func (r *Relay) name(id int64) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lanes[id].route.Name
}

// tell logs what the core thinks people should know.
func (r *Relay) tell(t lane.Tell) {
	attrs := []any{}
	if t.Lane != 0 {
		attrs = append(attrs, "lane", r.name(t.Lane))
	}
	if t.Host != "" {
		attrs = append(attrs, "upstream", t.Host)
	}
	if t.Why != "" {
		attrs = append(attrs, "why", t.Why)
	}
	if !t.Till.IsZero() {
		attrs = append(attrs, "until", t.Till.UTC().Format(time.RFC3339))
	}
	level := slog.LevelWarn
	switch t.What {
	case lane.KeyIsRefused:
		level = slog.LevelError
	case lane.HostUp, lane.KeyIsTaken:
		level = slog.LevelInfo
	}
	r.o.Log.Log(context.Background(), level, string(t.What), attrs...)
}
