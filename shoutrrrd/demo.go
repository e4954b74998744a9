package main

import (
	"errors"

	"github.com/spf13/cobra"
)

func newDemo(sys *system) *cobra.Command {
	return &cobra.Command{Use: "demo", Short: "Show what the relay does", Example: "  shoutrrrd demo", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return errors.New("to come") }}
}
