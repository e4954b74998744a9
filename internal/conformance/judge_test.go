package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// request is one POST as the server saw it.
type request struct {
	method, path, contentType, target string
	body                              []byte
}

// result is what came of one send.
type result struct {
	exit       int
	output     string // all that the user or the caller can read
	requests   []request
	start, end time.Time
}

// judge checks the result against the step. Names that it meets are bound in n only if the step holds.
func (s *step) judge(r *result, n names) error {
	var failures []error
	for _, o := range s.want {
		trial := maps.Clone(n)
		err := o.judge(r, trial)
		if err == nil {
			err = checkMentions(s.mentions, r.output, trial)
		}
		if err == nil {
			maps.Copy(n, trial)
			return nil
		}
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}

func (o *outcome) judge(r *result, n names) error {
	switch {
	case o.wantError != nil:
		return judgeError(o.wantError, r, n)
	case o.partial != nil:
		return judgePartial(o.partial, r, n)
	}
	if r.exit != 0 {
		return fmt.Errorf("got exit %d, want 0", r.exit)
	}
	if len(r.requests) != len(o.want) {
		return fmt.Errorf("got %d requests, want %d", len(r.requests), len(o.want))
	}
	return judgeRequests(o.want, r.requests, r, n)
}

// judgeRequests finds an order in which each request is the one wanted.
func judgeRequests(want []any, left []request, r *result, n names) error {
	if len(want) == 0 {
		return nil
	}
	var failures []error
	for i := range left {
		trial := maps.Clone(n)
		err := judgeRequest(want[0], &left[i], r, trial)
		if err == nil {
			others := slices.Delete(slices.Clone(left), i, i+1)
			if err = judgeRequests(want[1:], others, r, trial); err == nil {
				maps.Copy(n, trial)
				return nil
			}
		}
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}

func judgeRequest(want any, got *request, r *result, n names) error {
	o, ok := want.(object)
	if !ok {
		return fmt.Errorf("the case's want is no object: %s", show(want))
	}
	if err := checkPost(got); err != nil {
		return err
	}
	for _, m := range o {
		var err error
		switch m.name {
		case "path":
			err = match(m.value, got.path, n, "path")
		case "target":
			err = match(m.value, got.target, n, "target")
		case "body":
			err = judgeBody(m.value, got.body, r, n)
		default:
			err = fmt.Errorf("the case's want has an unknown member %q", m.name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func checkPost(got *request) error {
	media, _, err := mime.ParseMediaType(got.contentType)
	if got.method != "POST" || err != nil || media != "application/json" {
		return fmt.Errorf("got %s of %q, want POST of application/json", got.method, got.contentType)
	}
	return nil
}

// judgeBody compares a whole body. The one member that may be there unasked is payload.timestamp, if it is the time of sending.
func judgeBody(want any, data []byte, r *result, n names) error {
	tree, err := parseTree(data)
	if err != nil {
		return fmt.Errorf("body: %w", err)
	}
	body, ok := tree.(object)
	if !ok {
		return match(want, tree, n, "body")
	}
	if _, asked := lookUp(want, "/payload/timestamp"); !asked {
		if body, err = dropTimeOfSending(body, r); err != nil {
			return err
		}
	}
	return match(want, body, n, "")
}

func dropTimeOfSending(body object, r *result) (object, error) {
	stamp, ok := lookUp(body, "/payload/timestamp")
	if !ok {
		return body, nil
	}
	text, _ := stamp.(string)
	instant, err := parseTime(text)
	if err != nil {
		return nil, fmt.Errorf("/payload/timestamp: %w", err)
	}
	// The sender may cut to the second, and the clock of another process may be read a moment apart.
	if instant.Before(r.start.Add(-time.Second)) || instant.After(r.end.Add(time.Second)) {
		return nil, fmt.Errorf("/payload/timestamp: got %s, want the time of sending (%s)", text, r.start.UTC().Format(time.RFC3339Nano))
	}
	out := slices.Clone(body)
	for i := range out {
		if payload, ok := out[i].value.(object); ok && out[i].name == "payload" {
			out[i].value = payload.without("timestamp")
		}
	}
	return out, nil
}

func judgePartial(want object, r *result, n names) error {
	if r.exit != 0 {
		return fmt.Errorf("got exit %d, want 0", r.exit)
	}
	if len(r.requests) != 1 {
		return fmt.Errorf("got %d requests, want 1", len(r.requests))
	}
	if err := checkPost(&r.requests[0]); err != nil {
		return err
	}
	body, err := parseTree(r.requests[0].body)
	if err != nil {
		return fmt.Errorf("body: %w", err)
	}
	for _, m := range want {
		if m.name == "@MAXBYTES@" {
			most, err := readInt(m)
			if err != nil || len(r.requests[0].body) > most {
				return fmt.Errorf("got a body of %d bytes, want at most %s", len(r.requests[0].body), show(m.value))
			}
			continue
		}
		got, there := lookUp(body, m.name)
		if m.value == "@ABSENT@" {
			if there {
				return fmt.Errorf("%s: got %s, want no such member", m.name, show(got))
			}
			continue
		}
		if !there {
			return fmt.Errorf("%s: no such member in %s", m.name, show(body))
		}
		if err := match(m.value, got, n, m.name); err != nil {
			return err
		}
	}
	return nil
}

func judgeError(want object, r *result, n names) error {
	if len(r.requests) != 0 {
		return fmt.Errorf("got %d requests, want none", len(r.requests))
	}
	for _, m := range want {
		var err error
		switch m.name {
		case "exit":
			err = checkExit(m.value, r.exit)
		case "mentions", "not_mentions":
			var array []any
			if array, err = readArray(m); err != nil {
				break
			}
			if m.name == "mentions" {
				err = checkMentions(array, r.output, n)
			} else {
				err = checkNotMentioned(array, r.output, n)
			}
		default:
			err = fmt.Errorf("the case's want_error has an unknown member %q", m.name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func checkExit(want any, got int) error {
	choices, ok := want.([]any)
	if !ok {
		choices = []any{want}
	}
	if !slices.Contains(choices, any(json.Number(strconv.Itoa(got)))) {
		return fmt.Errorf("got exit %d, want %s", got, show(want))
	}
	return nil
}

// checkMentions looks for each word in any case of letters. An array among them means one of its words.
func checkMentions(wanted []any, output string, n names) error {
	for _, want := range wanted {
		words, ok := want.([]any)
		if !ok {
			words = []any{want}
		}
		held := false
		for _, word := range words {
			has, err := mentions(output, word, n)
			if err != nil {
				return err
			}
			held = held || has
		}
		if !held {
			return fmt.Errorf("the output does not mention %s", show(want))
		}
	}
	return nil
}

func checkNotMentioned(unwanted []any, output string, n names) error {
	for _, word := range unwanted {
		has, err := mentions(output, word, n)
		if err != nil {
			return err
		}
		if has {
			return fmt.Errorf("the output mentions %s", show(word))
		}
	}
	return nil
}

func mentions(output string, word any, n names) (bool, error) {
	text, ok := word.(string)
	if !ok {
		return false, fmt.Errorf("the case mentions no text: %s", show(word))
	}
	filled, err := n.fill(text)
	if err != nil {
		return false, err
	}
	return strings.Contains(strings.ToLower(output), strings.ToLower(filled)), nil
}
