// Package delivery pushes events to HTTP endpoints: one consumer group for each
// subscription, in order per entity, with bounded retries and dead letters.
//
// The way of the data: Kafka → [kafka.Group] → window of its partition → queue of its
// entity → attempt (package endpoint) → finished, or again later, or dead letter
// → commit: the first unfinished offset, and in its metadata what is finished beyond it
// and how often the others have failed.
//
// One goroutine, the member's loop, has all state of a subscription in this process;
// attempts, dead letters and commits run beside it and come back to it as messages.
//
// Invariants:
//   - an event is finished when the endpoint has taken it, its dead letter is in Kafka, or
//     the subscription does not want it; only then may the commit pass it;
//   - of an entity, one event at a time is attempted, and none before the ones before it
//     are finished;
//   - what a commit has to say always fits its metadata (metadata.go), because room is
//     reserved before an event is admitted and attempted;
//   - metadata that is not understood means that nothing is finished beyond the offset;
//   - everything in memory is bounded: records by maxSpan and windowBytes, attempts by
//     the subscription's concurrency.
//
// It must not import packages that take events in (api, ingest, intake).
package delivery
