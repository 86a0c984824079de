// Package idempotency keeps claims in Redis: which attempt holds an idempotency key,
// and the receipts of the events that were written (design section 7).
//
// A claim joins the next batch and gets its answer from the batch's script. What became
// of it (settled, unknown, released) goes into a queue, which is applied in the
// background, in batches too.
//
// Redis can lose claims: it is flushed, or a replica that lags is promoted. So the keys
// are divided into buckets, and each bucket has a marker, which names the Redis that its
// claims were written to. [Rebuilder.Guard] checks the markers every few seconds, and at
// once when a claim finds a wrong one. It rebuilds the claims of such a bucket from the
// log; a lock in Redis lets one gateway at a time do so. Meanwhile keyed events of the
// bucket are refused.
//
// A Redis that takes no claims is known as such after a few failures: claims are then
// refused without being sent, until a probe in the background succeeds ([Store.Watch]).
//
// Invariants:
//   - leases run by Redis' clock; every change of a claim is one script that
//     compares the attempt's token, or the whole record, before it writes;
//   - the scripts alone decide whether a bucket is ready: claim and take-over test in the
//     same script that the marker equals the present master_replid. What this process
//     remembers of unready buckets serves estimates, readiness and a gauge;
//   - a marker is set only by a gateway that held the bucket's lock, on the same Redis,
//     from before it waited for records in flight until it had read the log to its end; or
//     by an operator who asserts that no keyed event was written;
//   - a settled record is never overwritten;
//   - no claim is asked for while a gateway with the former keys may take events;
//   - the receipts that are remembered in this process, for about a minute, are those of
//     events that are in the log. They are correct whatever Redis has lost.
//
// Claims belong to an installation, which every key names (keys.go). Gateways from before
// that have keys without; former_keys.go keeps them from working beside newer ones.
//
// [Inspect] collects the facts that internal/preflight judges, and [Show] reads one claim
// for a person. Neither of them changes anything.
//
// Of the gateway's packages it imports only internal/backoff, internal/event,
// internal/failpoint, internal/preflight and internal/redis.
package idempotency
