package main

import (
	"fmt"
	"strings"

	"github.com/containrrr/shoutrrr/pkg/pagerduty"
	"github.com/containrrr/shoutrrr/pkg/router"
	"github.com/spf13/cobra"
)

const docsExamples = `  shoutrrr docs pagerduty
  shoutrrr docs pagerduty -f markdown`

func newDocs(sys *system) *cobra.Command {
	format := ""
	cmd := &cobra.Command{
		Use:               "docs SERVICE",
		Short:             "Describe a service's URL and its parameters",
		Example:           docsExamples,
		ValidArgsFunction: completeService,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneService(cmd, args); err != nil {
				return err
			}
			text := ""
			switch format {
			case "console", "text":
				text = consoleDocs()
			case "markdown":
				text = markdownDocs()
			default:
				return usagef("-f %s is no format: there are console and markdown", format)
			}
			_, err := fmt.Fprint(sys.stdout, text)
			return err
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "console", "console or markdown")
	mustComplete(cmd, "format", oneOf("console", "markdown"))
	return cmd
}

// oneService checks that the arguments name a service that there is.
func oneService(cmd *cobra.Command, args []string) error {
	services := strings.Join((*router.ServiceRouter)(nil).ListServices(), ", ")
	if len(args) == 0 {
		return usagef("which service? there is %s; see %s --help", services, cmd.CommandPath())
	}
	if err := noArgs(cmd, args[1:]); err != nil {
		return err
	}
	_, err := (*router.ServiceRouter)(nil).NewService(args[0])
	return err
}

func completeService(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return (*router.ServiceRouter)(nil).ListServices(), cobra.ShellCompDirectiveNoFileComp
}

// docsForm is the form of the URL.
const docsForm = "pagerduty://[host[:port]]/integration-key[,integration-key…][?parameters]"

// docsParts are the parts of the URL before its parameters: name, meaning and
// default.
var docsParts = [][3]string{
	{"host", "The host of the Events API; `events.eu.pagerduty.com` for the EU region", pagerduty.DefaultHost},
	{"port", "Its port", "443"},
	{"integration-key", "32 hexadecimal characters, required. Of several, separated by commas, the dedup key chooses one, always the same", ""},
}

const docsParams = "Parameters stand behind the `?` as `name=value`, separated by `&`; for one message they can be given with it (`-p name=value`, `types.Params`). " +
	"Names are not case-sensitive. An empty value means unset. JSON may stand in the URL as it is, or percent-encoded."

func consoleDocs() string {
	var b strings.Builder
	b.WriteString("PagerDuty, by its Events API v2\n\n  " + docsForm + "\n")
	for _, part := range docsParts {
		consoleEntry(&b, part[0], part[2], part[1]+".")
	}
	b.WriteString("\n" + wrapped(plain(docsParams), ""))
	for _, f := range pagerduty.Fields() {
		consoleEntry(&b, f.Name, f.Default, f.Description+".", "Allowed: "+f.Allowed)
	}
	b.WriteString("\nTo make a URL: shoutrrr generate pagerduty. To check one: shoutrrr verify.\n")
	return b.String()
}

func consoleEntry(b *strings.Builder, name, standard string, paragraphs ...string) {
	b.WriteString("\n  " + name)
	if standard != "" {
		b.WriteString(" (default: " + standard + ")")
	}
	b.WriteString("\n")
	for _, text := range paragraphs {
		b.WriteString(wrapped(plain(text), "      "))
	}
}

func plain(markdown string) string { return strings.ReplaceAll(markdown, "`", "") }

// wrapped breaks a text into lines of at most 88 characters.
func wrapped(text, indent string) string {
	const width = 88
	var b strings.Builder
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len([]rune(indent+line+" "+word)) > width {
			b.WriteString(indent + line + "\n")
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	b.WriteString(indent + line + "\n")
	return b.String()
}

// markdownDocs is the part of the service page that follows from the code; the
// page includes it below a heading of level 2.
func markdownDocs() string {
	var b strings.Builder
	b.WriteString("<!-- Made from the code by: shoutrrr docs pagerduty -f markdown -->\n\n")
	b.WriteString("```uri\n" + docsForm + "\n```\n\n")
	markdownRow(&b, "Part", "Meaning", "Default")
	b.WriteString("|------|---------|---------|\n")
	for _, part := range docsParts {
		markdownRow(&b, code(part[0]), part[1], code(part[2]))
	}
	b.WriteString("\n" + docsParams + "\n\n")
	markdownRow(&b, "Parameter", "Type", "Description", "Default", "Valid values")
	b.WriteString("|-----------|------|-------------|---------|--------------|\n")
	for _, f := range pagerduty.Fields() {
		markdownRow(&b, code(f.Name), f.Type, f.Description, code(f.Default), f.Allowed)
	}
	return b.String()
}

func markdownRow(b *strings.Builder, cells ...string) {
	b.WriteString("|")
	for _, cell := range cells {
		b.WriteString(" " + strings.ReplaceAll(cell, "|", `\|`) + " |")
	}
	b.WriteString("\n")
}

func code(text string) string {
	if text == "" {
		return "-"
	}
	return "`" + text + "`"
}
