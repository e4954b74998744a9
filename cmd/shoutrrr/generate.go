package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/containrrr/shoutrrr/pkg/pagerduty"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const generateExamples = `  shoutrrr generate pagerduty --key eb243592faa24ba2a5511afdf565c889 --severity critical --source web-1
  shoutrrr generate pagerduty --key-file integration-key.txt --details '{"component":"api"}' > oncall.txt
  shoutrrr send -u "$(shoutrrr generate pagerduty --key-file integration-key.txt)" -m 'Backup failed'`

const generateLong = `Make a service URL. On a terminal it asks for what the flags do not give, if they give
no key; everything is checked as send would check it. The URL alone goes to standard
output. It holds the integration key: keep it secret, and put it in single quotes.`

// form is what a URL is made of, as it was given.
type form struct {
	host    string
	keys    []string
	keyFile string
	values  map[string]*string // by the name of the parameter
}

func newGenerate(sys *system) *cobra.Command {
	f := &form{values: make(map[string]*string)}
	cmd := &cobra.Command{
		Use:               "generate SERVICE",
		Short:             "Make a service URL, by questions or by flags",
		Long:              generateLong,
		Example:           generateExamples,
		ValidArgsFunction: completeService,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneService(cmd, args); err != nil {
				return err
			}
			return f.run(cmd.Context(), sys, cmd.Flags())
		},
	}
	f.addFlags(cmd)
	return cmd
}

func (f *form) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVar(&f.keys, "key", nil, "integration `key` (repeatable); other users can see it in the list of processes")
	flags.StringVar(&f.keyFile, "key-file", "", "`file` with integration keys, one a line; - is standard input")
	flags.StringVar(&f.host, "host", "", "`host[:port]` that takes the events (default "+pagerduty.DefaultHost+")")
	for _, field := range pagerduty.Fields() {
		name := flagName(field.Name)
		f.values[field.Name] = flags.String(name, "", "`"+field.Name+"`: "+plain(field.Allowed))
		if len(field.Values) > 0 {
			mustComplete(cmd, name, oneOf(field.Values...))
		} else {
			mustComplete(cmd, name, nothing)
		}
	}
	flags.Lookup("disabletls").NoOptDefVal = "yes"
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		return pflag.NormalizedName(flagName(name)) // --client_url is --client-url
	})
	mustComplete(cmd, "key", nothing)
	mustComplete(cmd, "host", nothing)
}

func flagName(parameter string) string { return strings.ReplaceAll(parameter, "_", "-") }

func (f *form) run(ctx context.Context, sys *system, flags *pflag.FlagSet) error {
	if f.keyFile != "" {
		keys, err := readKeys(ctx, sys, f.keyFile)
		if err != nil {
			return err
		}
		f.keys = append(f.keys, keys...)
	}
	if len(f.keys) == 0 {
		if !sys.isTerminal(sys.stdin) || !sys.isTerminal(sys.stderr) {
			return usagef("there is no integration key: give --key or --key-file; questions are asked on a terminal only")
		}
		if err := newInterview(ctx, sys, f, flags).run(ctx); err != nil {
			return err
		}
	}
	config, err := f.parse()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(sys.stdout, config.URL())
	return err
}

// parse checks what was given as the URL that it makes.
func (f *form) parse() (*pagerduty.Config, error) {
	if strings.ContainsAny(f.host, "/?#") {
		return nil, failf(exitConfig, "the host is given as host or host:port, without a scheme or a path")
	}
	// A slash or question mark in a key must not begin another part of the URL.
	keys := strings.NewReplacer("/", "%2F", "?", "%3F").Replace(strings.Join(f.keys, ","))
	raw := pagerduty.Scheme + "://" + f.host + "/" + keys
	separator := "?"
	for _, field := range pagerduty.Fields() {
		if value := *f.values[field.Name]; value != "" {
			raw += separator + field.Name + "=" + url.QueryEscape(value)
			separator = "&"
		}
	}
	return pagerduty.Parse(raw)
}

// readKeys reads a file of integration keys. Its errors quote none of its text.
func readKeys(ctx context.Context, sys *system, name string) ([]string, error) {
	const longest = 1 << 20
	input := sys.stdin
	if name != stdinName {
		file, err := os.Open(name)
		if err != nil {
			return nil, keyFileError(name, err)
		}
		defer file.Close() // read only
		input = file
	}
	text, whole, err := readInput(ctx, sys, input, longest)
	if err != nil {
		return nil, keyFileError(name, err)
	}
	keys := urlLines(text)
	if len(keys) == 0 || !whole {
		return nil, failf(exitConfig, "--key-file %s should hold integration keys, one a line", name)
	}
	return keys, nil
}

func keyFileError(name string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return failf(exitConfig, "--key-file %s cannot be read: %w", name, withoutPath(err))
}
