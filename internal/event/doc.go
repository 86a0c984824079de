// Package event holds the types that every other package shares: the definition of
// an event type, the claim, the record and the receipt of an event, the three outcomes,
// and the kinds of error.
//
// Invariants: standard library only; no behaviour beyond small pure functions; every
// error that a caller may see carries an [Outcome], and "unknown" is never treated as
// success or failure.
package event
