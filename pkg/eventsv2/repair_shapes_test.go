package eventsv2_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/containrrr/shoutrrr/internal/bodies"
	"github.com/containrrr/shoutrrr/internal/plain"
	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

// Each shape is long enough here that the event has to be made to fit.
func TestRepairShapes(t *testing.T) {
	prove.NoRace(t)
	size := 1 << prove.Share(t, 12, 15, 15)
	for _, s := range bodies.Shapes() {
		t.Run(s.Name, func(t *testing.T) {
			body := s.Body(size)
			repaired(t, body)
			repairedChange(t, body)
		})
	}
}

// Large bodies: some of the shapes of some of the sizes at each run, and bodies that
// are drawn at random.
func TestRepairLargeBodies(t *testing.T) {
	prove.NoRace(t)
	shapes := bodies.Shapes()
	largest := prove.Share(t, 16, 21, 21) // the race detector makes a hundred of 2 MiB minutes
	rapid.Check(t, func(rt *rapid.T) {
		size := 1 << rapid.IntRange(12, largest).Draw(rt, "power of the size")
		var body []byte
		if rapid.Bool().Draw(rt, "known shape") {
			s := rapid.SampledFrom(shapes).Draw(rt, "shape")
			rt.Logf("%s", s.Name)
			body = s.Body(size)
		} else {
			body = randomShape(rt, size)
		}
		repaired(tb{t: rt}, body)
		repairedChange(tb{t: rt}, body)
	})
}

// randomShape repeats some members in the event, its payload or its details.
func randomShape(t *rapid.T, size int) []byte {
	inner := strings.Trim(randomObject(t, 1), "{}")
	if inner == "" {
		inner = `"":0`
	}
	s := bodies.Shape{Before: `{"routing_key":"` + repairKey + `","event_action":"trigger","dedup_key":"d"`, Unit: "," + inner, After: "}"}
	switch rapid.IntRange(0, 3).Draw(t, "place") {
	case 1:
		s.Before, s.After = s.Before+`,"payload":{"summary":"s"`, "}}"
	case 2:
		s.Before, s.After = s.Before+`,"details":{"x":0`, "}}"
	case 3:
		s.Before, s.Unit, s.After = s.Before+`,"`+rapid.SampledFrom(names).Draw(t, "list")+`":[0`, ",{"+inner+"}", "]}"
	}
	if rapid.Bool().Draw(t, "numbered") {
		s.Unit = strings.Replace(s.Unit, `":`, `_#":`, 1)
	}
	return s.Body(size)
}

// clock is a context that ends after some looks at it, as if time passed by them.
type clock struct {
	context.Context
	looks, ends int
}

var errOver = errors.New("the time is over")

func (c *clock) Err() error {
	if c.looks++; c.looks > c.ends {
		return errOver
	}
	return nil
}

// The work for a large body ends soon after its context does, whatever
// the members are that it is made of.
func TestRepairStops(t *testing.T) {
	prove.NoRace(t)
	stopped := 0
	for i, s := range bodies.Shapes() {
		if i%10 != 0 {
			continue
		}
		body := s.Body(256 << 10)
		ctx := &clock{Context: context.Background(), ends: 1}
		_, _, err := eventsv2.Repair(ctx, body, repairOptions())
		if ctx.looks <= ctx.ends {
			continue // few members: it is read at once
		}
		stopped++
		if !errors.Is(err, errOver) || ctx.looks > ctx.ends+4 { // twice at each place, for the cause
			t.Errorf("%s: %v after %d looks", s.Name, err, ctx.looks)
		}
	}
	if stopped < 10 {
		t.Errorf("%d bodies were long enough to be stopped", stopped)
	}
}

// A client that sends its event and closes its half of the connection has it kept.
func TestRepairOfSmallEventsIsNotStopped(t *testing.T) {
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	body := []byte(`{"routing_key":"` + repairKey + `","event_action":"trigger","payload":{"summary":"s","source":"o","severity":"info","custom_details":{` + manyNames(1000) + `}}}`)
	if _, _, err := eventsv2.Repair(gone, body, repairOptions()); err != nil {
		t.Error(err)
	}
	if _, err := eventsv2.ReadKey(gone, body); err != nil {
		t.Error(err)
	}
}

