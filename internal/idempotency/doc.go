// Package idempotency keeps claims in Redis: which attempt holds an idempotency key,
// and the receipts of the events that were written (design section 7).
//
// A claim joins the next batch and gets its answer from the batch's script. What became
// of it (settled, unknown, released) goes into a queue, which is applied in the
// background, in batches too.
//
// Redis can lose claims: it is flushed, or a replica that lags is promoted. So the keys
// are divided into buckets, and each bucket has a marker, which names the Redis that its
// claims were written to, and their generation (marker.go, docs/adr/0021). [Rebuilder.Guard]
// checks the markers every few seconds, and at once when a claim finds a wrong one. Where
// Redis has another id and lost nothing, it makes the marker right. Else it rebuilds:
//
//   - it locks the buckets in Redis (bucket_locks.go) and begins a generation, which Kafka
//     counts; the other gateways join it by writing their unsettled claims again (join.go);
//   - it waits for those that do not (gather.go), and measures by the newest beat that
//     survived (beat.go) since when claims may be missing;
//   - it reads the log since then, for some buckets a tail, for others the window. Other
//     gateways read parts of that for it (shared_replay.go, docs/adr/0024). How far it is, is in
//     Redis as well, so that another gateway can go on, in the same generation (resume.go);
//   - it sets the markers.
//
// Meanwhile keyed events of the bucket are refused, unless all topics that may have claims
// of their type are done.
//
// A Redis that takes no claims is known as such after a few failures: claims are then
// refused without being sent, until a probe in the background succeeds ([Store.Watch]).
//
// Invariants:
//   - leases run by Redis' clock; every change of a claim is one script that
//     compares the attempt's token, or the whole record, before it writes;
//   - the scripts alone decide whether a bucket is ready: claim and take-over test in the
//     same script that the marker, or the progress of a type that is back, names the present
//     master_replid and the generation that this process is in. What it
//     remembers of unready buckets serves estimates, readiness and a gauge;
//   - a generation is begun only by who holds the first bucket's lock, and only while nobody
//     rebuilds a bucket, or may go on with an interrupted rebuild of the newest generation;
//   - a lock's token belongs to one reading of the log, and so to one generation, one Redis
//     and one time since when the log is read;
//   - a marker is set only under a token that held the bucket, by its lock or its progress, on
//     the same Redis, from before the wait for records in flight until the log was read to its
//     end, by one gateway or by several; or by an operator who asserts that no keyed event was written;
//   - a bucket's progress (scripts_types.go) is there only while everything is in Redis that
//     was restored under its token: what makes that incomplete deletes it in the same script,
//     and nothing brings it back. So claims of a type that it names may be made before the
//     marker is set: nothing of their kind is missing, and nothing of it can still be written,
//     because the wait for records in flight comes before the progress. If Redis is lost again, replication id and progress are, and
//     the next rebuild waits and reads what such claims have written;
//   - nobody notes that a part of the log is read before all of it is written to all buckets
//     that have the rebuild's progress;
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
