package browser

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pagerdutytest"
)

// keys gives the two keys their names. A rate of 1 keeps what waits waiting.
func keys(rate int) string {
	return fmt.Sprintf("keys:\n  - {alias: db, key: %q, rate: %d}\n  - {alias: web, key: %q}", dbKey, rate, webKey)
}

// pages are all there are, with what each of them has to say about a relay whose
// first event is disk-0.
var pages = []struct{ name, path, says string }{
	{"overview", "/", "shoutrrrd"},
	{"events", "/events", "Filter"},
	{"search", "/events?q=state%3Aqueued+sev%3E%3Derror+%22almost+full%22", "Filter"},
	{"wrong filter", "/events?q=colour%3Ared", "This filter cannot be read"},
	{"event", "/events/1", "Its way"},
	{"dead", "/dead", "Dead letters"},
	{"lane", "/lanes/db", "Learned limit"},
}

// Every page with no event, with one and with 100,000 (in make test 2,000): it is there, in both modes and
// on a narrow screen, without an error, a request elsewhere or a barrier.
func TestPages(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, prove.Share(t, 2000, 100_000, 100_000)} {
		t.Run(fmt.Sprint(n, " events"), func(t *testing.T) {
			t.Parallel()
			r := startRelay(t, keys(1))
			r.fill(t, n)
			b := openTab(t, r)
			for _, page := range pages {
				b.open(page.path)
				if n == 0 && (page.name == "event" || page.name == "lane") {
					b.says("Not Found")
					b.forgive("404")
				} else {
					b.says(page.says)
				}
				b.noBarriers(page.name)
			}
			b.open("/")
			if n > 0 {
				b.says("db")
			} else {
				b.says("No event has come yet")
				b.says(strings.TrimPrefix(r.front, "http://") + "/YOUR_INTEGRATION_KEY")
			}
		})
	}
}

// noBarriers looks for what would keep somebody out, in light and in dark and on a
// narrow screen, and keeps a picture of each if SHOUTRRR_PICTURES names a folder.
func (b *tab) noBarriers(name string) {
	b.t.Helper()
	for _, mode := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 390} {
			b.do(command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: mode}}}),
				chromedp.EmulateViewport(width, 900))
			for _, violation := range b.axe() {
				b.t.Errorf("%s, %s, %d wide: %s", name, mode, width, violation)
			}
			if wide := eval[int64](b, "document.documentElement.scrollWidth"); wide > width {
				b.t.Errorf("%s, %s: %d wide on a screen of %d", name, mode, wide, width)
			}
			b.picture(fmt.Sprintf("%s-%s-%d", name, mode, width))
		}
	}
}

// axe returns what axe-core finds serious or critical.
func (b *tab) axe() (found []string) {
	b.t.Helper()
	if !eval[bool](b, "typeof axe === 'object'") {
		eval[bool](b, axeCore+"\n;true")
	}
	text := get(b, chromedp.Evaluate[string](`axe.run(document, {resultTypes: ["violations"]}).then(r => JSON.stringify(r.violations.map(v =>
		({id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.map(n => n.html + " " + n.failureSummary)}))))`, chromedp.EvalAwaitPromise))
	var violations []struct {
		ID, Impact, Help string
		Nodes            []string
	}
	if err := json.Unmarshal([]byte(text), &violations); err != nil {
		b.t.Fatal(err)
	}
	for _, v := range violations {
		if v.Impact == "serious" || v.Impact == "critical" {
			found = append(found, fmt.Sprintf("%s: %s: %s", v.ID, v.Help, strings.Join(v.Nodes, "\n")))
		}
	}
	return found
}

// A field without a name and a text that is too pale are found: the search works.
func TestBarriersAreSeen(t *testing.T) {
	t.Parallel()
	b := openTab(t, startRelay(t))
	b.open("/events")
	eval[bool](b, `document.getElementById("content").insertAdjacentHTML("beforeend", "<input type=text><p id=pale>pale</p>"), document.getElementById("pale").style.color = "#eee", true`)
	found := strings.Join(b.axe(), "\n")
	for _, rule := range []string{"label: ", "color-contrast: "} {
		if !strings.Contains(found, rule) {
			t.Errorf("nothing is found against the rule %q:\n%s", rule, found)
		}
	}
}