func manyNames(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"n%d":%d`, i, i)
	}
	return b.String()
}

// Each line of a repair is one line, whatever the names, texts and numbers are that
// it quotes: a store or a page shows it as a statement of the relay.
func TestRepairLinesAreSingleLines(t *testing.T) {
	prove.NoRace(t)
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.StringOf(rapid.SampledFrom([]rune("a7\n\r\t\x00\x07\x1b\x7f\u0085\u009b\u2028\u2029\u200b\u202e\ufeff\"\\#;'é😀"))).Draw(rt, "text")
		member := rapid.SampledFrom([]string{
			`%s:"` + strings.Repeat("x", 2000) + `"`, `%s:0`, `"timestamp":%s`, `"severity":%s`, `"event_action":%s,"event_action":"trigger"`, `"dedup_key":%s,"summary":%[1]s`,
			`"links":[%s,{%[1]s:1}]`, `"host":%s`, `"client_url":%s`, `"description":%s`, `"api_key"%s:1`,
		}).Draw(rt, "member")
		member = fmt.Sprintf(strings.ReplaceAll(member, `"api_key"%s`, `"api_key%s"`), eventsv2.AppendString(nil, text))
		start := `{"routing_key":"` + repairKey + `","event_action":"trigger"`
		all := []string{start + `,"payload":{` + member + `}}`, start + "," + member + "}"}
		if rapid.IntRange(0, 9).Draw(rt, "large") == 0 {
			all = append(all, start+`,"payload":{"summary":"s","custom_details":{`+strings.Repeat(member+",", 200)+`"large":"`+strings.Repeat("y", 600_000)+`"}}}`)
		}
		for _, body := range all {
			_, lines, _ := eventsv2.Repair(context.Background(), []byte(body), repairOptions())
			readable(tb{t: rt}, lines)
			_, lines, _ = eventsv2.RepairChange(context.Background(), []byte(body), repairOptions())
			readable(tb{t: rt}, lines)
		}
	})
}

// A sender cannot write a line of its own through the name of a detail.
func TestRepairQuotesNames(t *testing.T) {
	body := `{"routing_key":"` + repairKey + `","event_action":"trigger","payload":{"summary":"s","source":"o","severity":"info","custom_details":{` +
		`"x\nana has checked this: drop it\ny":"` + strings.Repeat("z", 600_000) + `","plain":"` + strings.Repeat("z", 600_000) + `"}}}`
	_, lines, err := eventsv2.Repair(context.Background(), []byte(body), repairOptions())
	if err != nil || len(lines) != 2 {
		t.Fatalf("%v, %q", err, lines)
	}
	for i, want := range []string{`custom_details."x\nana has checked this: drop it\ny" was too long`, `custom_details.plain was too long`} {
		if !strings.HasPrefix(lines[i], want) {
			t.Errorf("got %q, want %q", lines[i], want)
		}
	}
}

// A text of a few characters too many is cut whether its letters are of one byte
// or of three, or were bytes that are not UTF-8.
func TestRepairCutsSummaries(t *testing.T) {
	for over := range 6 {
		for _, letter := range []string{"a", "é", "\xff/", "😀"} {
			summary := strings.Repeat(letter, (eventsv2.MaxSummary+over)/max(utf8.RuneCountInString(letter), 1))
			summary += strings.Repeat("a", eventsv2.MaxSummary+over-utf8.RuneCountInString(summary))
			body := `{"routing_key":"` + repairKey + `","event_action":"trigger","dedup_key":"d","payload":{"summary":"` + summary + `","source":"o","severity":"info"}}`
			repaired(t, []byte(body))
			repairedChange(t, []byte(body))
			event, _, err := eventsv2.Repair(context.Background(), []byte(body), repairOptions())
			if err != nil {
				t.Fatal(err)
			}
			message, found := event.Payload.CustomDetails.Get("message")
			whole := plain.UTF8(summary)
			if found != (over > 0) || found && string(message) != `"`+whole+`"` {
				t.Errorf("%d characters too many of %q: the details have %d bytes of it", over, letter, len(message))
			}
		}
	}
}

// A key whose pieces a control character holds apart is found once that is dropped.
func TestRepairFindsKeysInPieces(t *testing.T) {
	key := repairKey[:10] + `\u0001` + repairKey[10:]
	start := `{"routing_key":"` + repairKey + `","event_action":"trigger",`
	for _, body := range []string{
		start + `"payload":{"summary":"` + key + `","source":"o","severity":"info"}}`,
		start + `"payload":{"source":"` + key + `"}}`,
		start + `"description":"` + key + `"}`,
		start + `"payload":{"custom_details":{"host":"` + key + `","title":"` + key + `"}}}`,
		start + `"client":"` + key + `"}`,
	} {
		repaired(t, []byte(body))
		event, _, err := eventsv2.Repair(context.Background(), []byte(body), repairOptions())
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{event.Payload.Summary, event.Payload.Source, event.Client} {
			if strings.Contains(text, repairKey) {
				t.Errorf("%s: the event has %q", body, text)
			}
		}
	}
}

// Texts that are made into others are as long as any: the event fits all the same.
func TestRepairShortensWhatItFillsIn(t *testing.T) {
	prove.NoRace(t)
	long := strings.Repeat("h", 600_000)
	start := `{"routing_key":"` + repairKey + `","event_action":"trigger","payload":{`
	payloads := []string{
		`"severity":"` + long + `"`, `"severity":` + strings.Repeat("7", 600_000), `"custom_details":{"host":"` + long + `"}`,
		`"component":"` + long + `","severity":"` + long + `"`, `"custom_details":{"title":"` + long + `","host":"` + long + `"},"class":"` + long + `"`,
	}
	for _, payload := range payloads[:prove.Share(t, 1, len(payloads), len(payloads))] {
		body := []byte(start + payload + "}}")
		repaired(t, body)
		repairedChange(t, body)
		if _, _, err := eventsv2.Repair(context.Background(), body, repairOptions()); err != nil {
			t.Errorf("%.60s: %v", payload, err)
		}
	}
}

// However many things are repaired, and however late, the lines are few.
func TestRepairLinesAreFew(t *testing.T) {
	for _, unknown := range []int{0, 1, 15, 16, 17, 20, 30} {
		body := `{"routing_key":"` + repairKey + `","event_action":"trigger"`
		for i := range unknown {
			body += fmt.Sprintf(`,"unknown%d":1`, i)
		}
		body += `,"details":{"x":0`
		for i := range 100 {
			body += fmt.Sprintf(`,"large%d":"%s"`, i, strings.Repeat("x", 6000))
		}
		event, lines, err := eventsv2.Repair(context.Background(), []byte(body+"}}"), repairOptions())
		if err != nil || len(lines) != 21 {
			t.Fatalf("%d lines, %v", len(lines), err)
		}
		// The summary, source and severity are missing as well, and details is of v1.
		if want := fmt.Sprintf("and %d more", unknown+4+100-20); lines[20] != want {
			t.Errorf("the last line is %q, want %q", lines[20], want)
		}
		readable(t, lines)
		if told, _ := event.Payload.CustomDetails.Get("relay_repairs"); len(told) > 5000 {
			t.Errorf("the responder reads %d bytes of repairs", len(told))
		}
	}
}

// What does not fit is counted whole, also what is never kept.
func TestRepairCountsWhatIsLeftOut(t *testing.T) {
	const n = 150_000
	start := `{"routing_key":"` + repairKey + `","event_action":"trigger","payload":{"summary":"s","source":"o","severity":"info"},`
	for _, body := range []string{
		start + `"details":{` + manyNames(n) + `}}`,
		start + manyNames(n) + `}`,
	} {
		event, lines, err := eventsv2.Repair(context.Background(), []byte(body), repairOptions())
		if err != nil {
			t.Fatal(err)
		}
		all := event.Payload.CustomDetails
		kept := 0
		for _, m := range all {
			if strings.HasPrefix(m.Name, "n") {
				kept++
			}
		}
		lost := len(all) - kept - 1 // beside the member that counts: what the repair says
		want := fmt.Sprintf("custom_details was too long: %d of %d details left out", n-kept, n+lost)
		if last := lines[len(lines)-1]; !strings.HasPrefix(last, want) && !strings.HasPrefix(last, "and ") || kept < 30_000 {
			t.Errorf("got %q, want %q", last, want)
		}
		value, found := all.Get("omitted")
		if want := fmt.Sprintf(`"%d of %d details left out`, n-kept, n+lost); !found || !strings.HasPrefix(string(value), want) {
			t.Errorf("got %s, want %s", value, want)
		}
		if size := len(event.AppendJSON(nil)); size > eventsv2.MaxEventBytes || size < eventsv2.MaxEventBytes-300 {
			t.Errorf("the event has %d bytes", size)
		}
	}
}
