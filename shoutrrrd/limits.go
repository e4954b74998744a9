package main

import (
	"errors"
	"log/slog"
	"math"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/intake"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/settings"
)

// limits are what this machine lets the relay have, where that is less than the
// settings say.
type limits struct {
	connections int   // to the events listener
	admin       int   // connections to the admin listener
	bodies      int64 // bytes of requests that are being received
}

const (
	// ownFiles are open beside connections: the queue with its WAL, index and lock, in
	// several connections to SQLite, the listeners, the standard streams, and what is
	// read at a reload. At rest there are 17.
	ownFiles = 28

	// unlimitedFiles is more than any kernel opens.
	unlimitedFiles = 1 << 40

	// adminConnections is plenty for people and their monitoring.
	adminConnections = 1024

	// upstreamConnections is what attempts may need at once.
	upstreamConnections = 1024

	// The Go heap may have nine tenths of a memory limit. SQLite's pages, stacks and
	// the program itself need the rest.
	heapTenths = 9

	// Requests that are being received may have a quarter of a memory limit.
	bodiesShare = 4
)

// measureLimits asks the system and logs what it lowers.
func measureLimits(log *slog.Logger, getenv func(string) string, s *settings.Settings) limits {
	files, err := openFiles()
	if err != nil {
		log.Warn("cannot read the limit of open files", "error", err)
	}
	l := divideFiles(files, s.MaxConnections)
	if l.connections < s.MaxConnections {
		log.Warn("max_connections is lowered to what the limit of open files leaves (LimitNOFILE=, ulimit -n)",
			"max_connections", s.MaxConnections, "lowered_to", l.connections, "open_files", files)
	}
	l.bodies = s.MaxBodyMemory
	memory := limitMemory(log, getenv)
	if most := max(intake.MinBudget, memory/bodiesShare); l.bodies > most {
		log.Warn("max_body_memory is lowered to a quarter of the memory limit, or to 16 MiB", "max_body_memory", l.bodies, "lowered_to", most, "memory_limit", memory)
		l.bodies = most
	}
	return l
}

// divideFiles divides the files that may be open among the listeners, what goes
// upstream and the relay's own. Events that were accepted have to leave too.
func divideFiles(files int64, connections int) limits {
	free := max(0, files-ownFiles)
	admin := max(2, min(adminConnections, free/10))
	events := free - min(upstreamConnections, free/4) - withClosing(admin)
	return limits{connections: int(max(2, min(int64(connections), (events-1)*4/5))), admin: int(admin)}
}

// withClosing is how many files a bound on connections takes: a listener closes up to a
// quarter of them while it accepts others, and holds one that waits.
func withClosing(connections int64) int64 { return connections + connections/4 + 1 }

// limitMemory lets the garbage collector know the memory limit of the control group,
// as GOMEMLIMIT does, and returns it. GOMEMLIMIT goes before it.
func limitMemory(log *slog.Logger, getenv func(string) string) int64 {
	if getenv("GOMEMLIMIT") != "" {
		return debug.SetMemoryLimit(-1) // the runtime has read it
	}
	limit, err := memlimit.FromCgroup()
	switch {
	case errors.Is(err, memlimit.ErrNoLimit), errors.Is(err, memlimit.ErrNoCgroup), errors.Is(err, memlimit.ErrCgroupsNotSupported):
		return math.MaxInt64
	case err != nil:
		log.Warn("cannot read the memory limit of the control group; GOMEMLIMIT sets one", "error", err)
		return math.MaxInt64
	case limit > math.MaxInt64:
		return math.MaxInt64
	}
	heap := int64(limit) / 10 * heapTenths
	debug.SetMemoryLimit(heap)
	log.Info("the garbage collector keeps to the memory limit of the control group", "limit_bytes", limit, "heap_bytes", heap)
	return int64(limit)
}
