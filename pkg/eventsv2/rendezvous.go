package eventsv2

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
)

// Rendezvous spreads dedup keys over integration keys by rendezvous hashing and
// returns the index of the one that is chosen: the same dedup key always meets the
// same integration key, whatever their order, and a key that is added or removed
// moves only its own share. It has to stick, because PagerDuty deduplicates per
// integration key and drops an acknowledge or resolve that comes by another.
func Rendezvous(keys []Key, dedupKey string) int {
	best, highest := 0, uint64(0)
	for i := range keys {
		if len(keys) == 1 {
			break
		}
		sum := sha256.Sum256([]byte(dedupKey + "\x00" + strings.ToLower(keys[i].Reveal())))
		if score := binary.BigEndian.Uint64(sum[:8]); i == 0 || score > highest {
			best, highest = i, score
		}
	}
	return best
}
