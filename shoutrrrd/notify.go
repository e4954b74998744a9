package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/containrrr/shoutrrr/internal/redact"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/notify"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/settings"
	"github.com/spf13/cobra"
)

const notifyExamples = `  shoutrrrd notify test --config /etc/shoutrrr/shoutrrrd.yaml
  shoutrrrd notify test mail --config /etc/shoutrrr/shoutrrrd.yaml`

const notifyLong = `Send a test message by each way of notify, or by those that are named, and print how
each went. At PagerDuty it opens an incident with the severity info and resolves it at
once. No relay has to run. A command runs with the rights of whoever tests it: within the
unit's sandbox it may have fewer. The exit status is 74 if a way has failed.`

func newNotify(sys *system) *cobra.Command {
	cmd := &cobra.Command{
		Use: "notify", Short: "Try the ways by which the relay calls for help", Example: "  shoutrrrd notify test --config /etc/shoutrrr/shoutrrrd.yaml",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { // a script that meant test must not go on
			if len(args) == 0 {
				return usagef("give a command: test; see shoutrrrd notify --help")
			}
			return usagef("%q is no command of notify%s; see shoutrrrd notify --help", args[0], meant(cmd, args[0]))
		},
	}
	test := &cobra.Command{
		Use: "test [WAY...]", Short: "Send a test message by each way of notify", Long: notifyLong, Example: notifyExamples,
		Args: cobra.ArbitraryArgs,
	}
	from := addSettings(test, sys)
	test.RunE = func(cmd *cobra.Command, names []string) error {
		s, err := from.load()
		if err != nil {
			return err
		}
		ways, err := chosen(s, names)
		if err != nil {
			return err
		}
		secrets := &redact.Set{}
		remember(secrets, s)
		table, failures := tabwriter.NewWriter(sys.stdout, 0, 0, 2, ' ', 0), 0
		for _, tried := range notify.Test(cmd.Context(), machine(), time.Now(), ways) {
			result := "sent"
			if tried.Err != nil {
				result = "failed\t" + redact.Line(secrets.Hide(tried.Err.Error()))
				failures++
			}
			_, _ = fmt.Fprintf(table, "%s\t%s\n", tried.Way, result) // Flush has the error
		}
		if err := written(0, table.Flush()); err != nil {
			return err
		}
		if failures > 0 {
			return failed(exitMachine, fmt.Errorf("%d of %d ways failed", failures, len(ways)))
		}
		return nil
	}
	cmd.AddCommand(test)
	return cmd
}

// chosen are the ways of those names, all without any.
func chosen(s *settings.Settings, names []string) ([]notify.Way, error) {
	all := waysOf(s, os.Getenv)
	if len(all) == 0 {
		return nil, failed(exitConfig, fmt.Errorf("the settings have no notify: nobody is called; shoutrrrd check --sample shows it"))
	}
	var known []string
	for _, w := range all {
		known = append(known, w.Name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, usagef("%q is no way of notify; they are %s", name, strings.Join(known, ", "))
		}
	}
	if len(names) == 0 {
		return all, nil
	}
	return slices.DeleteFunc(all, func(w notify.Way) bool { return !slices.Contains(names, w.Name) }), nil
}
