package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/containrrr/shoutrrr/internal/redact"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/pkg/pagerduty"
	"github.com/containrrr/shoutrrr/pkg/router"
	"github.com/containrrr/shoutrrr/pkg/types"
	"github.com/spf13/cobra"
)

const verifyExamples = `  shoutrrr verify -u 'pagerduty:///eb243592faa24ba2a5511afdf565c889?severity=critical&details={"component":"api"}'
  shoutrrr verify --url-file oncall.txt
  shoutrrr verify --url-file oncall.txt --json`

func newVerify(sys *system) *cobra.Command {
	var from sources
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "verify [URL]",
		Short:   "Check URLs and show what they mean",
		Long:    "Check service URLs and show what they mean, keys as fingerprints. All that is wrong is\ntold at once. Nothing is sent.",
		Example: verifyExamples,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			urls, rest, err := from.collect(sys, args)
			if err != nil {
				return err
			}
			if err := noArgs(cmd, rest); err != nil {
				return err
			}
			return verify(sys, urls, asJSON)
		},
	}
	from.addFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object for each URL")
	return cmd
}

func verify(sys *system, urls []string, asJSON bool) error {
	statuses := make([]int, len(urls))
	for i, rawURL := range urls {
		about := ""
		if len(urls) > 1 {
			about = fmt.Sprintf("URL %d: ", i+1)
		}
		config, err := parseURL(rawURL)
		statuses[i] = exitCode(err)
		if config != nil && !asJSON {
			for _, warning := range config.Warnings {
				notifyHidden(sys.stderr, "warning: "+about, config.Scrub(warning))
			}
		}
		switch {
		case asJSON:
			err = writeVerdict(sys, config, err)
		case err != nil:
			notify(sys.stderr, about, explain(err))
			err = nil
		default:
			_, err = fmt.Fprint(sys.stdout, config.Scrub(configTree(config).text()))
		}
		if err != nil {
			return err
		}
	}
	return told(gravest(statuses))
}

// parseURL reads a URL as send does, without its own words about which service
// there is.
func parseURL(rawURL string) (*pagerduty.Config, error) {
	service, err := new(router.ServiceRouter).Locate(rawURL)
	if err != nil {
		return nil, err
	}
	config := service.(*pagerduty.Service).Config()
	to := &url.URL{Scheme: "https", Host: config.Address()}
	problem := pagerduty.Problem{Param: "proxy"}
	if config.DisableTLS {
		to.Scheme, problem = "http", pagerduty.Problem{Param: "disabletls", Value: "yes"}
	}
	if _, err := eventsv2.ProxyFromEnvironment(&http.Request{URL: to}); err != nil {
		problem.Reason = err.Error()
		return nil, &pagerduty.ConfigError{Problems: []pagerduty.Problem{problem}}
	}
	return config, nil
}

// node is a line of a tree with what hangs below it.
type node struct {
	label string
	below []node
}

func (n *node) add(label string, below ...node) { n.below = append(n.below, node{label, below}) }

// text draws the tree.
func (n *node) text() string {
	var b strings.Builder
	b.WriteString(n.label + "\n")
	n.draw(&b, "")
	return b.String()
}

func (n *node) draw(b *strings.Builder, indent string) {
	for i := range n.below {
		branch, trunk := "├── ", "│   "
		if i == len(n.below)-1 {
			branch, trunk = "└── ", "    "
		}
		b.WriteString(indent + branch + n.below[i].label + "\n")
		n.below[i].draw(b, indent+trunk)
	}
}

