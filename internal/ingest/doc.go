// Package ingest is the one door through which every event enters: validate,
// claim, publish, settle. The REST API uses it today; webhooks and the outbox
// will enter here too.
//
// The data's way: [Door.Accept] takes a [Request], asks the catalog whether the
// data is valid and what its key is, claims the identity in the idempotency
// store, publishes to the claimed partition, and returns the receipt once the
// log has acknowledged. Settling the claim happens behind the answer.
// [Door.AcceptBatch] does the same for each event of a batch: those of one entity
// one after the other, those that nothing waits behind together.
//
// Invariants:
//   - nothing is published before its claim stands, unless the event type says
//     that service matters more than deduplication;
//   - a claim is released only when surely nothing was or will be written;
//   - every error is an *event.Error with an outcome; "unknown" leaves the claim
//     in place.
//
// It imports only internal/event, and knows neither HTTP, Redis nor Kafka.
package ingest
