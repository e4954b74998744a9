package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"github.com/containrrr/shoutrrr/internal/redact"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/access"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/clock"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/sqlite"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/settings"
	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
)

const backupExamples = `  shoutrrrd backup queue-backup.db
  shoutrrrd backup --queue /var/lib/shoutrrr/queue.db /root/queue-backup.db`

func newBackup(sys *system) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the queue of a relay, running or not, into one file",
		Long: "Copy the queue of a relay, which may be running, as it stands at one moment into a new file.\n" +
			"The file holds all events and the integration keys; its mode is 0600. It has to be in a folder\n" +
			"of this user or of root, and must not be there yet. Nothing of the queue is changed.\n" +
			"With --as-service it is the queue of the systemd service.",
		Example: backupExamples,
		Args:    oneFile,
	}
	from := addSettings(cmd, sys)
	from.addService()
	from.queueOfOwner = true
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := from.load()
		if err != nil {
			return err
		}
		if err := access.PrivateFolder(filepath.Dir(args[0])); err != nil {
			return failed(exitConfig, fmt.Errorf("a backup holds integration keys: %w", err))
		}
		if err := sqlite.Backup(cmd.Context(), s.Queue, args[0], time.Now()); err != nil {
			return failed(fileStatus(err), fmt.Errorf("no backup was made: %w", err))
		}
		info, err := os.Stat(args[0])
		if err != nil {
			return failed(exitMachine, err)
		}
		return written(fmt.Fprintf(sys.stdout, "%s is a backup of %s, %s\n", redact.Line(args[0]), redact.Line(s.Queue), humanize.Bytes(uint64(info.Size()))))
	}
	return cmd
}

// fileStatus is the exit status for a file that cannot be used: another one helps, or time.
func fileStatus(err error) int {
	if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, queue.ErrRefusedFile) {
		return exitConfig
	}
	return exitMachine
}

func oneFile(cmd *cobra.Command, args []string) error {
	if len(args) == 1 && args[0] != "" {
		return nil
	}
	return usagef("give one file; see %s --help", cmd.CommandPath())
}

const restoreExamples = `  shoutrrrd restore --show queue-backup.db
  shoutrrrd restore queue-backup.db`

func newRestore(sys *system) *cobra.Command {
	var show, asJSON bool
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Make the queue of a stopped relay from a backup, paused",
		Long: "Make the queue of a relay that is stopped from a backup, and say what is queued in it. All its\n" +
			"lanes are paused in your name: what was delivered after the backup would be sent again, and a\n" +
			"trigger whose incident was resolved since would open it anew. Look at what waits, discard what\n" +
			"is over, and resume the lanes. A queue that is there is never overwritten.\n" +
			"With --as-service it is the queue of the systemd service.",
		Example: restoreExamples,
		Args:    oneFile,
	}
	from := addSettings(cmd, sys)
	from.addService()
	from.queueOfOwner = true
	cmd.Flags().BoolVar(&show, "show", false, "say what would be sent, and change nothing")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := from.load()
		if err != nil {
			return err
		}
		by := queue.By{Who: operator(sys.getenv), Why: "restored from the backup " + filepath.Base(args[0])}
		r, err := sqlite.Restore(cmd.Context(), args[0], sqlite.Options{Path: s.Queue, Clock: clock.NewLine(clock.System), Listed: func(key eventsv2.Key) bool { return s.Lookup(key).Listed }}, by, show)
		if err != nil {
			return failed(fileStatus(err), fmt.Errorf("nothing was restored: %w", err))
		}
		if !show {
			if err := access.GiveToOwner(s.Queue); err != nil {
				return failed(exitMachine, fmt.Errorf("the queue was restored, and belongs to the wrong user: %w", err))
			}
		}
		return printRestored(sys, s, r, show, asJSON)
	}
	return cmd
}

// operator is in whose name the lanes are paused.
func operator(getenv func(string) string) string {
	name := cmp.Or(getenv("SUDO_USER"), getenv("USER"))
	if name == "" {
		if u, err := user.Current(); err == nil {
			name = u.Username
		}
	}
	return cmp.Or(redact.Line(redact.Shapes(name)), "unknown")
}

// restoredJSON is a lane as --json prints it.
type restoredJSON struct {
	Lane     string    `json:"lane"`
	Queued   int       `json:"queued"`
	Critical int       `json:"critical"`
	Oldest   time.Time `json:"oldest_at"`
}

func printRestored(sys *system, s *settings.Settings, r sqlite.Restored, show, asJSON bool) error {
	lanes := make([]restoredJSON, len(r.Lanes))
	for i, l := range r.Lanes {
		lanes[i] = restoredJSON{s.Lookup(l.Key).Name, l.Count.Total(), l.Count.Waiting[queue.Critical], l.Oldest.UTC()}
	}
	if asJSON {
		return written(0, json.NewEncoder(sys.stdout).Encode(struct {
			MadeAt   time.Time      `json:"made_at"`
			Queue    string         `json:"queue"`
			Restored bool           `json:"restored"`
			Lanes    []restoredJSON `json:"lanes"`
		}{r.MadeAt, s.Queue, !show, lanes}))
	}
	verdict := "restored, with all lanes paused"
	if show {
		verdict = "not restored, only looked at"
	}
	if err := written(fmt.Fprintf(sys.stdout, "The backup of %s was %s: %s\n", r.MadeAt.Format(time.RFC3339), verdict, redact.Line(s.Queue))); err != nil {
		return err
	}
	for _, l := range lanes {
		if err := written(fmt.Fprintf(sys.stdout, "%s would send %s, %d of them critical, the oldest of %s\n", redact.Line(l.Lane), events(l.Queued), l.Critical, l.Oldest.Format(time.RFC3339))); err != nil {
			return err
		}
	}
	if len(lanes) == 0 {
		return written(fmt.Fprintln(sys.stdout, "Nothing is queued in it."))
	}
	return written(fmt.Fprintln(sys.stdout, "Look at them with shoutrrr queue list, discard what is over, and resume with shoutrrr queue resume LANE."))
}

func events(n int) string {
	if n == 1 {
		return "1 event"
	}
	return humanize.Comma(int64(n)) + " events"
}
