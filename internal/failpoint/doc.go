// Package failpoint names the steps of the protocol at which a process may die or
// stand still, so that the torture suite can make it do so there.
//
// In a build without the tag `torture`, [At] is empty and inlined to nothing,
// and [Now] is time.Now. With the tag, the variable GATEWAY_TEST_CRASH, read
// once at start, says what happens (the prefix GATEWAY_TEST_ is the one that
// internal/config leaves to tests):
//
//	acked:0.001             one passing of "acked" in a thousand kills the process (SIGKILL)
//	acked:0.001:stop        … stops it (SIGSTOP); whoever watches it continues it
//	seed:42                 what the dice start from; random if not given
//	skew:-3s                the wall clock that Now shows is off by that much
//
// Entries are separated by commas. A point, word or number that is not known
// ends the process at start, with exit status 2: a misspelt point would test
// nothing. Each hit first writes one line to standard error:
//
//	gateway-crash point=acked action=kill
//
// It imports nothing of this module. The state of the tagged build is the one
// exception to "no package state": points stand in the middle of everything.
package failpoint