// configTree shows what a URL means, and which of it nobody has said.
func configTree(c *pagerduty.Config) *node {
	tree := &node{label: c.Redacted()}
	tree.add(labelled("host", c.Host, c.Host == pagerduty.DefaultHost))
	tree.add(labelled("port", fmt.Sprint(c.Port), c.Port == 443 && !c.DisableTLS))
	if c.DisableTLS {
		tree.add("tls          no: the integration key can be read on the way")
	}
	for _, key := range c.Keys {
		tree.add("key          " + key.Fingerprint())
	}
	for _, field := range pagerduty.Fields() {
		value := field.Value(c)
		switch {
		case field.Name == "disabletls" || value == "":
		case field.Name == "details":
			tree.add("details", detailNodes(c)...)
		case field.Name == "contexts":
			tree.add("contexts", contextNodes(c)...)
		default:
			tree.add(labelled(field.Name, redact.Line(value), value == field.Default))
		}
	}
	return tree
}

func labelled(name, value string, byDefault bool) string {
	label := fmt.Sprintf("%-12s %s", name, value)
	if byDefault {
		label += " (default)"
	}
	return label
}

func detailNodes(c *pagerduty.Config) []node {
	nodes := make([]node, len(c.Details))
	for i, m := range c.Details {
		var value bytes.Buffer
		if json.Compact(&value, m.Value) != nil {
			value.Write(m.Value)
		}
		nodes[i].label = redact.Line(m.Name) + ": " + redact.JSON(value.String())
	}
	return nodes
}

func contextNodes(c *pagerduty.Config) []node {
	var nodes []node
	for _, l := range c.Links {
		nodes = append(nodes, node{label: "link   " + redact.Line(l.Href) + described(l.Text)})
	}
	for _, m := range c.Images {
		label := "image  " + redact.Line(m.Src) + described(m.Alt)
		if m.Href != "" {
			label += " leads to " + redact.Line(m.Href)
		}
		nodes = append(nodes, node{label: label})
	}
	return nodes
}

func described(text string) string {
	if text == "" {
		return ""
	}
	return fmt.Sprintf(" %q", text)
}

// verdict is the JSON form of what verify finds.
type verdict struct {
	Schema     int         `json:"schema"`
	URL        string      `json:"url"`
	Valid      bool        `json:"valid"`
	ExitCode   int         `json:"exit_code"`
	Host       string      `json:"host,omitempty"`
	Port       int         `json:"port,omitempty"`
	TLS        *bool       `json:"tls,omitempty"`
	Keys       []string    `json:"keys,omitempty"`
	Parameters []parameter `json:"parameters,omitempty"`
	Warnings   []string    `json:"warnings,omitempty"`
	Problems   []problem   `json:"problems,omitempty"`
}

type parameter struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	Default bool   `json:"default"`
}

type problem struct {
	Where  string `json:"where"`
	Value  string `json:"value,omitempty"`
	Reason string `json:"reason"`
}

func writeVerdict(sys *system, c *pagerduty.Config, err error) error {
	v := verdict{Schema: resultSchema, Valid: err == nil, ExitCode: exitCode(err)}
	text := ""
	if err != nil {
		v.Problems = problemsOf(err)
		text = lineJSON(v)
	} else {
		v.describe(c)
		text = c.Scrub(lineJSON(v))
	}
	_, err = fmt.Fprint(sys.stdout, text)
	return err
}

func (v *verdict) describe(c *pagerduty.Config) {
	tls := !c.DisableTLS
	v.URL, v.Host, v.Port, v.TLS = c.Redacted(), c.Host, c.Port, &tls
	v.Warnings = c.Warnings
	for _, key := range c.Keys {
		v.Keys = append(v.Keys, key.Fingerprint())
	}
	for _, field := range pagerduty.Fields() {
		if value := field.Value(c); value != "" {
			v.Parameters = append(v.Parameters, parameter{field.Name, value, value == field.Default})
		}
	}
}

func problemsOf(err error) []problem {
	var target *types.TargetError
	var config *pagerduty.ConfigError
	if errors.As(err, &target) {
		err = target.Err
	}
	if !errors.As(err, &config) {
		return []problem{{Where: "url", Reason: err.Error()}}
	}
	problems := make([]problem, len(config.Problems))
	for i, p := range config.Problems {
		problems[i] = problem{p.Param, p.Value, p.Reason}
	}
	return problems
}
