package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/containrrr/shoutrrr"
	"github.com/containrrr/shoutrrr/internal/redact"
	"github.com/containrrr/shoutrrr/pkg/pagerduty"
	"github.com/containrrr/shoutrrr/pkg/router"
	"github.com/containrrr/shoutrrr/pkg/types"
	"github.com/spf13/cobra"
)

const sendExamples = `  shoutrrr send -u 'pagerduty:///eb243592faa24ba2a5511afdf565c889' -m 'Database connection lost'
  shoutrrr send 'pagerduty:///eb243592faa24ba2a5511afdf565c889?severity=critical' Database down
  df -h | shoutrrr send --url-file oncall.txt -t 'Disk nearly full on db-1' -m -
  SHOUTRRR_URL='pagerduty:///eb243592faa24ba2a5511afdf565c889' shoutrrr send -p severity=info -p source=db-1 'Backup is late'
  shoutrrr send -u 'pagerduty:///eb243592faa24ba2a5511afdf565c889?details={"component":"api"}' -m 'API is slow' --dry-run
  shoutrrr send --url-file oncall.txt -p dedup_key=web-1 'Web server is down'
  shoutrrr send --url-file oncall.txt -p dedup_key=web-1 -p action=resolve 'Web server is up' --json`

const sendLong = `Send an event to PagerDuty, and try again while that can help. The dedup key of its
incident is printed. A later send with action=acknowledge or action=resolve finds the
incident by that key, or by itself if it is the only one that is open. With several
URLs all are attempted, and each result is told.`

// sending is what shoutrrr send was told.
type sending struct {
	sources
	message  string
	title    string
	params   []string
	retryFor time.Duration
	dryRun   bool
	json     bool
	verbose  bool
}

func newSend(sys *system) *cobra.Command {
	s := &sending{}
	cmd := &cobra.Command{
		Use:     "send [URL] [MESSAGE...]",
		Short:   "Send an event",
		Long:    sendLong,
		Example: sendExamples,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.run(cmd.Context(), sys, args, cmd.Flags().Changed("message"))
		},
	}
	s.addFlags(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&s.message, "message", "m", "", "`message`; - reads it from standard input, as having none and no title does")
	flags.StringVarP(&s.title, "title", "t", "", "`summary` of the incident; the message then stands in its details")
	flags.StringArrayVarP(&s.params, "param", "p", nil, "`name=value` of a parameter, in place of the URL's (repeatable)")
	flags.DurationVar(&s.retryFor, "retry-for", types.DefaultRetryFor, "how long to try; 0 makes one attempt")
	flags.BoolVar(&s.dryRun, "dry-run", false, "print the request, without the key, and send nothing")
	flags.BoolVar(&s.json, "json", false, "print one JSON object for each URL (shoutrrr help json)")
	flags.BoolVarP(&s.verbose, "verbose", "v", false, "tell each attempt")
	s.completeFlags(cmd, sys)
	return cmd
}

func (s *sending) run(ctx context.Context, sys *system, args []string, hasMessage bool) error {
	defer survivePipes()()
	report := newReporter(sys, s.json)
	j, err := s.prepare(ctx, sys, args, hasMessage)
	if err != nil {
		return report.early(err)
	}
	report.keys = keysOf(j.urls)
	wait := newProgress(sys, s.verbose, len(j.urls) > 1, s.retryFor)
	wait.keys = report.keys
	defer wait.close()
	first := firstOfSame(j.urls)
	results := make([]chan result, len(j.urls))
	for i, rawURL := range j.urls {
		if first[i] == i {
			results[i] = make(chan result, 1)
			go func() { results[i] <- j.sendTo(ctx, rawURL, i, wait) }()
		}
	}
	done := make([]result, len(results))
	statuses := make([]int, len(results))
	for i := range results {
		if first[i] == i {
			done[i] = <-results[i]
		} else {
			done[i] = done[first[i]]
			done[i].Warnings = []string{fmt.Sprintf("it is the same as URL %d: the event is sent once", first[i]+1)}
		}
		statuses[i] = done[i].ExitCode
		wait.above(func() { report.print(i, len(results), done[i]) })
	}
	return report.end(gravest(statuses))
}

