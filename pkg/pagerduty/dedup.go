package pagerduty

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"strings"
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
// updates the incident, and a retry after a lost answer does not page twice. The
// whole text counts, title and message: many programs give each alert the same title
// or the same first line, and a page too many is better than one too few. Without a
// source it is the machine that tells one issue from the other.
//
// Each part goes in with its length: "ab"+"c" is not "a"+"bc".
func derivedKey(c *Config, message, machine string) string {
	if c.SourceGiven {
		machine = ""
	}
	var buffer [512]byte // most events fit and need no memory of their own
	text := buffer[:0]
	for _, part := range [...]string{c.Source, machine, c.Class, c.Component, c.Group, strings.TrimSpace(c.Title), strings.TrimSpace(message)} {
		text = binary.BigEndian.AppendUint64(text, uint64(len(part)))
		text = append(text, part...)
	}
	sum := sha256.Sum256(text)
	var name [len(derivedPrefix) + derivedLength]byte
	copy(name[:], derivedPrefix)
	lowerBase32.Encode(name[len(derivedPrefix):], sum[:derivedBytes])
	return string(name[:])
}
