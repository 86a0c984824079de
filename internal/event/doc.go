// Package event holds the words that every other package shares: the
// definition of an event type, the receipt of a written event, the three
// outcomes, and the kinds of error.
//
// Invariants: standard library only; no behaviour beyond small pure functions;
// every error that a caller may see carries an [Outcome], and the outcome
// "unknown" is never folded into success or failure.
package event
