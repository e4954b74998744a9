package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

const checkExamples = `  shoutrrrd check --config shoutrrrd.yaml
  shoutrrrd check --config shoutrrrd.yaml --json`

func newCheck(sys *system) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "check",
		Short:   "Check the settings and show each with its origin, without secrets",
		Example: checkExamples,
		Args:    noArgs,
	}
	from := addSettings(cmd, sys)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.RunE = func(*cobra.Command, []string) error {
		s, err := from.load()
		if err != nil {
			return err
		}
		if asJSON {
			all := map[string]map[string]string{}
			for _, v := range s.Values() {
				all[v.Name] = map[string]string{"value": v.Value, "origin": v.Origin}
			}
			return json.NewEncoder(sys.stdout).Encode(all)
		}
		table := tabwriter.NewWriter(sys.stdout, 0, 0, 2, ' ', 0)
		for _, v := range s.Values() {
			value := v.Value
			if value == "" {
				value = "-"
			}
			fmt.Fprintf(table, "%s\t%s\t%s\n", v.Name, value, v.Origin)
		}
		return table.Flush()
	}
	return cmd
}