func (b *tab) picture(name string) {
	dir := os.Getenv("SHOUTRRR_PICTURES")
	if dir == "" {
		return
	}
	b.t.Helper()
	png := get(b, chromedp.CaptureScreenshot())
	file := strings.NewReplacer(" ", "-", "/", "-").Replace(b.t.Name() + "-" + name + ".png")
	if err := os.WriteFile(filepath.Join(dir, file), png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// A page that somebody looks at follows the relay: an event shows, and its end.
func TestLive(t *testing.T) {
	t.Parallel()
	r := startRelay(t, keys(300))
	list, overview := openTab(t, r), openTab(t, r)
	overview.open("/")
	overview.says("No event has come yet")
	list.open("/events?q=lane%3Adb")
	list.says("there is no such lane")
	r.send(t, trigger(dbKey, "first", "critical", "The first disk is full"))
	list.open("/events?q=lane%3Adb")
	list.says("The first disk is full")

	sent := time.Now()
	r.send(t, trigger(dbKey, "second", "critical", "The second disk is full"))
	list.says("The second disk is full")
	t.Logf("it showed after %v", time.Since(sent))
	list.until(`document.querySelectorAll("td .delivered").length === 2`)
	overview.until(`document.querySelector("tbody th a")?.textContent === "db"`)
	overview.says("2 of 300")
	if title := eval[string](overview, "document.title"); !strings.HasPrefix(title, "Pages leave at once · ") {
		t.Errorf("the title is %q", title)
	}
	if zone := eval[bool](overview, `[...document.querySelectorAll("time")].every(t => t.dateTime && t.title.endsWith("UTC"))`); !zone {
		t.Error("a time has no exact one")
	}
}

// The emulator's page is one of the family: it shows the incidents, their states and
// their timelines, and keeps nobody out.
func TestEmulatorPage(t *testing.T) {
	t.Parallel()
	r := startRelay(t, keys(300))
	r.send(t, trigger(dbKey, "first", "critical", "The disk is full"))
	r.send(t, event{Key: dbKey, Action: "acknowledge", Dedup: "first"})
	r.send(t, event{Key: dbKey, Action: "resolve", Dedup: "first"})
	r.send(t, trigger(dbKey, "second", "info", "Something"))
	r.emulator.WantIncident(t, "first").Resolved()
	r.emulator.WantIncident(t, "second").Triggered()
	b := openTab(t, r)
	b.origin = r.emulator.URL()
	b.open("/?hold")
	for _, text := range []string{"2 incidents, 1 open", "The disk is full", "resolved", "acknowledge", "Something", "triggered", "somebody is paged"} {
		b.says(text)
	}
	b.noBarriers("emulator")
}

// Times are in the zone of whoever looks, and exact on hover.
func TestZone(t *testing.T) {
	t.Parallel()
	r := startRelay(t, keys(300))
	r.send(t, trigger(dbKey, "first", "info", "Something"))
	b := openTab(t, r)
	b.do(command(emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Asia/Kolkata"}))
	b.open("/events/1")
	b.until(`!document.querySelector(".timeline time").textContent.includes("UTC")`)
	exact := eval[string](b, `document.querySelector(".timeline time").title`)
	at, err := time.Parse("2006-01-02 15:04:05.000 UTC", exact)
	if err != nil {
		t.Fatal(err)
	}
	want := at.Add(5*time.Hour + 30*time.Minute).Format(time.TimeOnly)
	if got := eval[string](b, `document.querySelector(".timeline time").textContent`); got != want {
		t.Errorf("%s shows as %s, want %s", exact, got, want)
	}
}

// The keyboard goes to the filter, through the rows and into one.
func TestKeys(t *testing.T) {
	t.Parallel()
	r := startRelay(t, keys(300))
	for i := range 3 {
		r.send(t, trigger(dbKey, fmt.Sprint("disk-", i), "info", fmt.Sprint("Disk ", i, " is full")))
	}
	b := openTab(t, r)
	b.open("/events")
	b.says("Disk 2 is full")
	b.do(press("/"))
	b.until(`document.activeElement.id === "q"`)
	b.do(chromedp.KeyEvent("sev:info\r")) // the slash itself is not in it
	b.until(`location.search.includes("sev")`)
	b.says("Disk 2 is full")
	b.do(press("j"), press("j"), press("k"), press("j"), press("Enter"))
	b.until(`location.pathname === "/events/2"`)
}

// What PagerDuty refused goes again by two clicks and a reason, one or all of a kind,
// and the history tells who did it and why.
func TestRequeueByClick(t *testing.T) {
	t.Parallel()
	r := startRelay(t, keys(300))
	r.emulator.Inject(pagerdutytest.Fault{Name: "400", Count: 3})
	for i := range 3 {
		r.send(t, trigger(dbKey, fmt.Sprint("disk-", i), "critical", fmt.Sprint("Disk ", i, " is full")))
	}
	b := openTab(t, r)
	b.open("/events/1")
	b.says("refused")
	b.open("/events/1") // with its actions, which do not come by themselves
	b.do(click(".act summary"), enter(`.act[open] input[name=why]`, "the details are valid now"), click(".act[open] button"))
	b.says("Requeued")
	r.emulator.WantIncident(t, "disk-0").Triggered()
	b.until(`document.querySelector(".timeline li:last-child strong")?.textContent === "delivered"`)
	b.says("requeued by local: the details are valid now")

	b.open("/dead")
	b.says("2 events:")
	b.do(click(".act summary"))
	b.says("2 events, 2 critical, oldest")
	b.do(enter(`.act[open] input[name=why]`, "these too"), click(".act[open] button"))
	b.says("Requeued")
	r.emulator.WantIncident(t, "disk-1").Triggered()
	r.emulator.WantIncident(t, "disk-2").Triggered()
	b.says("There are none.")
}

// openDead opens the page of the dead letters, where one event is. PagerDuty refuses so many of those that are sent, this one among them.
func openDead(t *testing.T, refused int) (*relay, *tab) {
	t.Helper()
	r := startRelay(t, keys(300))
	r.emulator.Inject(pagerdutytest.Fault{Name: "400", Count: refused})
	r.send(t, trigger(dbKey, "disk-0", "error", "Disk 0 is full"))
	b := openTab(t, r)
	b.open("/dead")
	b.says("1 event:")
	return r, b
}

// A page that has nothing new to say keeps its nodes, and with them the focus and what a click is aimed at, while the ages on it go on.
func TestUnchangedPageKeepsItsNodes(t *testing.T) {
	t.Parallel()
	_, b := openDead(t, 1)
	eval[bool](b, `window.node = document.querySelector(".act summary"), node.focus(), true`)
	eval[bool](b, `window.updates = 0, window.original = show, window.show = (update) => { original(update); updates++; }, true`)
	b.until("updates >= 3") // the ages have changed each time
	if !eval[bool](b, "node.isConnected && document.activeElement === node") {
		t.Error("an update that changed nothing has replaced the page's nodes")
	}
}

// A click takes a tenth of a second, and works although the page changes between the press and the release.
func TestClickWhileThePageChanges(t *testing.T) {
	t.Parallel()
	r, b := openDead(t, 2)
	const link = `document.querySelector('section a[href^="/lanes/"]')`
	box := eval[[]float64](b, link+`.scrollIntoView(), (r => [r.x + r.width / 2, r.y + r.height / 2])(`+link+`.getBoundingClientRect())`)
	mouse := func(typ input.DispatchMouseEventType) chromedp.Action[chromedp.Void] {
		return command(input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: typ, X: box[0], Y: box[1], Button: input.MouseButtonLeft, ClickCount: 1})
	}
	b.do(mouse(input.DispatchMouseEventTypeMousePressed))
	r.send(t, trigger(dbKey, "disk-1", "error", "Disk 1 is full"))
	b.until(`document.getElementById("bar").innerText.includes("2 dead letters")`) // the page's update came with it
	b.do(mouse(input.DispatchMouseEventTypeMouseReleased))
	b.until(`location.pathname.startsWith("/lanes/")`)
	b.says("db")
	b.open("/dead")
	b.says("2 events:")
}

// An open form stays open and keeps what was typed, however much happens.
func TestOpenFormStays(t *testing.T) {
	t.Parallel()
	r, b := openDead(t, 2)
	b.do(click(".act summary"), enter(`.act[open] input[name=why]`, "because"))
	r.send(t, trigger(dbKey, "disk-1", "error", "Disk 1 is full"))
	b.until(`document.getElementById("bar").innerText.includes("2 dead letters")`)
	b.says("Live updates paused while a form is open.")
	if typed := eval[string](b, `document.querySelector(".act[open] input[name=why]").value`); typed != "because" {
		t.Errorf("what was typed is %q", typed)
	}
	b.do(click(".act[open] summary"))
	b.says("2 events:")
}

// A lane is paused and resumed, with a reason that everybody sees.
func TestPauseByClick(t *testing.T) {
	t.Parallel()
	r := startRelay(t, keys(300))
	r.send(t, trigger(dbKey, "first", "info", "Something"))
	b := openTab(t, r)
	b.open("/lanes/db")
	b.do(click(".act summary"), enter(`.act[open] input[name=why]`, "maintenance until five"), click(".act[open] button"))
	b.says("paused by local: maintenance until five")
	r.send(t, trigger(dbKey, "second", "critical", "It waits"))
	b.says("It waits")
	b.open("/")
	b.says("paused by local: maintenance until five")
	b.until(`document.getElementById("icon").getAttribute("href").includes("alarm")`) // after ten seconds
	b.says("1 critical page is not being delivered; it has waited ")
	b.says("db is paused by local")
	b.until(`document.title.startsWith("1 critical page is not being delivered; ") && document.querySelector("#headline.bad") !== null`)
	b.open("/lanes/db")
	b.do(click(".act summary"), enter(`.act[open] input[name=why]`, "done"), click(".act[open] button"))
	r.emulator.WantIncident(t, "second").Triggered()
	b.says("resumed by local: done")
	b.says("paused by local: maintenance until five")
}

// PagerDuty answers 500 to all: the header says so in red, and the upstream has its line.
func TestOutage(t *testing.T) {
	t.Parallel()
	r := startRelay(t, keys(300))
	r.emulator.Inject(pagerdutytest.Fault{Name: "500", Status: 500, Count: -1})
	r.send(t, trigger(dbKey, "first", "critical", "It waits"))
	r.send(t, trigger(dbKey, "second", "critical", "It waits, too"))
	b := openTab(t, r)
	b.open("/")
	b.until(`document.querySelector("#headline.bad")?.textContent.startsWith("2 critical pages are not being delivered; the oldest has waited ")`)
	b.until(`document.title.startsWith("2 critical pages are not being delivered; ") && document.getElementById("icon").getAttribute("href").includes("alarm")`)
	b.says(" answers 500")
	b.says("nothing was accepted since ")
	b.says("failing: ")
	b.noBarriers("outage")
}

// A relay that is killed, or stands still, under an open page: the page says so on top, in
// its title and its icon, and takes it back when the relay answers again.
func TestRelayGone(t *testing.T) {
	t.Parallel()
	const gone = `!document.getElementById("gone").hidden && document.title.startsWith("RELAY DOES NOT ANSWER") && document.getElementById("icon").getAttribute("href").includes("alarm")`
	r := startRelay(t, keys(300))
	r.send(t, trigger(dbKey, "first", "info", "Something"))
	b := openTab(t, r)
	b.open("/")
	b.says("db")
	_ = r.process.Signal(syscall.SIGSTOP)
	stopped := time.Now()
	b.until(gone)
	t.Logf("a relay that stands still: after %v", time.Since(stopped))
	b.says("THE RELAY DOES NOT ANSWER")
	_ = r.process.Signal(syscall.SIGCONT)
	b.until(`document.getElementById("gone").hidden && document.title.startsWith("Pages leave at once")`)
	_ = r.process.Signal(syscall.SIGTERM)
	stopped = time.Now()
	b.until(gone)
	t.Logf("a relay that has ended: after %v", time.Since(stopped))
	b.forgive("ERR_")
}

// Whatever somebody sends, it stays text.
func TestHostileText(t *testing.T) {
	t.Parallel()
	const hostile = `"><script>window.bad=1</script><img src=x onerror=window.bad=1>{{.}}` + "\u202e'</title></textarea>"
	r := startRelay(t, keys(300))
	r.emulator.Inject(pagerdutytest.Fault{Name: "400", Count: 1})
	r.send(t, event{Key: dbKey, Action: "trigger", Dedup: hostile, Payload: &payload{
		Summary: hostile, Source: hostile, Severity: hostile, Details: map[string]any{hostile: hostile},
	}})
	b := openTab(t, r)
	b.open("/dead")
	b.says("1 event:")
	b.do(click(".act summary"), enter(`.act[open] input[name=why]`, hostile), click(".act[open] button"))
	b.says("Requeued")
	r.emulator.WantIncident(t, hostile).Triggered()
	for _, path := range []string{"/", "/events", "/events/1", "/events?q=%22%3E%3Cscript%3Ewindow.bad%3D1%3C%2Fscript%3E", "/lanes/db", "/dead", "/lanes/%22%3E%3Cscript%3Ewindow.bad%3D1%3C%2Fscript%3E"} {
		b.open(path)
		b.until("document.readyState === 'complete'")
		if eval[bool](b, `window.bad === 1 || [...document.scripts].length !== 1 || document.images.length !== 0 || document.title.includes("script")`) {
			t.Errorf("%s: text has become a part of the page:\n%s", path, eval[string](b, "document.documentElement.outerHTML"))
		}
	}
	b.forgive("404")
	b.open("/events/1")
	b.says(`"><script>window.bad=1</script>`)
}

// With tokens whoever looks has to sign in; a viewer sees no buttons, and nobody gets
// a page, or news of one, without.
func TestSignIn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	token := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(name+"-0123456789abcdef0123456789\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	r := startRelay(t, keys(300), fmt.Sprintf("tokens:\n  - {name: ana, role: operator, file: %s}\n  - {name: ben, role: viewer, file: %s}", token("ana"), token("ben")))
	r.send(t, trigger(dbKey, "first", "info", "Something"))
	b := openTab(t, r)
	signIn := func(token string) {
		b.do(chromedp.WaitVisible(chromedp.CSS("input[name=token]")), enter("input[name=token]", token), click(".signin button"))
	}
	b.open("/lanes/db")
	b.says("Sign in")
	b.noBarriers("sign in")
	signIn("nobody")
	b.says("Nobody has this token.")
	b.forgive("401")
	signIn("ben-0123456789abcdef0123456789")
	b.says("ben, viewer")
	b.says("Learned limit") // the page that was asked for
	if n := eval[int](b, `document.querySelectorAll(".act").length`); n != 0 {
		t.Errorf("a viewer sees %d actions", n)
	}
	b.do(click(".who button"))
	signIn("ana-0123456789abcdef0123456789")
	b.says("ana, operator")
	b.open("/lanes/db")
	b.do(click(".act summary"), enter(`.act[open] input[name=why]`, "a test"), click(".act[open] button"))
	b.says("paused by ana: a test")
}

// Without scripts everything can be read and done; it only stands still.
func TestWithoutScripts(t *testing.T) {
	t.Parallel()
	r := startRelay(t, keys(300))
	r.emulator.Inject(pagerdutytest.Fault{Name: "400", Count: 1})
	r.send(t, trigger(dbKey, "first", "critical", "The disk is full"))
	b := openTab(t, r)
	b.do(command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}))
	b.openUntil("/events/1", "refused")
	b.do(chromedp.WaitVisible(chromedp.CSS(".timeline")), click(".act summary"), enter(`.act[open] input[name=why]`, "again"), click(".act[open] button"), chromedp.WaitVisible(chromedp.CSS(".notice")))
	r.emulator.WantIncident(t, "first").Triggered()
	b.openUntil("/events?q=state%3Adelivered", "The disk is full")
}
