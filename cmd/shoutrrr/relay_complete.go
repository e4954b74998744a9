package main

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// completionPatience is what somebody who has pressed Tab waits for a relay.
const completionPatience = 500 * time.Millisecond

var eventStates = []string{"queued", "dead", "ready", "blocked", "in_flight", "waiting", "delivered", "refused", "expired", "dropped"}

// quietly is a relay to ask for completions: no word about what is wrong gets in
// between the letters that somebody types.
func quietly(sys *system, from *relayFlags) (*relay, context.Context, context.CancelFunc) {
	silent := *sys
	silent.stderr = new(strings.Builder)
	r, err := from.open(&silent)
	ctx, cancel := context.WithTimeout(context.Background(), completionPatience)
	if err != nil {
		cancel() // whatever is asked gets no answer
		r = &relay{base: new(url.URL), client: relayClient()}
	}
	return r, ctx, cancel
}

func laneNames(sys *system, from *relayFlags) (names []string) {
	r, ctx, cancel := quietly(sys, from)
	defer cancel()
	var answer struct {
		Lanes []relayLane `json:"lanes"`
	}
	_, _ = r.get(ctx, "/api/lanes", nil, &answer) // without a relay there is nothing to offer
	for i := range answer.Lanes {
		l := &answer.Lanes[i]
		names = append(names, cobra.CompletionWithDesc(singleLine(l.Name), singleLine(l.Text)))
	}
	return names
}

func completeLane(sys *system, from *relayFlags) completion {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return laneNames(sys, from), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeID offers the youngest events of a state.
func completeID(sys *system, from *relayFlags, state string) completion {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		r, ctx, cancel := quietly(sys, from)
		defer cancel()
		q := url.Values{"limit": {"20"}}
		if state != "" {
			q.Set("state", state)
		}
		var p page
		_, _ = r.get(ctx, "/api/events", q, &p) // as above
		var ids []string
		for i := range p.Events {
			e := &p.Events[i]
			if id, err := eventID(e.ID); err == nil {
				ids = append(ids, cobra.CompletionWithDesc(id, singleLine(e.stateWord()+" "+e.what())))
			}
		}
		return ids, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// completeWords completes the words of a filter.
func completeWords(sys *system, from *relayFlags) completion {
	return func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		var words []string
		switch {
		case strings.HasPrefix(typed, "state:"):
			words = prefixed("state:", eventStates)
		case strings.HasPrefix(typed, "sev:"):
			words = prefixed("sev:", severities)
		case strings.HasPrefix(typed, "sev>="):
			words = prefixed("sev>=", severities)
		case strings.HasPrefix(typed, "lane:"):
			words = prefixed("lane:", laneNames(sys, from))
		default:
			return []string{"lane:", "state:", "sev:", "sev>=", "dedup:"}, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		}
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}

func prefixed(prefix string, words []string) []string {
	all := make([]string, len(words))
	for i, word := range words {
		all[i] = prefix + word
	}
	return all
}
