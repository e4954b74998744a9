package router_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/containrrr/shoutrrr/pagerdutytest"
	"github.com/containrrr/shoutrrr/pkg/router"
	"github.com/containrrr/shoutrrr/pkg/types"
)

// An incident that is triggered and resolved by its dedup key, whatever the texts say,
// within ten seconds each.
func ExampleServiceRouter_Deliver() {
	server := pagerdutytest.NewServer(exampleTB{})
	defer server.Close()
	sender, err := router.NewWithOptions(nil, types.SenderOptions{Timeout: 10 * time.Second}, server.ServiceURL("eb243592faa24ba2a5511afdf565c889"))
	if err != nil {
		log.Fatal(err)
	}
	for _, step := range []struct{ message, action string }{{"Disk full", "trigger"}, {"Cleaned", "resolve"}} {
		for _, result := range sender.Deliver(context.Background(), step.message, &types.Params{"dedup_key": "db-1/disk", "action": step.action}) {
			fmt.Println(result.Receipt.DedupKey, result.Err, server.Incidents()[0].Status)
		}
	}
	// Output:
	// db-1/disk <nil> triggered
	// db-1/disk <nil> resolved
}

type exampleTB struct{}

func (exampleTB) Helper()                        {}
func (exampleTB) Cleanup(func())                 {}
func (exampleTB) Logf(string, ...any)            {}
func (exampleTB) Errorf(format string, v ...any) { log.Printf(format, v...) }
func (exampleTB) Fatalf(format string, v ...any) { log.Fatalf(format, v...) }
func (exampleTB) Failed() bool                   { return false }
