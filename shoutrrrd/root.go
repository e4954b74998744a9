package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/settings"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Exit statuses, from sysexits.h as those of shoutrrr are.
const (
	exitOK       = 0
	exitUsage    = 64 // the command line
	exitInternal = 70
	exitMachine  = 74 // the disk, or something else of this machine
	exitTaken    = 75 // an address or the queue is in use: later it may be free
	exitConfig   = 78 // the configuration
)

// exitError is an error with the exit status that it deserves.
type exitError struct {
	status int
	err    error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func failed(status int, err error) error { return &exitError{status, err} }

const rootExamples = `  shoutrrrd run
  shoutrrrd run --config /etc/shoutrrr/shoutrrrd.yaml
  shoutrrrd check --config /etc/shoutrrr/shoutrrrd.yaml
  shoutrrrd demo`

// run runs the command and returns its exit status.
func run(ctx context.Context, sys *system) int {
	root := newRoot(sys)
	root.SetArgs(sys.args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	_, _ = fmt.Fprintf(sys.stderr, "shoutrrrd: %v\n", err)
	var own *exitError
	if errors.As(err, &own) {
		return own.status
	}
	return exitUsage
}

func newRoot(sys *system) *cobra.Command {
	root := &cobra.Command{
		Use:           "shoutrrrd",
		Short:         "Relay events to PagerDuty, durably",
		Long:          "shoutrrrd is a relay for PagerDuty's Events API v2. Any client uses it by changing a host:\n202 then means that the event is on this machine's disk. It is delivered in order, the gravest\nfirst, at the rate that PagerDuty takes, however long that is away.",
		Example:       rootExamples,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("%q is no command; see shoutrrrd --help", args[0])
			}
			return nil
		},
	}
	root.SetOut(sys.stdout)
	root.SetErr(sys.stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())
	})
	root.AddCommand(newRun(sys), newCheck(sys), newDemo(sys), newVersion())
	return root
}

// sources are the flags by which settings are given.
type sources struct {
	sys   *system
	file  string
	flags *pflag.FlagSet
}

func addSettings(cmd *cobra.Command, sys *system) *sources {
	from := &sources{sys: sys, flags: cmd.Flags()}
	from.flags.StringVarP(&from.file, "config", "c", "", "`file` with settings, keys, pools and tokens (SHOUTRRRD_CONFIG)")
	for _, f := range settings.Fields() {
		usage := fmt.Sprintf("%s (%s)", f.Usage, f.Variable())
		if f.IsSwitch {
			from.flags.Bool(f.Flag(), false, usage)
			continue
		}
		standard := f.Default(func(string) string { return "" })
		if f.Name == "queue" {
			standard = ""
			usage += " (default $STATE_DIRECTORY/queue.db or $XDG_STATE_HOME/shoutrrr/queue.db)"
		}
		from.flags.String(f.Flag(), standard, usage)
	}
	return from
}

func (from *sources) load() (*settings.Settings, error) {
	file := from.file
	if file == "" {
		file = from.sys.getenv("SHOUTRRRD_CONFIG")
	}
	given := map[string]string{}
	from.flags.Visit(func(f *pflag.Flag) {
		if f.Name != "config" {
			given[strings.ReplaceAll(f.Name, "-", "_")] = f.Value.String()
		}
	})
	sockets, err := supervisor{}.addresses()
	if err != nil {
		return nil, failed(exitConfig, err)
	}
	s, err := settings.Load(settings.Sources{File: file, Getenv: from.sys.getenv, Flags: given, Sockets: sockets})
	if err != nil {
		return nil, failed(exitConfig, err)
	}
	return s, nil
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("%q is one argument too many; see %s --help", args[0], cmd.CommandPath())
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Example: "  shoutrrrd version", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "shoutrrrd version", version())
			return err
		},
	}
}
