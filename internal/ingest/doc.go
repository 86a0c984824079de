// Package ingest is the one door through which every event enters: validate,
// claim, publish, settle. The REST API, CloudEvents, batches and webhooks use it.
//
// An event's way, file by file:
//
//   - plan.go decides what to do with it: [NewPlan] checks the data and names
//     type, entity key, topic and identity, or the problem. Dry runs use the same.
//   - accept.go drives a single event ([Door.Accept]), batch.go the events of a
//     batch ([Door.AcceptBatch]): those of one entity one after the other, all
//     others together.
//   - keyed.go has the steps of an event with an identity: claim, publish, settle,
//     and what happens when one of them fails. Both drivers take these steps.
//   - record.go makes the Kafka record, receipt.go answers what became of an event.
//
// Invariants:
//   - nothing is published before its claim is held, unless the event type says
//     that service matters more than deduplication;
//   - a claim is released only when surely nothing was or will be written;
//   - every error is an *event.Error with an outcome; "unknown" leaves the claim
//     in place.
//
// It imports only internal/event and internal/failpoint, and knows neither HTTP,
// Redis nor Kafka.
package ingest
