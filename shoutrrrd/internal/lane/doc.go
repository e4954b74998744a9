// Package lane decides what leaves the relay next, and when. It is the whole of
// the relay's judgement and nothing else: [Core.Step] takes what happened and the
// time at which it did and returns what is to be done. There is no clock, no
// goroutine, no randomness but from a seed, and no I/O, so that one seed replays
// exactly, and years of an unkind world are simulated in minutes.
//
// A lane is the queue of one integration key. Its events leave at most at the
// lane's rate, the gravest first; a host is what lanes send to, and its breaker is
// shared by them.
package lane
