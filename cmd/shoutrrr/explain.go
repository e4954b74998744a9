package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/containrrr/shoutrrr/pkg/pagerduty"
	"github.com/containrrr/shoutrrr/pkg/types"
)

// explain tells an error to people: what is wrong, where, and what to do next.
func explain(err error) string {
	var target *types.TargetError
	if errors.As(err, &target) {
		err = target.Err // which URL it was stands before the text
	}
	var config *pagerduty.ConfigError
	var delivery *pagerduty.DeliveryError
	var ambiguous *pagerduty.AmbiguousIncidentError
	switch {
	case errors.As(err, &config):
		return explainProblems(config.Problems)
	case errors.As(err, &ambiguous):
		return explainAmbiguous(ambiguous)
	case errors.Is(err, pagerduty.ErrBlankMessage):
		return err.Error() + "; give it with -m, as arguments, or on standard input"
	case errors.As(err, &delivery) && errors.Is(err, context.Canceled):
		return explainInterrupted(delivery)
	case errors.Is(err, context.Canceled):
		return "interrupted"
	}
	return err.Error()
}

func explainProblems(problems []pagerduty.Problem) string {
	if len(problems) == 1 {
		return problems[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d things are wrong:", len(problems))
	for _, p := range problems {
		b.WriteString("\n  " + p.String())
	}
	return b.String()
}

// explainAmbiguous lists the incidents, a line each, to copy one of the keys.
func explainAmbiguous(e *pagerduty.AmbiguousIncidentError) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d incidents are open, and nothing says which one to %s: give its dedup_key, or its source", len(e.Candidates), e.Action)
	for _, c := range e.Candidates {
		b.WriteString("\n  " + c.String())
	}
	return b.String()
}

// explainInterrupted is what somebody reads who has pressed Ctrl-C: whether the
// page is out, why it is not, and how to go on.
func explainInterrupted(e *pagerduty.DeliveryError) string {
	text := fmt.Sprintf("interrupted, NOT accepted: %s, dedup key %s", e.Action, e.DedupKey)
	if e.MaybeAccepted {
		text += "; may have arrived, an answer was lost"
	}
	if e.LastFailure != nil {
		text += "\n  the last attempt failed: " + e.LastFailure.Error()
	}
	if e.Unanswered >= time.Second {
		text += fmt.Sprintf("\n  %s had not answered for %s", e.Host, span(e.Unanswered))
	}
	return text + "\n  to go on, send it again with -p dedup_key=" + shellQuoted(e.DedupKey) + ": that cannot page twice"
}

// shellQuoted makes a text one word of a shell.
func shellQuoted(text string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=,@+", r)
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
