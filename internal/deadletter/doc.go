// Package deadletter knows dead letters: records that somebody gave up and wrote to a
// topic of their own. It reads those of the gateway's subscriptions and webhooks, of
// Spring Kafka, Kafka Connect, Kafka Streams and share groups into one description
// ([Describe]), finds them in Kafka ([Find]), and writes copies of them to where they can be
// processed again ([Replay]).
//
// The way of a replay: dead-letter topic → [Describe] → [Filter] → [Ledger] (not yet
// replayed) → [Target] → one transaction with the copies and a mark for each → the next.
//
// Invariants:
//   - a copy and its mark are committed together or not at all: whoever kills a replay
//     finds afterwards exactly the marks of the copies that are in Kafka (docs/adr/0034);
//   - one replay of a dead-letter topic runs at a time: another one ends it;
//   - a copy has none of the provenance of the dead letter, but a count of rounds, so that
//     headers do not grow from round to round;
//   - a copy does not have the claim of the event that was published first: it is not the
//     record that a receipt names.
//
// It must not import packages that take events in, or push them.
package deadletter
