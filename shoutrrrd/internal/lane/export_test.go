package lane

import "time"

// Break plants a fault into a core, for the checkers to find. A name that it does
// not know changes nothing: other faults are planted elsewhere.
func Break(c *Core, fault string) {
	switch fault {
	case "a slot is free after 55 s":
		c.rules.window = 55 * time.Second
	case "a slot is held from the send":
		c.rules.fromSend = true
	case "nothing is reserved":
		c.rules.reserve = 0
	case "no tenth slot":
		c.rules.oldest = 0
	case "one queue for all ranks":
		c.rules.ranks = 1
	case "no place is reserved":
		c.rules.reserved = 0
		c.share()
	case "strangers are trusted":
		c.rules.naive = true
	case "one host takes all places":
		c.rules.hostShare = 1_000_000
	case "one chain opens the breaker":
		c.rules.chains = 1
	case "a rejected key does not wait":
		c.rules.rejected = 0
	case "probes twice as often":
		c.rules.probeEvery /= 2
	}
}
