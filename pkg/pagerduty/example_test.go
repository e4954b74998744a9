package pagerduty_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/containrrr/shoutrrr/pagerdutytest"
	"github.com/containrrr/shoutrrr/pkg/pagerduty"
	"github.com/containrrr/shoutrrr/pkg/types"
)

// A ledger of files lasts from one run of a program to the next: the second run
// resolves what the first has triggered, without its dedup key.
func ExampleOpenFileLedger() {
	server := pagerdutytest.NewServer(exampleTB{})
	defer server.Close()
	folder, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)

	for _, run := range []struct{ message, action string }{{"Backup failed", "trigger"}, {"Backup is back", "resolve"}} {
		config, err := pagerduty.Parse(server.ServiceURL("eb243592faa24ba2a5511afdf565c889") + "&source=db-1")
		if err != nil {
			log.Fatal(err)
		}
		service := pagerduty.New(config, pagerduty.Options{Ledger: pagerduty.OpenFileLedger(filepath.Join(folder, "incidents"))})
		receipt, err := service.Deliver(context.Background(), run.message, &types.Params{"action": run.action})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(receipt.Action, receipt.Matched, server.Incidents()[0].Status)
	}
	// Output:
	// trigger true triggered
	// resolve true resolved
}

type exampleTB struct{}

func (exampleTB) Helper()                        {}
func (exampleTB) Cleanup(func())                 {}
func (exampleTB) Logf(string, ...any)            {}
func (exampleTB) Errorf(format string, v ...any) { log.Printf(format, v...) }
func (exampleTB) Fatalf(format string, v ...any) { log.Fatalf(format, v...) }
func (exampleTB) Failed() bool                   { return false }
