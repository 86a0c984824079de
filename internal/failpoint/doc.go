// Package failpoint names the steps of the protocol at which the torture suite can make
// a process die or stand still.
//
// In a build without the tag `torture`, [At] is empty and inlined to nothing,
// and [Now] is time.Now. With the tag, the variable GATEWAY_TEST_FAILPOINTS, read
// once at start, says what happens (internal/config leaves the prefix GATEWAY_TEST_ to
// tests):
//
//	acked:0.001             one passing of "acked" in a thousand kills the process (SIGKILL)
//	acked:0.001:stop        … stops it (SIGSTOP); whatever supervises it has to continue it
//	seed:42                 the seed of the dice; random if not given
//	skew:-3s                the wall clock that Now shows is off by that much
//
// Entries are separated by commas. An unknown point, word or number ends the process at
// start with exit status 2, because a misspelt point would test nothing. Each hit first
// writes one line to standard error:
//
//	gateway-failpoint point=acked action=kill
//
// It imports no other package of the gateway. The state of the tagged build is the one
// exception to "no package state": failpoints are in the middle of everything.
package failpoint
