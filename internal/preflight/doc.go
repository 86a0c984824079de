// Package preflight compares the facts about Kafka, Redis and outboxes with what the promise
// and the event types need of them, and says how to fix each problem. Its rules are pure
// functions from facts to findings: internal/publish, internal/idempotency and
// internal/outbox collect the facts, `gateway check` prints the findings.
//
// It imports no other package of the gateway.
package preflight
