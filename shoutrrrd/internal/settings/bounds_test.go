package settings

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// Whatever its shape, a file costs no more memory than a full list of keys does. Each of
// these took gigabytes, minutes or the process, or is at the edge of what is taken.
func TestFilesAreBounded(t *testing.T) {
	numbered := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(strings.ReplaceAll(format, "N", fmt.Sprint(i)))
		}
		return b.String()
	}
	repeat := strings.Repeat
	for _, c := range []struct{ name, text, want string }{
		{"brackets", repeat("[", maxFile), "marks"},
		{"larger than a file may be", repeat("#", maxFile+1), "is larger than 2097152 bytes"},
		{"braces", "rate: " + repeat("{a: ", 20_000) + "1" + repeat("}", 20_000), ":1:131: lists and names stand in each other more than 32 deep"},
		{"brackets that a text closes", "keys: " + repeat("[\"]]]\", ", 5_000), "more than 32 deep"},
		{"dashes in one line", "keys: \n  " + repeat("- ", 30_000) + "a", ":2:65: lists and names"},
		{"questions", repeat("? ", 60_000) + "a", ":1:65: lists and names"},
		{"indentation", func() string {
			var b strings.Builder
			for i := range 500 {
				b.WriteString(repeat(" ", i) + "a:\n")
			}
			return b.String()
		}(), ":33:34: lists and names"},
		{"tags", "keys: " + repeat("! ", 40_000), ":1:7: anchors, aliases and tags"},
		{"aliases", "keys: &a [x,x]\npools: [" + repeat("*a,", 40_000) + "]", ":1:7: anchors, aliases and tags"},
		{"names beside each other", numbered(40_000, "aN: 1\n"), ":301:5: more than 300 names"},
		{"names in braces", "keys: [{" + numbered(30_000, "aN: 1,") + "}]", "more than 300 names"},
		{"unknown names in a long line", "keys: [" + repeat("{a: 1},", 24_000) + "]", "these are the first 50 problems"},
		{"unknown aliases", "keys:\n" + numbered(6_000, "  - {alias: tN, key: 0123456789abcdef0123456789a0N}\n") + "pools:\n" + numbered(5_000, "  - {name: pN, keys: [uN, vN]}\n"), "these are the first 50 problems"},
		{"a long text", "rate: " + repeat("a ", maxFile/2-100), "neither auto nor"},
		{"a long text with escapes", `rate: "` + repeat(`\n`, maxFile/2-100) + `"`, "neither auto nor"},
		{"a long block", "rate: |\n" + repeat("  "+repeat("a", 60)+"\n", 32_000), "neither auto nor"},
		{"too many keys", "keys:\n" + numbered(20_000, "  - alias: tN\n    key: file:N.key\n    rate: 1\n"), "at most 100000 are taken: list fewer keys"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := files(t, c.text)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Load(Sources{Getenv: environment(), File: path})
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %.2000v, want %q", err, c.want)
			}
			if len(err.Error()) > 50_000 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			// All that was ever taken, garbage included; the edge of what is taken has 170 MB.
			if taken := (after.TotalAlloc - before.TotalAlloc) >> 20; taken > 300 {
				t.Errorf("it took %d MB", taken)
			}
		})
	}
}

// The bounds leave room for ten thousand keys in pools.
func TestManyKeys(t *testing.T) {
	const keys = 10_000
	var b strings.Builder
	b.WriteString("keys:\n")
	for i := range keys {
		fmt.Fprintf(&b, "  - alias: team-%d\n    key: %032x\n    rate: 120\n", i, i)
	}
	b.WriteString("pools:\n")
	for i := range 2_000 {
		fmt.Fprintf(&b, "  - {name: pool-%d, keys: [team-%d, team-%d]}\n", i, 2*i, 2*i+1)
	}
	s := load(t, b.String())
	found := s.Lookup(s.Keys[3_999].Key)
	if len(s.Keys) != keys || found.Pool != "pool-1999" || found.Rate != 120 {
		t.Errorf("%d keys, %+v", len(s.Keys), found)
	}
	if pool := s.PoolKeys("pool-1999"); len(pool) != 2 || !pool[0].Equal(s.Keys[3_998].Key) || !pool[1].Equal(s.Keys[3_999].Key) {
		t.Errorf("the pool has %d keys", len(pool))
	}
}
