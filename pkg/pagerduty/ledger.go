package pagerduty

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

// ledgerLife is how long an incident is remembered that nobody resolves here. The
// relay remembers the open incidents of its pools for as long.
const ledgerLife = 30 * 24 * time.Hour

// Ledger remembers the incidents that were triggered and not yet resolved, so
// that an acknowledge or resolve without a dedup key finds its incident, which
// PagerDuty itself cannot do. It holds no integration key.
//
// [NewMemoryLedger] lives as long as the process, [OpenFileLedger] lasts from
// one process to the next. Both are safe for concurrent use.
type Ledger interface {
	// Open lists the incidents that are open, without those older than 30 days.
	Open(now time.Time) ([]Incident, error)
	// Add remembers an incident unless one with the same keys is known.
	Add(incident Incident) (added bool, err error)
	// Put remembers an incident, in place of the one with the same keys.
	Put(incident Incident) error
	// Remove forgets the incident; none to forget is no error.
	Remove(keyID, dedupKey string) error
}

// Incident is an open incident of a [Ledger].
type Incident struct {
	KeyID     string    `json:"key_id"` // stands for the integration key, and is not its fingerprint: 16 hexadecimal digits of a hash
	DedupKey  string    `json:"dedup_key"`
	Source    string    `json:"source"`
	Summary   string    `json:"summary"`
	Triggered time.Time `json:"triggered"`
}

// keyID stands for an integration key in the ledger: 64 bits of a hash, which
// tell keys apart and lead back to none. Case does not matter.
func keyID(k eventsv2.Key) string {
	sum := sha256.Sum256([]byte("ledger\x00" + strings.ToLower(k.Reveal())))
	return hex.EncodeToString(sum[:8])
}

// AmbiguousIncidentError is returned for an acknowledge or resolve without a
// dedup key while several incidents are open. Nothing was sent: guessing would
// silence somebody's page.
type AmbiguousIncidentError struct {
	Action     eventsv2.Action
	Candidates []Incident
}

// Error lists the incidents that may be meant, with their dedup keys, in one line.
func (e *AmbiguousIncidentError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d incidents are open, and nothing says which one to %s: give its dedup_key, or its source", len(e.Candidates), e.Action)
	for i, c := range e.Candidates {
		separator := "; "
		if i == 0 {
			separator = ": "
		}
		b.WriteString(separator + c.String())
	}
	return b.String()
}

// String names the incident in one line.
func (in Incident) String() string {
	return fmt.Sprintf("dedup_key=%s  source=%s  %s  %q", oneWord(in.DedupKey), oneWord(in.Source), in.Triggered.UTC().Format(time.RFC3339), in.Summary)
}

// oneWord quotes a text with characters that could forge a line of a list or speak
// to a terminal.
func oneWord(text string) string {
	if quoted := strconv.Quote(text); quoted != `"`+text+`"` {
		return quoted
	}
	return text
}

// match finds the incident that an acknowledge or resolve without a dedup key
// means: the one with the derived key, else the only one that is open. No match
// at all gives found == false, as the incident may have been triggered elsewhere.
func match(open []Incident, ev *eventsv2.Event, derived string, sourceGiven bool) (incident Incident, found bool, err error) {
	var candidates []Incident
	for _, in := range open {
		if in.DedupKey == derived {
			return in, true, nil
		}
		if !sourceGiven || in.Source == ev.Payload.Source {
			candidates = append(candidates, in)
		}
	}
	switch len(candidates) {
	case 0:
		return Incident{}, false, nil
	case 1:
		return candidates[0], true, nil
	}
	return Incident{}, false, &AmbiguousIncidentError{Action: ev.Action, Candidates: candidates}
}
