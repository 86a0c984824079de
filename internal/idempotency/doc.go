// Package idempotency keeps claims in Redis: which request holds an
// idempotency key, and the receipts of those that are done (design section 7).
// It is the only user of go-redis.
//
// The data's way: a claim joins the batch that is being gathered and returns
// with its batch's script; an ending (settle, doubt, release) is queued and
// applied behind the caller's back, in batches too.
//
// What Redis may have lost is learnt again from the log: Guard looks at the
// buckets' markers and rebuilds those that are wrong, one gateway at a time.
//
// Invariants:
//   - leases run by Redis' clock; every change of a claim is one script that
//     compares the attempt's token, or the whole record, before it writes;
//   - claim and take-over test in the same script that the bucket's marker
//     equals the present master_replid, because a failover loses claims;
//   - a marker is set only by whoever held the bucket's lock, on the same Redis,
//     from before the wait for records under way to the end of the log; or by
//     an operator who says that there is nothing to learn;
//   - a settled record is never overwritten;
//   - only facts are remembered locally: receipts of written events.
//
// Inspect gathers what a preflight judges, and Show what a claim holds: both
// only read.
//
// It imports only internal/event, internal/failpoint and internal/preflight.
package idempotency
