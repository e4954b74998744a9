package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// largestPage is what the relay gives at once.
const largestPage = 500

// page is a part of a list: of events or of lanes.
type page struct {
	Events []relayEvent `json:"events"`
	Lanes  []relayLane  `json:"lanes"`
	Next   string       `json:"next"`
	Read   int          `json:"read"` // of events: how many the relay has looked at
}

// pages asks for a list ("events" or "lanes") page by page until so many members have
// come, 0 for all. A page may be empty and not be the last.
func (r *relay) pages(ctx context.Context, list, query string, limit int, take func(p *page, answer []byte) error) error {
	cursor := ""
	for got := 0; limit == 0 || got < limit; {
		size := largestPage
		if limit > 0 {
			size = min(size, limit-got)
		}
		p := new(page)
		answer, err := r.get(ctx, "/api/"+list+"?limit="+strconv.Itoa(size)+query+parameters("cursor", cursor), p)
		if err != nil {
			return err
		}
		got += len(p.Events) + len(p.Lanes)
		if err := take(p, answer); err != nil || p.Next == "" {
			return err
		}
		cursor = p.Next
	}
	return nil
}

// listing is a command that lists events or lanes.
type listing struct {
	list  string // its name in the API and in texts
	order string // which ones a list that is cut has: first, newest
	table func(p *page, now time.Time) *table
	from  relayFlags
	limit int  // 0 for none
	all   bool // --all
}

func (l *listing) add(cmd *cobra.Command) {
	l.from.add(cmd)
	cmd.Flags().IntVar(&l.limit, "limit", 50, "`number` of "+l.list+" to list at most")
	cmd.Flags().BoolVar(&l.all, "all", false, "list them all")
	mustComplete(cmd, "limit", nothing)
}

func (l *listing) run(ctx context.Context, sys *system, query string) error {
	if l.limit < 1 {
		return usagef("--limit %d is too few: give 1 or more, or --all", l.limit)
	}
	if l.all {
		l.limit = 0
	}
	r, err := l.from.open(sys)
	if err != nil {
		return err
	}
	if l.from.json {
		return l.printJSON(ctx, sys.stdout, r, query)
	}
	return l.printText(ctx, sys, r, query)
}

// printText writes each page of a list as a table of its own, as a queue of a million
// events is not kept in memory.
func (l *listing) printText(ctx context.Context, sys *system, r *relay, query string) error {
	paper, shown, more := sys.paperFor(sys.stdout), 0, false
	err := r.pages(ctx, l.list, query, l.limit, func(p *page, _ []byte) error {
		more = p.Next != ""
		t := l.table(p, r.now)
		if len(t.rows) == 0 {
			return nil
		}
		shown += len(t.rows)
		_, err := io.WriteString(sys.stdout, t.text(paper))
		return err
	})
	switch {
	case err != nil:
		return err
	case shown == 0:
		notify(sys.stderr, "", "no "+l.list+" match")
	case more:
		notify(sys.stderr, "", fmt.Sprintf("these are the %s %d %s; --limit or --all shows more", l.order, shown, l.list))
	}
	return nil
}

// printJSON writes a list as the relay does, but whole: its pages in one object, each
// member as it came.
func (l *listing) printJSON(ctx context.Context, w io.Writer, r *relay, query string) error {
	read, next, lead := 0, "", `{"`+l.list+`":[`
	err := r.pages(ctx, l.list, query, l.limit, func(p *page, answer []byte) error {
		members, err := membersOf(answer, l.list)
		if err != nil {
			return r.stranger("its answer cannot be read")
		}
		read, next = read+p.Read, p.Next
		for _, member := range members {
			if _, err := io.WriteString(w, lead+strings.TrimSuffix(oneLine(member), "\n")); err != nil {
				return err
			}
			lead = ","
		}
		return nil
	})
	if err != nil {
		if lead == "," {
			_, _ = io.WriteString(w, "\n") // the error begins a line of its own
		}
		return err
	}
	tail := "]"
	if lead != "," {
		tail = lead + tail
	}
	if next != "" {
		tail += `,"next":` + strings.TrimSpace(lineJSON(next))
	}
	if l.list == "events" {
		tail += `,"read":` + strconv.Itoa(read)
	}
	_, err = fmt.Fprintln(w, tail+"}")
	return err
}

// membersOf takes the members of a list out of a page, each as it came.
func membersOf(answer []byte, list string) ([]json.RawMessage, error) {
	var p map[string]json.RawMessage
	if err := json.Unmarshal(answer, &p); err != nil {
		return nil, err
	}
	var members []json.RawMessage
	err := json.Unmarshal(p[list], &members)
	return members, err
}
