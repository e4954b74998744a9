package pagerduty

import (
	"time"

	"github.com/containrrr/shoutrrr/pkg/types"
)

// CheckOptions returns a [*ConfigError] if a time of the options is shorter than a
// millisecond, in which nothing can be delivered: whoever writes 5 for five seconds has
// asked for five nanoseconds.
func CheckOptions(opts types.SenderOptions) error {
	var wrong problems
	wrong.addTime("Timeout", opts.Timeout)
	wrong.addTime("RetryFor", opts.RetryFor)
	return wrong.err()
}

func (p *problems) addTime(name string, d time.Duration) {
	if d <= 0 || d >= time.Millisecond {
		return
	}
	meant := "Second"
	if d >= time.Microsecond { // a number of thousands is one of milliseconds
		meant = "Millisecond"
	}
	p.add(name, d.String(), "write %d*time.%s", d.Nanoseconds(), meant)
}
