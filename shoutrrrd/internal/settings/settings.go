// Package settings reads what the relay is told: from a YAML file, from variables
// and from flags, each of which stands above the one before it.
package settings

import (
	"crypto/sha256"
	"strings"
	"time"

	"github.com/containrrr/shoutrrr/pkg/eventsv2"
)

// Settings is a configuration that has been checked.
type Settings struct {
	Listen         string        // address of the front door
	Admin          string        // address of the second door
	AdminHosts     []string      // names of the second door beside its address
	Queue          string        // path of the queue's file
	Upstream       string        // where lanes send to whose key names nothing else
	Rate           int           // events per key and 60 s
	MaxAge         time.Duration // of an event that leaves
	Retention      time.Duration // of delivered and dropped events
	MaxQueued      int           // undelivered events
	MaxConnections int           // of the front door
	LogLevel       string
	LogFormat      string
	WebConfig      string // TLS of the front door, in the form of Prometheus' web configuration
	AdminWebConfig string // TLS of the second door
	AllowPlain     bool   // front door off loopback without TLS
	OnlyListed     bool   // only keys of the file are accepted
	Keys           []Key
	Pools          []Pool
	Tokens         []Token

	// Warnings tell what works and should not stay as it is: secrets that every user
	// of the machine can read, keys that travel in clear.
	Warnings []string

	origins map[string]origin // by name: rate, keys[0], keys[0].rate
	byKey   map[print]int     // index in Keys; never by the key itself, which a %+v would show
}

// Key is an integration key that the file lists.
type Key struct {
	Alias    string
	Key      eventsv2.Key
	Rate     int    // 0: the common one
	Upstream string // "": the common one
}

// Pool is a group of keys of one PagerDuty service.
type Pool struct {
	Name string
	Keys []string // aliases
}

// Token admits to the second door.
type Token struct {
	Name     string
	Operator bool   // may do what changes something
	Secret   Secret // what the bearer sends
}

// Secret is a text that never shows itself.
type Secret struct{ text *string }

// NewSecret keeps a text from being shown.
func NewSecret(text string) Secret { return Secret{&text} }

// Reveal returns the text.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// String returns a word in place of the text.
func (s Secret) String() string { return "[secret]" }

// GoString returns a word in place of the text, for %#v.
func (s Secret) GoString() string { return "[secret]" }

// Lookup is what the settings say of an integration key.
type Lookup struct {
	Name     string // alias, else fingerprint
	Rate     int
	Upstream string
	Pool     string
	Listed   bool
}

// print tells keys apart without being one.
type print [sha256.Size]byte

// printOf is the same for a key in another case: PagerDuty compares letter by letter,
// but that is a slip and no other key.
func printOf(key eventsv2.Key) print { return sha256.Sum256([]byte(strings.ToLower(key.Reveal()))) }

func (s *Settings) index() {
	s.byKey = make(map[print]int, len(s.Keys))
	for i, k := range s.Keys {
		s.byKey[printOf(k.Key)] = i
	}
}

// Lookup finds a key. It is asked for every event.
func (s *Settings) Lookup(key eventsv2.Key) Lookup {
	found := Lookup{Name: key.Fingerprint(), Rate: s.Rate, Upstream: s.Upstream}
	i, listed := s.byKey[printOf(key)]
	if !listed {
		return found
	}
	k := s.Keys[i]
	found.Name, found.Listed = k.Alias, true
	if k.Rate > 0 {
		found.Rate = k.Rate
	}
	if k.Upstream != "" {
		found.Upstream = k.Upstream
	}
	found.Pool = s.poolOf(k.Alias)
	return found
}

func (s *Settings) poolOf(alias string) string {
	for _, pool := range s.Pools {
		for _, member := range pool.Keys {
			if member == alias {
				return pool.Name
			}
		}
	}
	return ""
}

// PoolKeys returns the keys of a pool.
func (s *Settings) PoolKeys(name string) []eventsv2.Key {
	var keys []eventsv2.Key
	for _, pool := range s.Pools {
		if pool.Name != name {
			continue
		}
		for _, alias := range pool.Keys {
			for _, k := range s.Keys {
				if k.Alias == alias {
					keys = append(keys, k.Key)
				}
			}
		}
	}
	return keys
}
