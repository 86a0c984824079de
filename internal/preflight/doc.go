// Package preflight holds what was found out about Kafka, Redis and the event
// types against what the promise needs, and says what to do about each finding.
// Its rules are pure functions from facts to findings: internal/publish and
// internal/idempotency gather the facts, `gateway check` prints the findings.
//
// It imports nothing of internal/.
package preflight
