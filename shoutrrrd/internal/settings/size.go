package settings

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
)

// size is a number of bytes, such as 64MiB.
func size(name, usage string, standard, low, high int64, at func(*Settings) *int64) Field {
	return Field{
		Name: name, Usage: usage, Default: fixed(shortSize(standard)),
		set: func(s *Settings, value string) error {
			n, err := humanize.ParseBytes(strings.TrimSpace(value))
			if err != nil || n < uint64(low) || n > uint64(high) {
				return fmt.Errorf("%q is not a size from %s to %s; write it like %s", shown(value), shortSize(low), shortSize(high), shortSize(standard))
			}
			*at(s) = int64(n)
			return nil
		},
		get: func(s *Settings) string { return shortSize(*at(s)) },
	}
}

// shortSize is 64MiB for 67108864, and the number of bytes for one that is not round.
func shortSize(n int64) string {
	for _, unit := range []struct {
		name string
		size int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= unit.size && n%unit.size == 0 {
			return strconv.FormatInt(n/unit.size, 10) + unit.name
		}
	}
	return strconv.FormatInt(n, 10)
}

// sizeOrAuto is a size that may be "auto", which is 0 and the default.
func sizeOrAuto(name, usage string, low, high int64, at func(*Settings) *int64) Field {
	f := size(name, usage, 5<<30, low, high, at)
	set, get := f.set, f.get
	f.Default = fixed("auto")
	f.set = func(s *Settings, value string) error {
		if strings.EqualFold(strings.TrimSpace(value), "auto") {
			*at(s) = 0
			return nil
		}
		return set(s, value)
	}
	f.get = func(s *Settings) string {
		if *at(s) == 0 {
			return "auto"
		}
		return get(s)
	}
	return f
}
