package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/containrrr/shoutrrr"
	"github.com/containrrr/shoutrrr/internal/redact"
	"github.com/containrrr/shoutrrr/pkg/pagerduty"
	"github.com/spf13/cobra"
)

const rootExamples = `  shoutrrr send -u 'pagerduty:///eb243592faa24ba2a5511afdf565c889' -m 'Database connection lost'
  shoutrrr verify -u 'pagerduty:///eb243592faa24ba2a5511afdf565c889?severity=critical'
  shoutrrr generate pagerduty --key eb243592faa24ba2a5511afdf565c889 --severity critical
  shoutrrr docs pagerduty
  shoutrrr sandbox exec -- shoutrrr send -u 'pagerduty:///eb243592faa24ba2a5511afdf565c889' -m 'A rehearsal'
  shoutrrr status
  shoutrrr queue list --state dead`

// run runs the command and returns its exit status. Errors are told here and
// nowhere else, unless a command has told them in its own way.
func run(ctx context.Context, sys *system) int {
	root := newRoot(sys)
	root.SetArgs(sys.args)
	err := root.ExecuteContext(ctx)
	status := exitCode(err)
	var own *statusError
	if err == nil || errors.As(err, &own) && own.err == nil {
		return status
	}
	var delivery *pagerduty.DeliveryError
	if errors.As(err, &delivery) { // of a key that is known, which the library has hidden; a dedup key has the shape of one
		notifyHidden(sys.stderr, "", explain(err))
	} else {
		notify(sys.stderr, "", explain(err))
	}
	return status
}

// notify writes a message for people as the command's own. It may quote the
// command line, files and servers: a key that stood in the wrong place is hidden
// by its shape, and nothing speaks to the terminal.
func notify(w io.Writer, about, text string) { notifyHidden(w, about, redact.Shapes(text)) }

// notifyHidden is notify for a text in which the keys are hidden already.
func notifyHidden(w io.Writer, about, text string) {
	_, _ = fmt.Fprintf(w, "shoutrrr: %s%s\n", about, redact.Text(text)) // there is no other place for it
}

func newRoot(sys *system) *cobra.Command {
	root := &cobra.Command{
		Use:           "shoutrrr",
		Short:         "Send events to PagerDuty",
		Long:          "shoutrrr sends events to PagerDuty. A page arrives: once, with all that the\nresponder needs, however badly the network or PagerDuty behaves.",
		Example:       rootExamples,
		Version:       shoutrrr.Version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRoot(cmd, sys, args)
		},
		// A command that is misspelt should not be blamed for its flags.
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
	}
	root.SetIn(sys.stdin)
	root.SetOut(sys.stdout)
	root.SetErr(sys.stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%s; see %s --help", err.Error(), cmd.CommandPath())
	})
	root.SetHelpFunc(writeHelp)
	root.SetHelpCommand(newHelp())
	root.AddCommand(
		newSend(sys), newVerify(sys), newGenerate(sys), newDocs(sys),
		newSandbox(sys), newStatus(sys), newQueue(sys), newVersion(),
	)
	root.AddCommand(newTopics()...)
	return root
}

// runRoot gets what is no command. A pager that is called with nothing to do has
// been called by a broken script, so that is no success.
func runRoot(cmd *cobra.Command, sys *system, args []string) error {
	switch {
	case len(args) == 0 && len(sys.args) > 0:
		return usagef("%s is no flag here; see shoutrrr --help", sys.args[0])
	case len(args) == 0:
		cmd.SetOut(cmd.ErrOrStderr())
		_ = cmd.Help() // writeHelp has no error to return
		return told(exitUsage)
	case looksLikeURL(args[0]):
		return usagef("a URL is no command; to send to it: shoutrrr send URL MESSAGE")
	}
	return usagef("%q is no command%s; see shoutrrr --help", args[0], meant(cmd, args[0]))
}

func meant(cmd *cobra.Command, given string) string {
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(given); len(near) > 0 {
		return ", did you mean " + near[0] + "?"
	}
	return ""
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
		Use:     "version",
		Short:   "Print the version",
		Example: "  shoutrrr version",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "shoutrrr version", shoutrrr.Version())
			return err
		},
	}
}
