package settings

import (
	"fmt"
	"strings"
)

// Sample is a file with every setting at its default and taken out by a "#" without
// a blank behind it, to be changed by hand.
func Sample() string {
	var b strings.Builder
	b.WriteString(sampleHead)
	for _, f := range Fields() {
		value := f.Default(func(string) string { return "" })
		switch {
		case f.Name == "queue":
			value = "/var/lib/shoutrrr/queue.db"
		case f.IsList:
			value = "[relay.example.com]"
		case value == "":
			value = "/etc/shoutrrr/web.yaml"
		}
		fmt.Fprintf(&b, "\n# %s\n#%s: %s\n", sampleUsage(f), f.Name, value)
	}
	b.WriteString(sampleLists)
	return b.String()
}

func sampleUsage(f Field) string {
	usage := strings.ReplaceAll(f.Usage, "`", "")
	switch {
	case f.Name == "queue":
		usage += "; by default queue.db in $STATE_DIRECTORY, or in shoutrrr below $XDG_STATE_HOME or $HOME/.local/state"
	case f.Default(func(string) string { return "" }) == "":
		usage += "; none by default"
	}
	if f.AtStart {
		usage += " (a change needs a new start)"
	}
	return usage
}

const sampleHead = `# The settings of shoutrrrd. Take the "#" away from what you change; what stands
# here are the defaults. A variable (SHOUTRRRD_RATE) stands above this file, a flag
# (--rate) above both. SIGHUP has the file read anew; if it is wrong, what was read
# before stays. shoutrrrd check --config FILE tells what a file means.
`

const sampleLists = `
# Integration keys that have a name. Others are taken as well unless only_listed is
# true. A key is file:/path (read at each SIGHUP; a relative path starts at this
# file's folder) or the 32 characters themselves. rate, max, settle_while_waiting and
# upstream as above, for this key alone; region is us or eu and stands for PagerDuty's upstream there.
# formerly are keys whose place this one takes: what waits leaves by the new key, open
# incidents are resolved by the one that opened them. A file that holds another key
# than before is taken in the same way. With retiring: true a key of a pool gets no new
# incident.
#keys:
#  - alias: db-oncall
#    key: file:/etc/shoutrrr/db-oncall.key
#    formerly: [file:/etc/shoutrrr/db-oncall.old.key]
#    rate: 60
#    region: eu
#  - alias: db-oncall-2
#    key: file:/etc/shoutrrr/db-oncall-2.key
#    upstream: https://events.eu.pagerduty.com

# Keys of one PagerDuty service, to have several limits for it. Each dedup key stays
# with the key that its incident was opened by.
#pools:
#  - name: db
#    keys: [db-oncall, db-oncall-2]

# Who may use the admin listener. Without tokens everybody on this machine may, other
# machines may not, and admin_hosts is refused. A viewer may look, an operator also requeue, drop, try, pause and resume.
# A token with expires (a date, or a time such as 2027-01-31T12:00:00Z) is refused
# after it.
#tokens:
#  - name: ana
#    role: operator
#    file: /etc/shoutrrr/ana.token
#    expires: 2099-12-31
#  - name: prometheus
#    role: viewer
#    file: /etc/shoutrrr/prometheus.token

# Who is called when a critical event waits for longer than after, or is rejected: once
# for each outage of an upstream, and again when it is over. shoutrrrd notify test tries
# each way. A way is a command (no shell; the message as JSON on standard input), a
# webhook (POST of that JSON), a mail, or another integration key at another upstream.
# What may be a secret stands in a file: webhook, headers (one in each line), password.
#notify:
#  after: 3m
#  ways:
#    - name: phone
#      command: [/etc/shoutrrr/call, --loud]
#      timeout: 30s
#    - name: chat
#      webhook: file:/etc/shoutrrr/chat.url
#      headers: file:/etc/shoutrrr/chat.headers
#    - name: mail
#      smtp: mail.example.com:587
#      tls: starttls
#      from: relay@example.com
#      to: [oncall@example.com]
#      user: relay
#      password: file:/etc/shoutrrr/mail.password
#    - name: other-region
#      pagerduty: eu
#      key: file:/etc/shoutrrr/other-region.key
#      watches: [https://events.pagerduty.com]
`
