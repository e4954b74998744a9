package shoutrrr_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"time"

	"github.com/containrrr/shoutrrr"
	"github.com/containrrr/shoutrrr/pagerdutytest"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
	"github.com/containrrr/shoutrrr/pkg/pagerduty"
	"github.com/containrrr/shoutrrr/pkg/types"
)

// sandbox starts PagerDuty's stand-in and returns the URL that leads to it. In
// production the URL is "pagerduty:///" and the integration key.
func sandbox() (server *pagerdutytest.Server, url string) {
	server = pagerdutytest.NewServer(exampleTB{})
	return server, server.ServiceURL("eb243592faa24ba2a5511afdf565c889")
}

// exampleTB lets an example, which has no *testing.T, start a server.
type exampleTB struct{}

func (exampleTB) Helper()                        {}
func (exampleTB) Cleanup(func())                 {}
func (exampleTB) Logf(string, ...any)            {}
func (exampleTB) Errorf(format string, v ...any) { log.Printf(format, v...) }
func (exampleTB) Fatalf(format string, v ...any) { log.Fatalf(format, v...) }
func (exampleTB) Failed() bool                   { return false }

func ExampleSend() {
	server, url := sandbox()
	defer server.Close()

	err := shoutrrr.Send(url, "Database connection failed", &types.Params{
		"severity": "critical",
		"source":   "production-db-01",
		"details":  `{"database": "postgres", "error": "connection timeout"}`,
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, incident := range server.Incidents() {
		fmt.Println(incident.Status, incident.Severity, incident.Summary)
	}
	// Output: triggered critical Database connection failed
}

func ExampleSendContext() {
	server, url := sandbox()
	defer server.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	fmt.Println(shoutrrr.SendContext(ctx, url, "Disk full"))
	// Output: <nil>
}

// A sender that is kept parses the URL once and opens one connection. Its Deliver
// returns what PagerDuty said.
func ExampleCreateSender() {
	server, url := sandbox()
	defer server.Close()

	sender, err := shoutrrr.CreateSender(url)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	for _, result := range sender.Deliver(ctx, "Web server unresponsive", &types.Params{"dedup_key": "web-1"}) {
		if result.Err != nil {
			log.Fatal(result.Err)
		}
		fmt.Println(result.Receipt.DedupKey, result.Receipt.Status)
	}
	for _, err := range sender.Send("Restarted", &types.Params{"dedup_key": "web-1", "action": "resolve"}) {
		fmt.Println(err)
	}
	fmt.Println(server.Incidents()[0].Status)
	// Output:
	// web-1 202
	// <nil>
	// resolved
}

// Options bound the time, log to slog and tell each attempt to your metrics.
func ExampleCreateSenderWithOptions() {
	server, url := sandbox()
	defer server.Close()
	fault, err := pagerdutytest.ParseFault("429:retry-after=1")
	if err != nil {
		log.Fatal(err)
	}
	server.Inject(fault)

	sender, err := shoutrrr.CreateSenderWithOptions(types.SenderOptions{
		RetryFor: time.Minute,
		OnAttempt: func(a types.Attempt) {
			fmt.Println("attempt", a.Number, "status", a.Status, "again:", a.Wait > 0)
		},
	}, url)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(sender.Send("Disk full", nil))
	// Output:
	// attempt 1 status 429 again: true
	// attempt 2 status 202 again: false
	// [<nil>]
}

func ExampleNewSender() {
	server, url := sandbox()
	defer server.Close()

	sender, err := shoutrrr.NewSender(log.New(os.Stdout, "", 0), url)
	if err != nil {
		log.Fatal(err)
	}
	defer sender.Flush(nil)
	sender.Enqueue("%d of %d checks failed", 2, 7)
	// Output:
}

func ExampleNewSenderWithOptions() {
	server, url := sandbox()
	defer server.Close()

	records := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			switch a.Key {
			case slog.LevelKey, slog.MessageKey, "action", "status":
				return a
			}
			return slog.Attr{}
		},
	}))
	sender, err := shoutrrr.NewSenderWithOptions(nil, types.SenderOptions{Logger: records}, url)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(sender.Send("Disk full", nil))
	// Output:
	// level=INFO msg="event accepted" action=trigger status=202
	// [<nil>]
}

// The error says whether to try again later, and never holds the key.
func ExampleSend_errors() {
	err := shoutrrr.Send("pagerduty:///eb243592faa24ba2a5511afdf565c889?severity=warnig", "Disk full")
	var config *pagerduty.ConfigError
	fmt.Println(errors.As(err, &config), err)

	server, url := sandbox()
	defer server.Close()
	fault, err := pagerdutytest.ParseFault("status:status=401")
	if err != nil {
		log.Fatal(err)
	}
	server.Inject(fault)
	err = shoutrrr.Send(url, "Disk full")
	var refused *eventsv2.Error
	fmt.Println(errors.Is(err, eventsv2.ErrUnauthorized), errors.As(err, &refused) && refused.Temporary())

	err = shoutrrr.Send("slack://token@channel", "Disk full")
	fmt.Println(errors.Is(err, shoutrrr.ErrUnknownService), err)
	// Output:
	// true pagerduty: severity "warnig": must be one of info, warning, error, critical, did you mean warning?
	// true false
	// true unknown service "slack": there is pagerduty
}

func ExampleSetLogger() {
	shoutrrr.SetLogger(log.New(os.Stderr, "pager: ", log.LstdFlags))
	defer shoutrrr.SetLogger(nil)
	// Output:
}

func ExampleVersion() {
	fmt.Println(shoutrrr.Version() != "")
	// Output: true
}
