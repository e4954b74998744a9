package eventsv2

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if target := os.Getenv(rootsTarget); target != "" {
		os.Exit(postAndTell(target))
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		shared().CloseIdleConnections()
		os.Exit(code)
	}))
}
