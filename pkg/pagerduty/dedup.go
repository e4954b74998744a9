package pagerduty

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

// A derived key is 128 bits of a hash, in 26 letters and digits that a person can
// read out.
const (
	derivedBytes  = 16
	derivedLength = 26
)

var lowerBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// derivedPrefix tells derived keys from those that people give.
const derivedPrefix = "shoutrrr-"

// derivedKey is the dedup key of an event that names none. It depends on what
// makes two triggers the same issue and on nothing else, so that a repetition
// updates the incident, and a retry after a lost answer does not page twice.
// Each part goes in with its length: "ab"+"c" is not "a"+"bc".
func derivedKey(p *eventsv2.Payload) string {
	var buffer [512]byte // most events fit and need no memory of their own
	text := buffer[:0]
	for _, part := range [...]string{p.Source, p.Class, p.Component, p.Group, p.Summary} {
		text = binary.BigEndian.AppendUint64(text, uint64(len(part)))
		text = append(text, part...)
	}
	sum := sha256.Sum256(text)
	var name [len(derivedPrefix) + derivedLength]byte
	copy(name[:], derivedPrefix)
	lowerBase32.Encode(name[len(derivedPrefix):], sum[:derivedBytes])
	return string(name[:])
}
