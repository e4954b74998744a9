package browser

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/containrrr/shoutrrr/pagerdutytest"
)

// TestPictures makes the pictures of docs/console.md, of a night like any other, in the folder that SHOUTRRR_PICTURES names. Without it they are
// made all the same, so that they can be made when they are needed.
func TestPictures(t *testing.T) {
	t.Parallel()
	dir := cmp.Or(os.Getenv("SHOUTRRR_PICTURES"), t.TempDir())
	r := startRelay(t, fmt.Sprintf("keys:\n  - {alias: db-oncall, key: %q}\n  - {alias: network, key: %q, rate: 60}\n  - {alias: shop, key: %q}", dbKey, webKey, "fedcba9876543210fedcba9876543210"))
	const network, shop = webKey, "fedcba9876543210fedcba9876543210"
	r.emulator.Inject(pagerdutytest.Fault{Name: "503", Count: 2}, pagerdutytest.Fault{Name: "400", Count: 3})
	checkout := trigger(shop, "checkout", "CRIT", "Checkout answers 500 since 03:12")
	checkout.Payload.Details = map[string]any{"url": "https://shop.example.com/checkout", "failing": "31 %", "runbook": "https://runbooks.example.com/checkout"}
	r.send(t, checkout)
	r.emulator.WantIncident(t, "checkout").Within(patience)
	for i := range 4 {
		r.send(t, trigger(dbKey, fmt.Sprint("replica-", i), "warning", fmt.Sprintf("Replica %d is 40 s behind", i)))
	}
	for i := range 420 {
		r.send(t, trigger(network, fmt.Sprint("port-", i), []string{"info", "warning", "error"}[i%3], fmt.Sprintf("Port %d of switch-%d is down", i%48, i/48)))
	}
	r.send(t, trigger(network, "core", "critical", "Core router 1 does not answer"))
	b := openTab(t, r)
	for _, p := range []struct {
		name, path, says, mode string
		height                 int64
	}{
		{"overview", "/", "Storm on network", "light", 300},
		{"event", "/events/1", "delivered", "dark", 640},
	} {
		b.do(command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: p.mode}}}),
			chromedp.EmulateViewport(1200, p.height))
		b.open(p.path)
		b.says(p.says)
		if err := os.WriteFile(filepath.Join(dir, "console-"+p.name+".png"), get(b, chromedp.CaptureScreenshot()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
