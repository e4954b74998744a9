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
	case "nothing is kept":
		c.rules.kept = 0
	case "no tenth slot":
		c.rules.oldest = 0
	case "probes twice as often":
		c.rules.probeEvery /= 2
	}
}
