package settings

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	// startRate is PagerDuty's own figure: "approximately 120 calls/minute per integration
	// key", "over a 60 second window looking back from the current time"
	// (https://developer.pagerduty.com/docs/rate-limits).
	startRate = 120

	// usualMax is where the growth of auto ends unless max says more: the limit that guides
	// to PagerDuty give, and for which PagerDuty's documents have no source. An account for
	// which it holds gets there.
	usualMax = 300

	// maxRate is far above any limit of PagerDuty's, which gives up to 10,000 on request;
	// another relay may take as much.
	maxRate = 100_000

	auto = "auto"

	// autoRate is a key's own auto, where 0 is the common rate.
	autoRate = -1
)

func rateField() Field {
	return Field{
		Name:    "rate",
		Usage:   "`events` per key accepted upstream in any 60 s; auto begins with the 120 that PagerDuty documents and grows, up to max, where an account is shown to take more",
		Default: fixed(auto),
		set: func(s *Settings, value string) (err error) {
			s.Rate, err = parseRate(value)
			s.Rate = max(0, s.Rate)
			return err
		},
		get: func(s *Settings) string {
			if s.Rate == 0 {
				return auto
			}
			return strconv.Itoa(s.Rate)
		},
	}
}

// maxField belongs to auto alone: with a fixed rate it has no value.
func maxField() Field {
	return Field{
		Name: "max", Usage: "`events` to which rate: auto may grow", Default: fixed(strconv.Itoa(usualMax)),
		set: func(s *Settings, value string) (err error) {
			s.Max, err = parseMax(value)
			return err
		},
		get: func(s *Settings) string {
			if s.Rate > 0 {
				return ""
			}
			return strconv.Itoa(s.Max)
		},
	}
}

// parseRate reads a number, or auto.
func parseRate(value string) (int, error) {
	if strings.EqualFold(strings.TrimSpace(value), auto) {
		return autoRate, nil
	}
	n, err := parseNumber(value, 1, maxRate)
	if err != nil {
		return 0, fmt.Errorf("%q is neither auto nor a number from 1 to %d", shown(value), maxRate)
	}
	return n, nil
}

func parseMax(value string) (int, error) {
	n, err := parseNumber(value, startRate, maxRate)
	if err != nil {
		return 0, fmt.Errorf("%w: rate: auto begins with %d; for less give a fixed rate", err, startRate)
	}
	return n, nil
}

// checkRates looks for a max without rate: auto, which would be without effect.
func (s *Settings) checkRates(wrong *problems, refused map[string]bool) {
	if s.Rate > 0 && s.origins["max"].text != "default" && !refused["rate"] && !refused["max"] {
		s.wrong(wrong, "max", "it goes with rate: auto, and the rate is fixed at %d: take one of the two out", s.Rate)
	}
	for i, k := range s.Keys {
		name := fmt.Sprintf("keys[%d].max", i)
		switch {
		case k.Max == 0 || k.Rate == autoRate:
		case k.Rate > 0:
			wrong.add(s.origins[name], name, "it goes with rate: auto, and the rate of this key is fixed at %d: take one of the two out", k.Rate)
		case s.Rate > 0 && !refused["rate"]:
			wrong.add(s.origins[name], name, "it goes with rate: auto, and the common rate is fixed at %d: give this key rate: auto", s.Rate)
		}
	}
}

// rateOf is the most that a key may use, and what it begins with.
func (s *Settings) rateOf(k Key) (most, start int) {
	switch {
	case k.Rate > 0:
		return k.Rate, k.Rate
	case k.Rate == 0 && s.Rate > 0:
		return s.Rate, s.Rate
	case k.Max > 0:
		return k.Max, startRate
	}
	return s.Max, startRate
}
