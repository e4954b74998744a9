// Package lane decides what leaves the relay next, and when. It is the whole of
// the relay's judgement and nothing else: [Core.Step] takes what happened and the
// time at which it did and returns what is to be done. There is no clock, no
// goroutine, no randomness but from a seed, and no I/O, so that one seed replays
// exactly, and years of an unkind world are simulated in minutes.
//
// A lane is the queue of one integration key. Its events leave at most at the
// lane's rate, the most severe first. A host is what lanes send to; its breaker is
// shared by them. All lanes share the relay's capacity: the number of attempts that
// are in flight at once.
//
// core.go has the inputs, the decisions and Step; lane.go a lane's state; pacing.go
// when a lane may send; dispatch.go which lane sends next; answer.go what an answer
// means; upstream.go the hosts; timers.go the alarms; status.go what people see;
// trace.go what is logged of a fault in here.
package lane
