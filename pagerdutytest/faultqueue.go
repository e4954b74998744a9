package pagerdutytest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
)

// faultQueue hands out the faults that were injected, in that order. Its draws
// come from a seed, so that one order of requests meets the same faults each
// time.
type faultQueue struct {
	waiting []Fault
	random  *rand.Rand
}

func newFaultQueue(seed uint64) *faultQueue {
	return &faultQueue{random: rand.New(rand.NewPCG(seed, 0x5eed))}
}

// next takes the first fault that applies to the request and, if it has a
// probability, strikes.
func (q *faultQueue) next(path, action string) (Fault, bool) {
	for i, f := range q.waiting {
		if !f.applies(path, action) || (f.Probability > 0 && q.random.Float64() >= f.Probability) {
			continue
		}
		if f.Count > 0 {
			if q.waiting[i].Count--; q.waiting[i].Count == 0 {
				q.waiting = append(q.waiting[:i:i], q.waiting[i+1:]...)
			}
		}
		return f, true
	}
	return Fault{}, false
}

// readFaults reads one fault, an array of them, or one in text form a line.
func readFaults(body []byte) ([]Fault, error) {
	body = bytes.TrimSpace(body)
	var faults []Fault
	switch {
	case len(body) == 0:
		return nil, errors.New("no fault given: want JSON or a text such as 429:retry-after=2:count=3")
	case body[0] == '[':
		if err := json.Unmarshal(body, &faults); err != nil {
			return nil, fmt.Errorf("faults: %w", err)
		}
	case body[0] == '{':
		faults = make([]Fault, 1)
		if err := json.Unmarshal(body, &faults[0]); err != nil {
			return nil, fmt.Errorf("fault: %w", err)
		}
	default:
		for line := range strings.Lines(string(body)) {
			if isBlank(line) {
				continue
			}
			f, err := ParseFault(line)
			if err != nil {
				return nil, err
			}
			faults = append(faults, f)
		}
	}
	for i, f := range faults {
		if err := f.Validate(); err != nil {
			return nil, fmt.Errorf("fault %d: %w", i, err)
		}
	}
	return faults, nil
}
