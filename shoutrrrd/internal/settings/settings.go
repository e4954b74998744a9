// Package settings reads what the relay is told: from a YAML file, from variables
// and from flags, each of which stands above the one before it.
package settings

import (
	"crypto/sha256"
	"slices"
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
	WhileWaiting   string        // what becomes of pairs of trigger and resolve that could not be sent: one, note, all
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
	former   map[print]former          // of Formerly
	poolOf   map[string]string         // name of the pool by alias
	poolKeys map[string][]eventsv2.Key // by name of the pool, with those that retire
	takers   map[string][]eventsv2.Key // the same without them
}

// Key is an integration key that the file lists.
type Key struct {
	Alias    string
	Key      eventsv2.Key
	Rate     int    // 0: the common one; negative: auto
	Max      int    // of auto; 0: the common one
	Upstream string // "": the common one
	File     bool   // Key stands in a file of its own: another one in there takes its place
	// Retiring: it gets no new incident any more, the other keys of its pool do.
	Retiring bool
	// Formerly are keys whose place Key takes: they retire.
	Formerly []eventsv2.Key
	// inherited is how many of Formerly, the last ones, the file does not name: they stood
	// in the file of the key before, see [Settings.Inherit].
	inherited int

	WhileWaiting string // "": the common one
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
	Own      bool         // the file names Upstream for this key alone
	Alias    string       // the same as Name if the key stands in a file of its own
	Retiring bool         // it gets no new incident any more: another key of Pool does
	// Inherited: the file does not list the key, it stood in the file of another one before.
	Inherited bool

	WhileWaiting string // what becomes of pairs of trigger and resolve that could not be sent
}

// former is a key whose place another one takes.
type former struct {
	heir      int // index in Keys
	inherited bool
}

// print tells keys apart without being one.
type print [sha256.Size]byte

// printOf is the same for a key in another case: PagerDuty compares letter by letter,
// but that is a slip and no other key.
func printOf(key eventsv2.Key) print { return sha256.Sum256([]byte(strings.ToLower(key.Reveal()))) }

func (s *Settings) index() {
	s.byKey = make(map[print]int, len(s.Keys))
	s.former = map[print]former{}
	byAlias := make(map[string]Key, len(s.Keys))
	for i, k := range s.Keys {
		s.byKey[printOf(k.Key)] = i
		byAlias[k.Alias] = k
		for n, old := range k.Formerly {
			s.former[printOf(old)] = former{i, n >= len(k.Formerly)-k.inherited}
		}
	}
	s.poolOf = map[string]string{}
	s.poolKeys, s.takers = make(map[string][]eventsv2.Key, len(s.Pools)), make(map[string][]eventsv2.Key, len(s.Pools))
	for _, pool := range s.Pools {
		for _, alias := range pool.Keys {
			s.enlist(pool.Name, byAlias[alias])
		}
	}
	for _, k := range s.Keys {
		if len(k.Formerly) > 0 && s.poolOf[k.Alias] == "" {
			s.enlist(rotationOf(k.Alias), k)
		}
	}
}

// rotationOf is the pool of a key that is in none and takes the place of others. No name of
// the file has a colon.
func rotationOf(alias string) string { return "rotation:" + alias }

// enlist puts a key into a pool, with those whose place it takes.
func (s *Settings) enlist(pool string, k Key) {
	s.poolOf[k.Alias] = pool
	s.poolKeys[pool] = append(append(s.poolKeys[pool], k.Key), k.Formerly...)
	if !k.Retiring {
		s.takers[pool] = append(s.takers[pool], k.Key)
	}
}

// Lookup finds a key. It is asked for every event.
func (s *Settings) Lookup(key eventsv2.Key) Lookup {
	found := Lookup{Name: key.Fingerprint(), Upstream: s.Upstream, WhileWaiting: s.WhileWaiting}
	found.Rate, found.Start = s.rateOf(Key{})
	of := printOf(key)
	i, listed := s.byKey[of]
	old := former{}
	if !listed {
		if old, listed = s.former[of]; !listed {
			return found
		}
		i = old.heir
	}
	k := s.Keys[i]
	found.Name, found.Listed, found.Key, found.Retiring = k.Alias, true, k.Key, k.Retiring
	found.Rate, found.Start = s.rateOf(k)
	if k.Upstream != "" {
		found.Upstream, found.Own = k.Upstream, true
	}
	if k.File {
		found.Alias = k.Alias
	}
	if k.WhileWaiting != "" {
		found.WhileWaiting = k.WhileWaiting
	}
	found.Pool = s.poolOf[k.Alias]
	if _, current := s.byKey[of]; !current {
		found.Name = k.Alias + "-formerly-" + strings.TrimPrefix(key.Fingerprint(), "key-")[:8]
		found.Key, found.Alias, found.Retiring, found.Inherited = key, "", true, old.inherited
	}
	return found
}

// Takers are the keys of a pool that new incidents may leave by, which the caller must not
// change.
func (s *Settings) Takers(pool string) []eventsv2.Key { return s.takers[pool] }

// mostInherited bounds the keys that a key's file had before: those that last had a lane
// count.
const mostInherited = 8

// Inherit returns the settings with the keys that stood in the files of listed keys before,
// by alias, the latest last: the keys that stand there now take their place.
func (s *Settings) Inherit(before map[string][]eventsv2.Key) *Settings {
	after := *s
	after.Keys = slices.Clone(s.Keys)
	for i := range after.Keys {
		k := &after.Keys[i]
		k.Formerly = slices.Clone(k.Formerly[:len(k.Formerly)-k.inherited])
		k.inherited = 0
	}
	after.index()
	for i := range after.Keys {
		k := &after.Keys[i]
		if !k.File || k.Retiring {
			continue
		}
		for _, key := range slices.Backward(before[k.Alias]) {
			if !after.Lookup(key).Listed && k.inherited < mostInherited {
				k.Formerly = append(k.Formerly, key)
				k.inherited++
			}
		}
	}
	after.index()
	return &after
}

// PoolKeys returns the keys of a pool, which the caller must not change.
func (s *Settings) PoolKeys(name string) []eventsv2.Key { return s.poolKeys[name] }
