package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"

	"github.com/containrrr/shoutrrr"
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
	tell(sys.stderr, "", explain(err))
	return status
}

// tell writes a message for people as the command's own.
func tell(w io.Writer, about, text string) {
	_, _ = fmt.Fprintf(w, "shoutrrr: %s%s\n", about, legible(text)) // nobody is left who could be told
}

// legible takes out what could speak to the terminal instead of the reader:
// errors quote what callers, files and servers wrote.
func legible(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
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
		return usagef("%s; see %s --help", withoutKeys(err.Error()), cmd.CommandPath())
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
		return usagef("%s is no flag here; see shoutrrr --help", withoutKeys(sys.args[0]))
	case len(args) == 0:
		cmd.SetOut(cmd.ErrOrStderr())
		_ = cmd.Help() // writeHelp has no error to return
		return told(exitUsage)
	case looksLikeURL(args[0]):
		return usagef("a URL is no command; to send to it: shoutrrr send URL MESSAGE")
	}
	return usagef("%q is no command%s; see shoutrrr --help", withoutKeys(args[0]), meant(cmd, args[0]))
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
	return usagef("%q is one argument too many; see %s --help", withoutKeys(args[0]), cmd.CommandPath())
}

// withoutKeys takes whatever may be a key out of a piece of the command line that
// is about to be quoted. The library does the same for what it quotes.
func withoutKeys(text string) string {
	return regexp.MustCompile(`[0-9A-Za-z+_-]*[0-9A-Za-z]{20}[0-9A-Za-z+_-]*`).ReplaceAllString(text, "[redacted]")
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
