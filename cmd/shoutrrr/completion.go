package main

import (
	"slices"
	"strings"
	"time"

	"github.com/containrrr/shoutrrr/pkg/pagerduty"
	"github.com/spf13/cobra"
)

// completion is a function that completes values for cobra.
type completion = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective)

// mustComplete registers the completion of a flag, which has to exist.
func mustComplete(cmd *cobra.Command, flag string, values completion) {
	if err := cmd.RegisterFlagCompletionFunc(flag, values); err != nil {
		panic("shoutrrr: " + err.Error())
	}
}

// oneOf completes words of a list.
func oneOf(words ...string) completion {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}

// nothing keeps the shell from offering files where none belong.
func nothing(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveNoFileComp
}

func (s *sending) completeFlags(cmd *cobra.Command, sys *system) {
	cmd.ValidArgsFunction = nothing
	for _, flag := range []string{"url", "message", "title"} {
		mustComplete(cmd, flag, nothing)
	}
	mustComplete(cmd, "retry-for", oneOf("0", "30s", "5m", "1h"))
	mustComplete(cmd, "param", func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return completeParam(sys, typed)
	})
}

// completeParam completes the names of parameters, and then their values: for a
// dedup key those of the incidents that are open.
func completeParam(sys *system, typed string) ([]string, cobra.ShellCompDirective) {
	name, _, hasValue := strings.Cut(typed, "=")
	fields := slices.DeleteFunc(pagerduty.Fields(), func(f pagerduty.Field) bool {
		return f.Name == "disabletls" // belongs into the URL
	})
	if !hasValue {
		var names []string
		for _, f := range fields {
			names = append(names, cobra.CompletionWithDesc(f.Name+"=", f.Description))
		}
		return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	var values []string
	if name == "dedup_key" {
		values = openDedupKeys(sys)
	}
	for _, f := range fields {
		if f.Name == name {
			for _, value := range f.Values {
				values = append(values, name+"="+value)
			}
		}
	}
	return values, cobra.ShellCompDirectiveNoFileComp
}

func openDedupKeys(sys *system) []string {
	ledger, _ := sys.openLedger()
	open, _ := ledger.Open(time.Now()) // without a ledger there is nothing to offer
	var values []string
	for _, in := range open {
		values = append(values, cobra.CompletionWithDesc("dedup_key="+in.DedupKey, in.Summary))
	}
	return values
}
