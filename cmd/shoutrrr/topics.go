package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// newTopics returns pages of help that belong to no command.
func newTopics() []*cobra.Command {
	return []*cobra.Command{
		{Use: "exit-codes", Short: "What the exit status says", Long: exitCodesPage(), Example: exitCodesExample},
		{Use: "environment", Short: "Variables that are read", Long: environmentPage, Example: environmentExample},
		{Use: "json", Short: "What --json prints", Long: jsonPage, Example: jsonExample},
	}
}

const exitCodesExample = `  shoutrrr send --url-file oncall.txt 'Backup failed' || logger "the page was not accepted: $?"`

func exitCodesPage() string {
	var b strings.Builder
	b.WriteString("The exit status says what became of the event. None changes its meaning.\n\n  status  again?  meaning\n")
	for _, m := range exitMeanings {
		fmt.Fprintf(&b, "  %-7d %-7s %s\n", m.status, m.again, m.meaning)
	}
	b.WriteString(`
"again?" says whether sending the same once more can help. The dedup key keeps
a repetition from paging twice. Of several URLs the most severe failure counts, in the
order 130, 78, 64, 77, 65, 69, 75, 74. shoutrrr sandbox exec exits as its program
does, with 128 and the number of the signal that ended it, 127 if there is no such
program and 126 if it cannot be run. shoutrrr sandbox exits with 69 if it cannot listen.

The exit statuses of shoutrrr status and shoutrrr queue.

  status  again?  meaning
  0               shown or done; also nothing to do, or a watch that Ctrl-C has ended
  64      no      wrong usage: an unknown flag, state or word of a filter; --yes is missing
  65      no      refused: no such event or lane, or the event's state does not allow it
  69      yes     no relay answers there
  74      yes     I/O error: output that cannot be written
  75      yes     the relay cannot answer now
  77      no      the token is missing or unknown, or it may only look
  78      no      no URL of a relay, or a token file that cannot be read
  130     yes     interrupted, or answered with no; what is told as done is done

With shoutrrr status --exit-code and --check: 0 pages leave, 1 some wait too long or were
rejected, 2 pages do not leave or the relay does not answer; with --check 3 wrong usage.`)
	return b.String()
}

const environmentExample = `  SHOUTRRR_URL='pagerduty:///eb243592faa24ba2a5511afdf565c889' shoutrrr send 'Backup failed'`

const environmentPage = `These variables are read.

  SHOUTRRR_URL            the URL, if none is given otherwise; or several, one a line or
                          with blanks or commas between them; blank lines and lines that
                          begin with # are skipped, quotes around a URL are taken away
  SHOUTRRR_RELAY          the URL of the relay that shoutrrr status and queue ask, if
                          --relay does not name it; otherwise http://127.0.0.1:8687
  SHOUTRRR_TOKEN_FILE     the file with the token for it, if --token-file names none
  SUDO_USER, LOGNAME,     who requeues, drops, pauses or resumes, for the history; if
  USER, USERNAME          the relay has tokens, the token's name counts
  XDG_STATE_HOME, HOME    open incidents are remembered for 30 days below
                          $XDG_STATE_HOME/shoutrrr or $HOME/.local/state/shoutrrr;
                          no integration key is in these files or in their names
  HTTPS_PROXY, NO_PROXY   the proxy and the hosts that go without it; a proxy that cannot
                          be read is an error, and never gone past
  LC_ALL, LC_CTYPE, LANG  the encoding of texts that are not UTF-8; without one they are
                          read as windows-1252
  HTTP_PROXY              never used: it would get the key of a URL with disabletls=yes
                          in clear. With it, such a URL needs its host in NO_PROXY
  SSL_CERT_FILE,          certificates to trust in place of the system's
  SSL_CERT_DIR
  NO_COLOR, TERM          no colours if NO_COLOR is set or TERM is dumb

shoutrrr sandbox exec sets these for the program that it runs: HTTPS_PROXY,
https_proxy, NO_PROXY, no_proxy, SSL_CERT_FILE, CURL_CA_BUNDLE, REQUESTS_CA_BUNDLE,
NODE_EXTRA_CA_CERTS, NODE_OPTIONS, XDG_STATE_HOME, SHOUTRRR_SANDBOX, the address at
which the sandbox shows its incidents and its journal, and SHOUTRRR_SANDBOX_TOKEN. The
token stands in HTTPS_PROXY and SHOUTRRR_SANDBOX too, for programs that take it there.`

const jsonExample = `  shoutrrr send --url-file oncall.txt 'Backup failed' --json`

const jsonPage = `With --json, shoutrrr send prints one object a line for each URL, in the order of the
URLs, failures included. A member that does not apply is left out.

  schema          1; it rises when a member changes its meaning
  url             the URL without its keys; empty if it could not be read
  status          accepted, failed or dry-run
  exit_code       what this URL alone would make the exit status
  action          trigger, acknowledge or resolve
  dedup_key       the incident's key: with it the event can be repeated, the incident
                  acknowledged and resolved
  key             fingerprint of the integration key
  http_status     of the last answer
  attempts        how many were made
  message         what PagerDuty said when it accepted
  matched         for an acknowledge or resolve without a dedup key: whether an open
                  incident was found for it; PagerDuty drops it without a word if
                  none is open there either
  maybe_accepted  an answer was lost: the event may have been accepted
  retryable       sending the same once more can help
  warnings        array of texts
  error           why it failed
  candidates      open incidents of which one must be named: dedup_key, source,
                  summary, triggered
  request         with --dry-run: method, url, body

shoutrrr status and shoutrrr queue print what the relay answers (docs/admin-api.md),
each answer on a line. queue list makes one answer of all its pages. A failure is reported
on standard error, and by the exit status.`
