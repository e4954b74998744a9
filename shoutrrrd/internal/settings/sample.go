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
		usage += "; by default $STATE_DIRECTORY/queue.db, or $XDG_STATE_HOME/shoutrrr/queue.db"
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
# file's folder) or the 32 characters themselves. rate and upstream as above, for
# this key alone; region is us or eu and stands for PagerDuty's upstream there.
#keys:
#  - alias: db-oncall
#    key: file:/etc/shoutrrr/db-oncall.key
#    rate: 120
#    region: eu
#  - alias: db-oncall-2
#    key: file:/etc/shoutrrr/db-oncall-2.key
#    upstream: https://events.eu.pagerduty.com

# Keys of one PagerDuty service, to have several limits for it. Each dedup key stays
# with the key that its incident was opened by.
#pools:
#  - name: db
#    keys: [db-oncall, db-oncall-2]

# Who may use the second door. Without tokens everybody on this machine may, and
# nobody else. A viewer may look, an operator also requeue, drop, pause and resume.
#tokens:
#  - name: ana
#    role: operator
#    file: /etc/shoutrrr/ana.token
#  - name: prometheus
#    role: viewer
#    file: /etc/shoutrrr/prometheus.token
`