// firstOfSame gives for each URL the position of the first one that means the same.
func firstOfSame(urls []string) []int {
	first, seen := make([]int, len(urls)), make(map[string]int, len(urls))
	for i, rawURL := range urls {
		first[i] = i
		config, err := pagerduty.Parse(rawURL)
		if err != nil {
			continue // each mistake is told where it stands
		}
		if at, known := seen[config.URL()]; known {
			first[i] = at
		} else {
			seen[config.URL()] = i
		}
	}
	return first
}

// keysOf are the integration keys of the URLs that can be read.
func keysOf(urls []string) *redact.Set {
	keys := &redact.Set{}
	for _, rawURL := range urls {
		if config, err := pagerduty.Parse(rawURL); err == nil {
			for _, key := range config.Keys {
				keys.Add(key)
			}
		}
	}
	return keys
}

// survivePipes keeps a reader that has left, as in "shoutrrr send … | head -1",
// from ending the process while another URL still waits for its next attempt.
func survivePipes() (restore func()) {
	broken := make(chan os.Signal, 1) // written to and never read: the write's error is enough
	signal.Notify(broken, syscall.SIGPIPE)
	return func() { signal.Stop(broken) }
}

// job is a message with the URLs that it goes to.
type job struct {
	*sending
	urls     []string
	message  string
	params   *types.Params
	ledger   pagerduty.Ledger
	warnings []string
	agent    string
}

func (s *sending) prepare(ctx context.Context, sys *system, args []string, hasMessage bool) (*job, error) {
	if s.retryFor < 0 {
		return nil, usagef("--retry-for cannot be negative; 0 makes one attempt")
	}
	j := &job{sending: s, agent: "shoutrrr/" + shoutrrr.Version()}
	var rest []string
	var warning string
	var err error
	if j.urls, rest, err = s.collect(sys, args); err != nil {
		return nil, err
	}
	if j.params, err = parseParams(sys, s.params, s.title); err != nil {
		return nil, err
	}
	_, titled := j.params.Title()
	said := words{flag: s.message, given: hasMessage, args: rest, orStdin: !titled && !sys.isTerminal(sys.stdin)}
	if j.message, warning, err = said.read(ctx, sys); err != nil {
		return nil, err
	}
	j.warn(warning)
	j.ledger, warning = sys.openLedger()
	j.warn(warning)
	return j, nil
}

func (j *job) warn(warning string) {
	if warning != "" {
		j.warnings = append(j.warnings, warning)
	}
}

// sendTo takes one URL from its text to its result. A bad one does not keep the
// others from their event.
func (j *job) sendTo(ctx context.Context, rawURL string, index int, wait *progress) result {
	service, err := j.service(rawURL, index, wait)
	if err != nil {
		return failed(nil, err)
	}
	var r result
	if j.dryRun {
		r = j.rehearse(service)
	} else {
		wait.begin(index, service.Config().Address())
		r = j.deliver(ctx, service)
		wait.done(index)
	}
	r.Warnings = append(r.Warnings, j.warnings...)
	return r
}

// service returns the service of a URL, by a router of its own: the position of
// the URL has to stand in its attempts also if another URL is bad.
func (j *job) service(rawURL string, index int, wait *progress) (*pagerduty.Service, error) {
	opts := types.SenderOptions{
		RetryFor:  j.retryFor,
		OnAttempt: func(a types.Attempt) { wait.attempt(index, a) },
	}
	if j.retryFor == 0 {
		opts.RetryFor = -1 // 0 would be the default
	}
	r, err := router.NewWithOptions(nil, opts)
	if err != nil {
		return nil, err
	}
	r.UseLedger(j.ledger)
	r.UseUserAgent(j.agent)
	service, err := r.Locate(rawURL)
	if err != nil {
		return nil, err
	}
	return service.(*pagerduty.Service), nil
}

func (j *job) deliver(ctx context.Context, service *pagerduty.Service) result {
	receipt, err := service.Deliver(ctx, j.message, j.params)
	if err != nil {
		return failed(service, err)
	}
	return accepted(service, receipt, j.looksUp(service))
}

func (j *job) rehearse(service *pagerduty.Service) result {
	prepared, err := service.Prepare(j.message, j.params, time.Now())
	if err != nil {
		return failed(service, err)
	}
	return rehearsed(service, prepared, j.looksUp(service))
}

// looksUp reports whether the event's incident is looked up in the ledger: no
// dedup key says which one it is.
func (j *job) looksUp(service *pagerduty.Service) bool {
	config, err := service.Config().With(j.params)
	return err == nil && config.DedupKey == ""
}
