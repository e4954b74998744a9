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
	Listen         string        // address of the events listener
	Admin          string        // address of the admin listener
	AdminHosts     []string      // names of the admin listener beside its address
	Queue          string        // path of the queue's file
	Upstream       string        // where lanes send to whose key names nothing else
	Rate           int           // events per key and 60 s; 0 for auto
	Max            int           // to which auto may grow
	MaxAge         time.Duration // of an event that leaves
	Retention      time.Duration // of delivered and dropped events
	MaxQueued      int           // undelivered events
	MaxDead        int           // dead letters
	MaxDeadBytes   int64         // of the dead letters' bodies
	MaxLanes       int           // of keys that the file does not list
	MaxDisk        int64         // bytes of the queue on the disk; 0 for the smaller of 20 GB and what leaves a tenth of the file system free
	MaxConnections int           // to the events listener
	// MaxRequestsPerClient are in hand at once for one address beyond loopback.
	MaxRequestsPerClient int
	// MaxBodyMemory bounds the bytes of requests that are being received.
	MaxBodyMemory  int64
	LogLevel       string
	LogFormat      string
	WebConfig      string // TLS of the events listener, in the form of Prometheus' web configuration
	AdminWebConfig string // TLS of the admin listener
	AllowPlain     bool   // events listener off loopback without TLS
	OnlyListed     bool   // only keys of the file are accepted
	Keys           []Key
	Pools          []Pool
	Tokens         []Token
	Notify         Notify // how the relay calls for help

	// Warnings tell what works and should not stay as it is: secrets that every user
	// of the machine can read, keys that travel in clear.
	Warnings []string

	now      func() time.Time          // the wall clock, for what expires
	origins  map[string]origin         // by name: rate, keys[0], keys[0].rate
	byKey    map[print]int             // index in Keys; never by the key itself, which a %+v would show
	poolOf   map[string]string         // name of the pool by alias
	poolKeys map[string][]eventsv2.Key // by name of the pool
}

// Key is an integration key that the file lists.
type Key struct {
	Alias    string
	Key      eventsv2.Key
	Rate     int    // 0: the common one; negative: auto
	Max      int    // of auto; 0: the common one
	Upstream string // "": the common one
}

// Pool is a group of keys of one PagerDuty service.
type Pool struct {
	Name string
	Keys []string // aliases
}

// Token admits to the admin listener.
type Token struct {
	Name     string
	Operator bool      // may do what changes something
	Secret   Secret    // what the bearer sends
	Expires  time.Time // from then on it is refused; zero: never
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
	Rate     int    // the most events in 60 s
	Start    int    // what it begins with: the same, or with rate: auto less
	Upstream string
	Pool     string
	Listed   bool
	Key      eventsv2.Key // as the file spells it, zero if it does not list it
}

// print tells keys apart without being one.
type print [sha256.Size]byte

// printOf is the same for a key in another case: PagerDuty compares letter by letter,
// but that is a slip and no other key.
func printOf(key eventsv2.Key) print { return sha256.Sum256([]byte(strings.ToLower(key.Reveal()))) }

func (s *Settings) index() {
	s.byKey = make(map[print]int, len(s.Keys))
	byAlias := make(map[string]eventsv2.Key, len(s.Keys))
	for i, k := range s.Keys {
		s.byKey[printOf(k.Key)] = i
		byAlias[k.Alias] = k.Key
	}
	s.poolOf = map[string]string{}
	s.poolKeys = make(map[string][]eventsv2.Key, len(s.Pools))
	for _, pool := range s.Pools {
		for _, alias := range pool.Keys {
			s.poolOf[alias] = pool.Name
			s.poolKeys[pool.Name] = append(s.poolKeys[pool.Name], byAlias[alias])
		}
	}
}

// Lookup finds a key. It is asked for every event.
func (s *Settings) Lookup(key eventsv2.Key) Lookup {
	found := Lookup{Name: key.Fingerprint(), Upstream: s.Upstream}
	found.Rate, found.Start = s.rateOf(Key{})
	i, listed := s.byKey[printOf(key)]
	if !listed {
		return found
	}
	k := s.Keys[i]
	found.Name, found.Listed, found.Key = k.Alias, true, k.Key
	found.Rate, found.Start = s.rateOf(k)
	if k.Upstream != "" {
		found.Upstream = k.Upstream
	}
	found.Pool = s.poolOf[k.Alias]
	return found
}

// PoolKeys returns the keys of a pool, which the caller must not change.
func (s *Settings) PoolKeys(name string) []eventsv2.Key { return s.poolKeys[name] }
