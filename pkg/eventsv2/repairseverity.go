package eventsv2

import (
	"strings"
	"unicode/utf8"
)

// synonyms are severities in the words of other systems. Two rules decide: a word
// that two systems use differently is taken at its graver meaning, as somebody
// then looks and corrects it; and only what its own system calls harmless is info,
// which may page nobody.
//
//   - syslog (RFC 5424): emergency, alert and critical are what PagerDuty calls
//     critical; error and warning keep their names; notice and below need nobody.
//   - Nagios, Icinga, Sensu: DOWN is critical, as CRITICAL is. UNREACHABLE and
//     UNKNOWN mean that nobody can tell: an error, for it may be worse.
//   - Zabbix: as its own integration maps them, disaster, high, average and warning,
//     information and not classified.
//   - Prometheus and Grafana: "page" is the label of those who know two severities,
//     page and ticket; "none" is that of the Watchdog and of InfoInhibitor.
//   - Priorities and levels, P1 to P5 and SEV1 to SEV5: 0 and 1 wake people, 2 is
//     serious, 3 has until the morning, the others are for the record.
//   - ITIL, ITU-T X.733: major stands above minor.
//   - Loggers: fatal and panic end a program; Java's SEVERE is its word for error.
//   - Plain numbers are syslog's, which agree with priorities or are graver. Those
//     of Nagios (0 is fine, 2 is critical) and of Zabbix (5 is a disaster) cannot be
//     told from these: their integrations send words.
//   - Traffic lights, as dashboards have them.
var synonyms = map[string]Severity{
	"emerg": SeverityCritical, "emergency": SeverityCritical, "alert": SeverityCritical, "crit": SeverityCritical,
	"fatal": SeverityCritical, "panic": SeverityCritical, "disaster": SeverityCritical, "page": SeverityCritical,
	"down": SeverityCritical, "blocker": SeverityCritical, "urgent": SeverityCritical, "highest": SeverityCritical, "red": SeverityCritical,
	"p0": SeverityCritical, "p1": SeverityCritical, "s0": SeverityCritical, "s1": SeverityCritical, "sev0": SeverityCritical, "sev1": SeverityCritical,
	"0": SeverityCritical, "1": SeverityCritical, "2": SeverityCritical,

	"err": SeverityError, "severe": SeverityError, "high": SeverityError, "major": SeverityError, "unreachable": SeverityError,
	"unknown": SeverityError, "failed": SeverityError, "failure": SeverityError, "fail": SeverityError, "orange": SeverityError,
	"p2": SeverityError, "s2": SeverityError, "sev2": SeverityError, "3": SeverityError,

	"warn": SeverityWarning, "average": SeverityWarning, "medium": SeverityWarning, "moderate": SeverityWarning, "minor": SeverityWarning,
	"degraded": SeverityWarning, "ticket": SeverityWarning, "yellow": SeverityWarning, "amber": SeverityWarning,
	"p3": SeverityWarning, "s3": SeverityWarning, "sev3": SeverityWarning, "4": SeverityWarning,

	"notice": SeverityInfo, "information": SeverityInfo, "informational": SeverityInfo, "debug": SeverityInfo, "trace": SeverityInfo,
	"verbose": SeverityInfo, "low": SeverityInfo, "lowest": SeverityInfo, "notclassified": SeverityInfo, "none": SeverityInfo, "ok": SeverityInfo, "up": SeverityInfo,
	"normal": SeverityInfo, "green": SeverityInfo, "p4": SeverityInfo, "p5": SeverityInfo, "s4": SeverityInfo, "s5": SeverityInfo,
	"sev4": SeverityInfo, "sev5": SeverityInfo, "5": SeverityInfo, "6": SeverityInfo, "7": SeverityInfo,
}

// fillSeverity makes the severity one of PagerDuty's four.
func (r *repairer) fillSeverity() {
	p := &r.e.Payload
	given := r.given.severity
	if given == "" {
		if known, ok := ReadSeverity(r.detailText("severity")); ok {
			p.Severity = known
			r.note("payload.severity was missing: that of custom_details, %s, stands for it", p.Severity)
			return
		}
	}
	if isSeverity(Severity(given)) {
		p.Severity = Severity(given)
		return
	}
	p.Severity = severityOf(given)
	if given == "" {
		r.note("payload.severity was missing: %s stands for it", p.Severity)
		return
	}
	r.note("payload.severity %q became %s", r.shown(given), p.Severity)
	if utf8.RuneCountInString(given) > maxShown { // the line has not all of it
		r.keepText("severity", given)
	}
}

// severityOf reads a severity. What nobody knows is an error: it pages where a
// service looks at severities at all, and does not claim to be the worst.
func severityOf(text string) Severity {
	if known, ok := ReadSeverity(text); ok {
		return known
	}
	return SeverityError
}

// ReadSeverity reads a severity in PagerDuty's words or in those of another system, and reports
// whether it is one that is known.
func ReadSeverity(text string) (Severity, bool) {
	word := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return -1
	}, strings.ToLower(text))
	if isSeverity(Severity(word)) {
		return Severity(word), true
	}
	known, ok := synonyms[word]
	return known, ok
}

func isSeverity(s Severity) bool {
	switch s {
	case SeverityInfo, SeverityWarning, SeverityError, SeverityCritical:
		return true
	}
	return false
}
