package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/containrrr/shoutrrr/internal/redact"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/settings"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/unit"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Exit statuses, from sysexits.h as those of shoutrrr are.
const (
	exitOK       = 0
	exitUsage    = 64 // the command line
	exitData     = 65 // a queue that is not sound
	exitInternal = 70
	exitMachine  = 74 // the disk, or something else of this machine
	exitTaken    = 75 // an address or the queue is in use: later it may be free
	exitConfig   = 78 // the configuration
)

// exitError is an error with the exit status that it deserves. Without an error all
// has been told.
type exitError struct {
	status int
	err    error
}

func (e *exitError) Error() string {
	if e.err == nil { // told already
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func failed(status int, err error) error { return &exitError{status, err} }

func usagef(format string, args ...any) error {
	return failed(exitUsage, fmt.Errorf(format, args...))
}

const rootExamples = `  shoutrrrd run
  shoutrrrd run --config /etc/shoutrrr/shoutrrrd.yaml
  shoutrrrd check --sample > shoutrrrd.yaml
  shoutrrrd check --config shoutrrrd.yaml
  shoutrrrd demo --events 5000`

// run runs the command and returns its exit status, and reports errors. This is the only
// place that does.
func run(ctx context.Context, sys *system) int {
	root := newRoot(sys)
	root.SetArgs(sys.args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var own *exitError
	if !errors.As(err, &own) { // the demonstration's own words
		own = &exitError{exitUsage, err}
	}
	if own.err != nil {
		complain(sys.stderr, err.Error())
	}
	return own.status
}

// complain writes a message for people. It may quote the command line and files: a
// key that stood in the wrong place is hidden by its shape, and nothing speaks to
// the terminal.
func complain(w io.Writer, text string) {
	_, _ = fmt.Fprintf(w, "shoutrrrd: %s\n", redact.Text(redact.Shapes(text))) // there is no other place for it
}

func newRoot(sys *system) *cobra.Command {
	root := &cobra.Command{
		Use:           "shoutrrrd",
		Short:         "Relay events to PagerDuty, durably",
		Long:          "shoutrrrd is a relay for PagerDuty's Events API v2. Any client uses it by changing a host:\n202 then means that the event is on this machine's disk. It is delivered in order, most\nsevere first, at the rate that PagerDuty takes, however long that is away.",
		Example:       rootExamples,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE:          func(cmd *cobra.Command, args []string) error { return runRoot(cmd, sys, args) },
		// A command that is misspelt should not be blamed for its flags.
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
	}
	root.SetOut(sys.stdout)
	root.SetErr(sys.stderr)
	root.SetFlagErrorFunc(wrongFlag)
	root.SetHelpFunc(writeHelp)
	root.SetHelpCommand(newHelp())
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(newRun(sys), newCheck(sys), newFsck(sys), newBackup(sys), newRestore(sys), newNotify(sys), newDemo(sys), newVersion())
	root.AddCommand(newTopics()...)
	return root
}

// runRoot gets what is no command. Whoever starts a relay without saying so has a
// broken script, so that is no success.
func runRoot(cmd *cobra.Command, sys *system, args []string) error {
	switch {
	case len(args) > 0:
		return usagef("%q is no command%s; see shoutrrrd --help", args[0], meant(cmd, args[0]))
	case len(sys.args) > 0:
		return usagef("%q is no flag here; see shoutrrrd --help", sys.args[0])
	}
	cmd.SetOut(cmd.ErrOrStderr())
	_ = cmd.Help() // writeHelp has no error to return
	return failed(exitUsage, nil)
}

func meant(cmd *cobra.Command, given string) string {
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	return settings.Suggestion(given, names)
}

// wrongFlag tells of a flag that does not exist what may have been meant.
func wrongFlag(cmd *cobra.Command, err error) error {
	hint := ""
	var missing *pflag.NotExistError
	if errors.As(err, &missing) && missing.GetSpecifiedShortnames() == "" {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if hint = settings.Suggestion(missing.GetSpecifiedName(), names); hint != "" {
			hint = strings.Replace(hint, "mean ", "mean --", 1)
		}
	}
	return usagef("%s%s; see %s --help", err.Error(), hint, cmd.CommandPath())
}

// sources are the flags by which settings are given.
type sources struct {
	sys   *system
	file  string
	flags *pflag.FlagSet

	queueOfOwner bool       // the queue is that of whoever owns its folder
	knowsService bool       // the command can look at the settings of the service
	asService    string     // its unit as the flag names it
	service      *unit.Unit // whose settings were loaded, nil for those of the user
	passedOver   *unit.Unit // a unit that is there and was not asked for
}

func addSettings(cmd *cobra.Command, sys *system) *sources {
	from := &sources{sys: sys, flags: cmd.Flags()}
	from.flags.SortFlags = false // the order in which they are explained
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

// The words of --as-service that are no unit.
const (
	serviceOfUnit = "yes"
	serviceOfNone = "no"
)

// addService gives a command the flag by which it looks at the service.
func (from *sources) addService() {
	from.knowsService = true
	from.flags.StringVar(&from.asService, "as-service", "", "take the settings of the service: those of the systemd `unit` "+unit.Standard+", or of another one; no for those of this user (default: of the service if --config is the file that its unit names)")
	from.flags.Lookup("as-service").NoOptDefVal = serviceOfUnit
}

// findService looks for the unit of the service if its settings are meant.
func (from *sources) findService() error {
	name, file := from.asService, cmp.Or(from.file, from.sys.getenv("SHOUTRRRD_CONFIG"))
	if from.service, from.passedOver = nil, nil; !from.knowsService || name == serviceOfNone {
		return nil
	}
	asked := name != ""
	if name == "" || name == serviceOfUnit {
		name = unit.Standard
	}
	u, err := unit.Find(name, from.sys.getenv)
	switch {
	case err != nil && asked:
		return failed(exitConfig, fmt.Errorf("%w; --as-service=%s takes the settings of this user", err, serviceOfNone))
	case err != nil: // then there is no service that anybody could mean
		return nil
	case asked || file != "" && sameFile(file, from.ofUnit(u).file):
		from.service = u
	default:
		from.passedOver = u
	}
	return nil
}

func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return filepath.Clean(a) == filepath.Clean(b)
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}

// ofUnit are the sources that the command line of a unit gives. One that is wrong there
// is wrong when the service starts, and systemd says so.
func (from *sources) ofUnit(u *unit.Unit) *sources {
	other := addSettings(&cobra.Command{}, from.sys)
	_ = other.flags.Parse(u.Args[1:])
	return other
}

// given are the flags that were given, by the names of the settings.
func (from *sources) given() map[string]string {
	given := map[string]string{}
	from.flags.Visit(func(f *pflag.Flag) { given[strings.ReplaceAll(f.Name, "-", "_")] = f.Value.String() })
	return given
}

func (from *sources) load() (*settings.Settings, error) {
	if err := from.findService(); err != nil {
		return nil, err
	}
	read := settings.Sources{File: from.file, Getenv: from.sys.getenv, Flags: from.given()}
	if u := from.service; u != nil {
		of := from.ofUnit(u)
		flags := of.given()
		maps.Copy(flags, read.Flags) // what is given here stands above the unit
		read = settings.Sources{File: cmp.Or(from.file, of.file), Getenv: u.Getenv, Flags: flags, Locate: u.Locate, MadeUp: u.MadeUp}
	}
	read.File = cmp.Or(read.File, read.Getenv("SHOUTRRRD_CONFIG"))
	sockets, err := supervisor{}.addresses()
	if err != nil {
		return nil, failed(exitConfig, err)
	}
	// What the YAML reader makes of a large file is garbage a moment later: without this
	// it would grow the heap to gcPercent of that, 150 MB in place of 100.
	defer debug.SetGCPercent(debug.SetGCPercent(50))
	read.Sockets, read.QueueOfOwner = sockets, from.queueOfOwner || from.service != nil && from.service.MadeUp
	s, err := settings.Load(read)
	if err != nil {
		return nil, failed(exitConfig, err)
	}
	return s, nil
}

// noArgs is cobra.NoArgs with an error of ours.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usagef("%q is one argument too many; see %s --help", args[0], cmd.CommandPath())
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Example: "  shoutrrrd version", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return written(fmt.Fprintln(cmd.OutOrStdout(), "shoutrrrd version", version()))
		},
	}
}

// written is the error of a write to standard output.
func written(_ int, err error) error {
	if err != nil {
		return failed(exitMachine, fmt.Errorf("cannot write the output: %w", err))
	}
	return nil
}
