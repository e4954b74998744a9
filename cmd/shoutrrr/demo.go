package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/containrrr/shoutrrr/pagerdutytest"
	"github.com/containrrr/shoutrrr/pkg/pagerduty"
	"github.com/containrrr/shoutrrr/pkg/types"
	"github.com/spf13/cobra"
)

// demoKey is the integration key of the service page's examples; the emulator
// takes any.
const demoKey = "eb243592faa24ba2a5511afdf565c889"

// demoSteps are the incident life cycle of the service page.
var demoSteps = []struct{ query, message string }{
	{"action=trigger&severity=critical&source=web-app", "Application crashed"},
	{"action=acknowledge", "DevOps team is investigating"},
	{"action=resolve", "Application restarted successfully"},
}

func newDemo(sys *system) *cobra.Command {
	return &cobra.Command{
		Use:     "demo",
		Short:   "Send an incident's life cycle to the built-in emulator",
		Long:    "Send the life cycle of an incident to the built-in emulator by real HTTP, with a rate\nlimit and a lost answer on the way, and show what happened. It takes a few seconds and\nneeds neither a network nor an account.",
		Example: "  shoutrrr demo",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDemo(cmd.Context(), sys.stdout)
		},
	}
}

func runDemo(ctx context.Context, w io.Writer) error {
	emulator := pagerdutytest.New(pagerdutytest.Options{})
	emulator.Inject(
		pagerdutytest.Fault{Name: pagerdutytest.FaultRetryAfter, RetryAfter: "1"},
		pagerdutytest.Fault{Name: pagerdutytest.FaultResetAfter},
	)
	server, err := pagerdutytest.StartServer(emulator, pagerdutytest.ServerOptions{})
	if err != nil {
		return failf(exitUnreachable, "the demo needs a port of 127.0.0.1: %w", err)
	}
	defer server.Close()
	d := demo{out: printer{w: w}, server: server, ledger: pagerduty.NewMemoryLedger(), start: time.Now()}
	d.out.printf("The emulator at %s will answer the first event with 429 and accept\nthe second without saying so. One incident has to come of it all the same.\n", server.URL())
	for _, step := range demoSteps {
		if err := d.send(ctx, step.query, step.message); err != nil {
			return err
		}
	}
	d.showJournal()
	if err := d.showIncident(); err != nil {
		return err
	}
	return d.out.err
}

type demo struct {
	out    printer
	server *pagerdutytest.Server
	ledger pagerduty.Ledger
	start  time.Time
}

// send sends as the command send does, and shows each attempt.
func (d *demo) send(ctx context.Context, query, message string) error {
	config, err := pagerduty.Parse(d.server.ServiceURL(demoKey) + "&" + query)
	if err != nil {
		return err
	}
	service := pagerduty.New(config, pagerduty.Options{
		SenderOptions: types.SenderOptions{RetryFor: time.Minute, OnAttempt: d.attempt},
		Ledger:        d.ledger,
	})
	d.out.printf("\nshoutrrr send -u 'pagerduty:///KEY?%s' -m '%s'\n", query, message)
	receipt, err := service.Deliver(ctx, message, nil)
	if err != nil {
		return err
	}
	d.out.printf("          accepted, dedup key %s\n", receipt.DedupKey)
	return nil
}

func (d *demo) attempt(a types.Attempt) {
	told := fmt.Sprintf("%d accepted", a.Status)
	if a.Err != nil {
		told = fmt.Sprintf("%s; again in %.1f s", reasonOf(a.Err), a.Wait.Seconds())
	}
	d.out.printf("  %5.2f s attempt %d: %s\n", a.Start.Sub(d.start).Seconds(), a.Number, told)
}

func (d *demo) showJournal() {
	d.out.printf("\nWhat the emulator saw:\n")
	for _, entry := range d.server.Journal() {
		d.out.printf("  %5.2f s %s\n", entry.Time.Sub(d.start).Seconds(), requestLine(entry))
	}
}

// showIncident shows what came of it, and fails if that is not one incident,
// resolved.
func (d *demo) showIncident() error {
	incidents := d.server.Incidents()
	d.out.printf("\nWhat came of it:\n")
	for _, incident := range incidents {
		d.out.printf("%s", incidentText(incident))
	}
	if len(incidents) != 1 || incidents[0].Status != pagerdutytest.StatusResolved {
		return errors.New("the demo should end with one incident, resolved: this is a fault of shoutrrr, please report it")
	}
	return nil
}

// printer keeps the first failure to write.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(p.w, format, args...); err != nil && p.err == nil {
		p.err = err
	}
}
