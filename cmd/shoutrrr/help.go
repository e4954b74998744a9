package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// writeHelp writes the help of a command, examples first: most readers want one
// to change. It is a function and no template: executing one would link the rest
// of text/template and, as that calls methods by name, keep every exported one.
func writeHelp(cmd *cobra.Command, _ []string) {
	_, _ = fmt.Fprint(cmd.OutOrStdout(), helpText(cmd)) // as cobra does: help has nobody to tell
}

func helpText(cmd *cobra.Command) string {
	var b strings.Builder
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	b.WriteString(text + "\n")
	section(&b, "Examples", cmd.Example+"\n")
	if cmd.Runnable() && cmd.HasParent() || cmd.HasAvailableSubCommands() {
		section(&b, "Usage", usageLines(cmd))
	}
	section(&b, "Commands", commandList(cmd, func(c *cobra.Command) bool { return c.IsAvailableCommand() }))
	if cmd.Runnable() {
		section(&b, "Flags", cmd.LocalFlags().FlagUsagesWrapped(100))
	}
	section(&b, "Further help (shoutrrr help TOPIC)", commandList(cmd, (*cobra.Command).IsAdditionalHelpTopicCommand))
	return b.String()
}

func section(b *strings.Builder, title, text string) {
	if strings.TrimSpace(text) != "" {
		b.WriteString("\n" + title + ":\n" + text)
	}
}

func usageLines(cmd *cobra.Command) string {
	var b strings.Builder
	if cmd.Runnable() && cmd.HasParent() {
		b.WriteString("  " + cmd.UseLine() + "\n")
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteString("  " + cmd.CommandPath() + " COMMAND [flags]\n")
	}
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
		Example: "  shoutrrr help send\n  shoutrrr help exit-codes",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var names []string
			if found, rest, err := cmd.Root().Find(args); err == nil && len(rest) == 0 {
				for _, c := range found.Commands() {
					names = append(names, cobra.CompletionWithDesc(c.Name(), c.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usagef("there is no help for %q%s; see shoutrrr --help", strings.Join(args, " "), meant(cmd.Root(), args[0]))
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
	}
}
