package main

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// completionPatience is what somebody who has pressed Tab waits for a relay.
const completionPatience = 500 * time.Millisecond

var eventStates = []string{"queued", "dead", "ready", "blocked", "in_flight", "waiting", "delivered", "refused", "expired", "dropped"}

// laneStates are what a list of lanes may ask for.
var laneStates = []string{"trouble", "queued", "dead", "key_rejected", "paused", "upstream_not_configured", "upstream_unreachable", "rate_limited", "failing", "at_limit", "delivering", "idle"}

// quietly asks a relay for completions: no word about what is wrong gets in between
// the letters that somebody types.
func quietly(sys *system, from *relayFlags, path string, into any) {
	silent := *sys
	silent.stderr = io.Discard
	ctx, cancel := context.WithTimeout(context.Background(), completionPatience)
	defer cancel()
	if r, err := from.open(&silent); err == nil {
		_, _ = r.get(ctx, path, into) // without a relay there is nothing to offer
	}
}

// laneNames offers the lanes whose name has what was typed. A relay may have 10,000.
func laneNames(sys *system, from *relayFlags, typed string) (names []string) {
	var answer page
	quietly(sys, from, "/api/lanes?limit=200"+parameters("q", strings.Trim(typed, `"`)), &answer)
	for i := range answer.Lanes {
		names = append(names, singleLine(answer.Lanes[i].Name))
	}
	return names
}

func completeLane(sys *system, from *relayFlags) completion {
	return func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return laneNames(sys, from, typed), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeID offers the youngest events.
func completeID(sys *system, from *relayFlags, query string) completion {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var p page
		quietly(sys, from, "/api/events?limit=20"+query, &p)
		var ids []string
		for i := range p.Events {
			ids = append(ids, cobra.CompletionWithDesc(singleLine(p.Events[i].ID), singleLine(p.Events[i].what())))
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
			words = prefixed("lane:", laneNames(sys, from, strings.TrimPrefix(typed, "lane:")))
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
