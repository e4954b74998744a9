package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// writeHelp writes the help of a command, examples first: most readers want one to
// change.
func writeHelp(cmd *cobra.Command, _ []string) {
	_, _ = fmt.Fprint(cmd.OutOrStdout(), helpText(cmd)) // as cobra does: help has nobody to tell
}

func helpText(cmd *cobra.Command) string {
	var b strings.Builder
	section := func(title, text string) {
		if strings.TrimSpace(text) != "" {
			b.WriteString("\n" + title + ":\n" + text)
		}
	}
	if cmd.Long != "" {
		b.WriteString(cmd.Long + "\n")
	} else {
		b.WriteString(cmd.Short + ".\n")
	}
	section("Examples", cmd.Example+"\n")
	if cmd.Runnable() && cmd.HasParent() {
		section("Usage", "  "+cmd.UseLine()+"\n")
	} else if cmd.HasAvailableSubCommands() {
		section("Usage", "  "+cmd.CommandPath()+" COMMAND [flags]\n")
	}
	section("Commands", commandList(cmd, (*cobra.Command).IsAvailableCommand))
	if cmd.Runnable() {
		section("Flags", cmd.LocalFlags().FlagUsagesWrapped(100))
	}
	section("Further help (shoutrrrd help TOPIC)", commandList(cmd, (*cobra.Command).IsAdditionalHelpTopicCommand))
	return b.String()
}

func commandList(cmd *cobra.Command, want func(*cobra.Command) bool) string {
	var b strings.Builder
	for _, c := range cmd.Commands() {
		if want(c) {
			fmt.Fprintf(&b, "  %-12s %s\n", c.Name(), c.Short)
		}
	}
	return b.String()
}

func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND | TOPIC]",
		Short:   "Help for a command or a topic",
		Example: "  shoutrrrd help run\n  shoutrrrd help exit-codes",
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usagef("there is no help for %q%s; see shoutrrrd --help", strings.Join(args, " "), meant(cmd.Root(), args[0]))
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
	}
}

// newTopics returns pages of help that belong to no command.
func newTopics() []*cobra.Command {
	return []*cobra.Command{
		{Use: "exit-codes", Short: "What the exit status says", Long: exitCodesPage(), Example: "  shoutrrrd check --config /etc/shoutrrr/shoutrrrd.yaml && systemctl reload shoutrrrd"},
		{Use: "signals", Short: "What signals do", Long: signalsPage, Example: "  systemctl kill --signal=HUP shoutrrrd"},
	}
}

// exitMeanings documents the exit statuses.
var exitMeanings = []struct {
	status  int
	again   string
	meaning string
}{
	{exitOK, "", "ended by SIGTERM or Ctrl-C; checked, shown"},
	{exitUsage, "no", "wrong usage: an unknown command or flag"},
	{exitData, "no", "fsck has found contradictions in the queue"},
	{exitInternal, "yes", "internal error"},
	{exitMachine, "yes", "I/O error: the disk, the output, a listener that has failed"},
	{exitTaken, "yes", "an address or the queue is in use by another process"},
	{exitConfig, "no", "the settings are wrong, or a file that they name cannot be read"},
}

func exitCodesPage() string {
	var b strings.Builder
	b.WriteString("The exit status says why the program has ended. None changes its meaning.\n\n  status  again?  meaning\n")
	for _, m := range exitMeanings {
		fmt.Fprintf(&b, "  %-7d %-7s %s\n", m.status, m.again, m.meaning)
	}
	b.WriteString("\n\"again?\" says whether a new start can help; a supervisor should not try for the others.")
	return b.String()
}

const signalsPage = `shoutrrrd run knows these signals.

  SIGTERM, SIGINT  stop: accept nothing more, end what is in hand, exit within 10 s;
                   what waits is in the queue and leaves after the next start
  SIGHUP           read settings, keys and tokens anew; if anything is wrong with them
                   the old ones stay, and the log and the metric
                   shoutrrrd_config_last_reload_successful report it

A second SIGTERM or SIGINT ends the process at once. Nothing that was accepted is
lost by that, but what was on its way may be sent twice, with the same dedup key.`
