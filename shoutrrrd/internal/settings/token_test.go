package settings

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Tokens that were made up in a second are found; those of a generator are not.
func TestWeakTokens(t *testing.T) {
	for _, token := range []string{
		"0000000000000000", "0123456789abcdef", "abcdefghijklmnopqrstuvwxyz", "1111111122222222", "passwordpassword", "abababababababababababababababab",
		"9876543210987654", "aaaaaaaaaaaaaaab", "adminadminadminadmin", strings.Repeat("xy1", 20),
	} {
		if bits := guessBits(token); bits >= weakToken {
			t.Errorf("%q counts %.0f bits", token, bits)
		}
	}
	for _, token := range []string{aToken, another, "8f14e45fceea167a5a36dedd4bea2543", "Zk3-pQ9_vT1xWb7R"} {
		if bits := guessBits(token); bits < weakToken {
			t.Errorf("%q counts %.0f bits only", token, bits)
		}
	}
	random, wrong := rand.New(rand.NewPCG(1, 2)), 0
	for range 1000 {
		if guessBits(fmt.Sprintf("%016x", random.Uint64())) < weakToken {
			wrong++
		}
	}
	if wrong > 10 {
		t.Errorf("%d of 1,000 random tokens of 64 bits count as weak", wrong)
	}
}

// A token that can be guessed, has expired or is about to is warned of, without the
// token; one that is not is not.
func TestTokenWarnings(t *testing.T) {
	now := time.Date(2027, 1, 15, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ name, token, expires, want string }{
		{"good", aToken, "", ""},
		{"weak", "0000000000000000", "", "easy to guess"},
		{"far away", aToken, "2027-01-30", ""},
		{"near", aToken, "2027-01-29T12:00:00Z", "the token of ana expires at 2027-01-29T12:00:00Z"},
		{"on a day, which it still has", aToken, "2027-01-15", "the token of ana expires at 2027-01-16T00:00:00Z"},
		{"in another zone", aToken, "'2027-01-15T13:00:00+02:00'", "the token of ana expired at 2027-01-15T11:00:00Z and is refused"},
		{"yesterday", aToken, "2027-01-14", "the token of ana expired at 2027-01-15T00:00:00Z and is refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			entry := "tokens:\n  - name: ana\n    role: viewer\n    file: mine\n"
			if tt.expires != "" {
				entry += "    expires: " + tt.expires + "\n"
			}
			path := files(t, entry)
			write(t, filepath.Join(filepath.Dir(path), "mine"), tt.token)
			s, err := Load(Sources{File: path, Getenv: environment(), Now: func() time.Time { return now }})
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(s.Warnings, "\n")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) || strings.Contains(got, tt.token) {
				t.Errorf("warnings: %q, want %q", got, tt.want)
			}
			if shown := s.Values()[len(s.Values())-1].Value; tt.expires != "" && !strings.Contains(shown, "viewer, expires 2027-01-") {
				t.Errorf("it is shown as %q", shown)
			}
		})
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{"64MiB": 64 << 20, " 64 mib ": 64 << 20, "64MB": 64_000_000, "67108864": 64 << 20, "1GiB": 1 << 30, "1.5GiB": 3 << 29} {
		s, err := Load(Sources{Getenv: environment(), Flags: map[string]string{"max_body_memory": text}})
		if err != nil || s.MaxBodyMemory != want {
			t.Errorf("%s: %v, want %d", text, err, want)
			continue
		}
		again, err := Load(Sources{Getenv: environment(), Flags: map[string]string{"max_body_memory": shortSize(want)}})
		if err != nil || again.MaxBodyMemory != want {
			t.Errorf("%s is shown as %s: %v", text, shortSize(want), err)
		}
	}
	for _, text := range []string{"", "1MiB", "-64MiB", "64", "x", "1e400GB", "999999999999GiB"} {
		if _, err := Load(Sources{Getenv: environment(), Flags: map[string]string{"max_body_memory": text}}); err == nil || !strings.Contains(err.Error(), "is not a size from 16MiB to 64GiB") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
