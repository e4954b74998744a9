package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/containrrr/shoutrrr/internal/redact"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/queue/sqlite"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/settings"
	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
)

const checkExamples = `  shoutrrrd check --config /etc/shoutrrr/shoutrrrd.yaml
  shoutrrrd check --config shoutrrrd.yaml --rate 120 --json
  shoutrrrd check --sample > shoutrrrd.yaml`

func newCheck(sys *system) *cobra.Command {
	var asJSON, sample bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the settings and show each with its origin, without secrets",
		Long: "Check the settings as run would read them and show each with its origin, without secrets.\n" +
			"If --config names the file of the systemd unit shoutrrrd.service, or with --as-service,\n" +
			"they are those of the service: its command line, variables, state folder and credentials.\n" +
			"Keys, tokens and certificates are read, the names of the listeners are resolved, the files of the\n" +
			"queue are looked at; nothing is opened and nothing is sent. If anything is wrong, all of it is\n" +
			"reported, every missing guard of a listener included, and the exit status is 78.",
		Example: checkExamples,
		Args:    noArgs,
	}
	from := addSettings(cmd, sys)
	from.addService()
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.Flags().BoolVar(&sample, "sample", false, "print a file with every setting, explained, and do nothing else")
	cmd.RunE = func(*cobra.Command, []string) error {
		if sample {
			return written(fmt.Fprint(sys.stdout, settings.Sample()))
		}
		s, err := from.load()
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(sys, s, from)
		}
		if from.passedOver != nil {
			complain(sys.stderr, "these are the settings of this user; those of the service of "+from.passedOver.Path+" are shown by shoutrrrd check --as-service")
		}
		for _, text := range s.Warnings {
			complain(sys.stderr, "warning: "+text)
		}
		if err := printTable(sys, s); err != nil {
			return err
		}
		return errors.Join(printRoom(sys, s), printService(sys, from))
	}
	return cmd
}

// checked is what check prints as JSON.
type checked struct {
	Settings   []checkedValue `json:"settings"`
	Warnings   []string       `json:"warnings"`
	QueueLimit int64          `json:"queue_limit_bytes"` // of file and write-ahead log together
	EventsFit  int64          `json:"events_fit"`        // of 600 bytes, into that
	Unit       string         `json:"unit,omitempty"`    // of the service whose settings these are
}

type checkedValue struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Origin string `json:"origin"`
}

func printJSON(sys *system, s *settings.Settings, from *sources) error {
	all := checked{Warnings: append([]string{}, s.Warnings...)} // [] and not null
	if from.service != nil {
		all.Unit = from.service.Path
	}
	all.QueueLimit, all.EventsFit = sqlite.Fits(s.Queue, s.MaxDisk)
	for _, v := range s.Values() {
		all.Settings = append(all.Settings, checkedValue(v))
	}
	return written(0, json.NewEncoder(sys.stdout).Encode(all))
}

// maxCell is more than a path, a URL or the names of a small pool take.
const maxCell = 200

func printTable(sys *system, s *settings.Settings) error {
	table := tabwriter.NewWriter(sys.stdout, 0, 0, 2, ' ', 0)
	for _, v := range s.Values() {
		value := v.Value
		if value == "" {
			value = "-"
		}
		// One wide value would widen the column of all; --json has it whole.
		if runes := []rune(value); len(runes) > maxCell {
			value = string(runes[:maxCell]) + "…"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", v.Name, redact.Line(value), redact.Line(redact.Shapes(v.Origin))) // Flush has the error
	}
	return written(0, table.Flush())
}

// printService says whose settings these are, if they are not those of the user.
func printService(sys *system, from *sources) error {
	if from.service == nil {
		return nil
	}
	return written(fmt.Fprintf(sys.stdout, "These are the settings as the service of %s has them.\n", redact.Line(from.service.Path)))
}

// printRoom says how many events fit on the disk of the queue.
func printRoom(sys *system, s *settings.Settings) error {
	limit, events := sqlite.Fits(s.Queue, s.MaxDisk)
	return written(fmt.Fprintf(sys.stdout, "\nThe queue may have %s on its disk: about %s events of 600 bytes. max_queued is %s.\n",
		humanize.Bytes(uint64(limit)), humanize.Comma(events), humanize.Comma(int64(s.MaxQueued))))
}
