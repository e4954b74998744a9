package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/containrrr/shoutrrr/pkg/pagerduty"
	"github.com/spf13/pflag"
)

// interview fills in a form by questions. Each answer is checked by the library
// itself, and asked for again if it is wrong.
type interview struct {
	form  *form
	flags *pflag.FlagSet
	lines <-chan string
	out   io.Writer
}

// sampleKey stands for the key while another part of the URL is checked.
const sampleKey = "00000000000000000000000000000000"

// usual are the parameters that are always asked for; the others wait behind one
// more question.
var usual = []string{"severity", "source", "action", "details", "contexts", "client", "client_url"}

func newInterview(ctx context.Context, sys *system, f *form, flags *pflag.FlagSet) *interview {
	lines := make(chan string)
	go func() { // a read of a terminal cannot be stopped, only left alone
		defer close(lines)
		input := bufio.NewReader(sys.stdin)
		for {
			line, err := input.ReadString('\n')
			if err != nil && line == "" {
				return
			}
			select {
			case lines <- strings.TrimSpace(line):
			case <-ctx.Done():
				return
			}
		}
	}()
	return &interview{f, flags, lines, sys.stderr}
}

func (v *interview) run(ctx context.Context) error {
	v.say("Enter takes what stands in brackets. Nothing is sent.\n")
	if err := v.askPlace(ctx); err != nil {
		return err
	}
	var rest []pagerduty.Field
	for _, field := range pagerduty.Fields() {
		switch {
		case v.flags.Changed(flagName(field.Name)):
		case field.Name == "disabletls" && v.form.host == "": // PagerDuty itself speaks TLS only
		case !slices.Contains(usual, field.Name):
			rest = append(rest, field)
		default:
			if err := v.askField(ctx, field); err != nil {
				return err
			}
		}
	}
	if err := v.askRest(ctx, rest); err != nil {
		return err
	}
	v.say("\nThe URL holds the integration key: keep it secret, and in a shell put it in single quotes.\n")
	return nil
}

// askPlace asks for the key and the host.
func (v *interview) askPlace(ctx context.Context) error {
	v.say("\nThe integration key stands on the Integrations tab of the service, at its \"Events API v2\" integration.\n")
	key, err := v.ask(ctx, "integration key", "", func(answer string) error {
		if answer == "" {
			return errors.New("without an integration key there is no URL")
		}
		return check(&form{keys: []string{answer}})
	})
	if err != nil {
		return err
	}
	v.form.keys = []string{key}
	if v.flags.Changed("host") {
		return nil
	}
	v.say("\nA relay or a sandbox has a host of its own.\n")
	v.form.host, err = v.ask(ctx, "host[:port]", pagerduty.DefaultHost, func(answer string) error {
		return check(&form{keys: []string{sampleKey}, host: answer})
	})
	return err
}

func (v *interview) askRest(ctx context.Context, rest []pagerduty.Field) error {
	if len(rest) == 0 {
		return nil
	}
	names := make([]string, len(rest))
	for i, field := range rest {
		names[i] = field.Name
	}
	v.say("\nThere are more: " + strings.Join(names, ", ") + ".\n")
	more, err := v.ask(ctx, "set one of them? yes or no", "no", yesOrNo)
	if err != nil || !strings.HasPrefix(strings.ToLower(more), "y") {
		return err
	}
	for _, field := range rest {
		if err := v.askField(ctx, field); err != nil {
			return err
		}
	}
	return nil
}

func (v *interview) askField(ctx context.Context, field pagerduty.Field) error {
	v.say("\n" + plain(field.Description) + ".\nAllowed: " + plain(field.Allowed) + ".\n")
	standard := field.Default
	if standard == "" {
		standard = "none"
	}
	answer, err := v.ask(ctx, field.Name, standard, func(answer string) error {
		return check(&form{keys: []string{sampleKey}, host: v.form.host, values: map[string]*string{field.Name: &answer}})
	})
	*v.form.values[field.Name] = answer
	return err
}

// ask asks until the answer is right. An empty answer stands for the standard.
func (v *interview) ask(ctx context.Context, what, standard string, wrong func(answer string) error) (string, error) {
	prompt := what + ": "
	if standard != "" {
		prompt = fmt.Sprintf("%s [%s]: ", what, standard)
	}
	for {
		v.say(prompt)
		select {
		case <-ctx.Done():
			v.say("\n")
			return "", ctx.Err()
		case answer, ok := <-v.lines:
			if !ok {
				v.say("\n")
				return "", usagef("the answers ended before the questions did")
			}
			err := wrong(answer)
			if err == nil {
				return answer, nil
			}
			v.say("  " + explain(err) + "\n")
		}
	}
}

func yesOrNo(answer string) error {
	if !slices.Contains([]string{"", "y", "yes", "n", "no"}, strings.ToLower(answer)) {
		return errors.New("yes or no")
	}
	return nil
}

func (v *interview) say(text string) { _, _ = io.WriteString(v.out, text) } // a terminal that is gone gives no answer either

// check parses a form of which only the part in question is filled in.
func check(part *form) error {
	values := make(map[string]*string)
	for _, field := range pagerduty.Fields() {
		if values[field.Name] = part.values[field.Name]; values[field.Name] == nil {
			values[field.Name] = new(string)
		}
	}
	part.values = values
	_, err := part.parse()
	return err
}
