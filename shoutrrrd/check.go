package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/containrrr/shoutrrr/shoutrrrd/internal/settings"
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
			"Keys, tokens and certificates are read; nothing is opened and nothing is sent. If anything is\n" +
			"wrong, all of it is told, and the exit status is 78.",
		Example: checkExamples,
		Args:    noArgs,
	}
	from := addSettings(cmd, sys)
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
			return printJSON(sys, s)
		}
		for _, text := range s.Warnings {
			tell(sys.stderr, "warning: "+text)
		}
		return printTable(sys, s)
	}
	return cmd
}

// checked is what check prints as JSON.
type checked struct {
	Settings []checkedValue `json:"settings"`
	Warnings []string       `json:"warnings"`
}

type checkedValue struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Origin string `json:"origin"`
}

func printJSON(sys *system, s *settings.Settings) error {
	all := checked{Warnings: append([]string{}, s.Warnings...)} // [] and not null
	for _, v := range s.Values() {
		all.Settings = append(all.Settings, checkedValue(v))
	}
	return written(0, json.NewEncoder(sys.stdout).Encode(all))
}

func printTable(sys *system, s *settings.Settings) error {
	table := tabwriter.NewWriter(sys.stdout, 0, 0, 2, ' ', 0)
	for _, v := range s.Values() {
		value := v.Value
		if value == "" {
			value = "-"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", v.Name, legible(value), legible(v.Origin)) // Flush has the error
	}
	return written(0, table.Flush())
}
