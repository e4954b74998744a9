package pagerdutytest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Fingerprint is what is shown in place of an integration key: "key-" and the
// first 16 hex digits of SHA-256 over the key in lower case.
func Fingerprint(key string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(key)))
	return "key-" + hex.EncodeToString(sum[:8])
}

// newDedupKey makes the dedup key of a trigger that has none, a random UUID. It
// does not come from the seed: a sender may remember it longer than the emulator.
func newDedupKey() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
