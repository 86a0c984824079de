// Package torture runs real gateways on real Kafka and Redis, breaks them at random,
// and reads the whole log to check that the guarantee held.
//
// One run ([Run]): servers and proxies are started; clients post events, batches and
// webhooks, each event of an entity after the 2xx of the one before, and repeat with
// the same key until a final answer; a scheduler injects faults that follow from the
// seed; at the end everything is healed, the clients finish, the gateways stop, and
// [Check] compares the history with the log:
//
//	(a) the record of every 2xx is in the log where its receipt says, with the bytes of
//	    some request; deliveries that do not fit are in the dead-letter topic
//	(b) no gw_claim is in the log twice, and none that no client sent
//	(c) no event was written by a request that was answered not-written (each record
//	    says which request wrote it), none that can never be accepted, and none by a
//	    request that was answered before its receipt was asked for and not found
//	(d) events of one entity are in the order in which they were posted, and in
//	    the answer to a batch no event of an entity overtakes one that failed
//	(e) every replayed receipt, and every one that was asked for, equals the first
//	(f) after a fault ends, service is back within 30 s without help
//	(g) no answer is outside the contract, and no gateway panics or races
//
// Single events are orders, events without entity on a topic of their own, and events
// on a topic with a small max.message.bytes, a few of which it does not take. Some
// orders are large. Four more types have topics that refuse records during the fault
// "refusals", each for another reason, and are posted only then: their events may be
// answered with a refusal, and every rule holds for them as for others.
//
// Batches have 1 to 50 events of one, some or many entities, with an
// Idempotency-Key or without; webhooks are of the scheme stripe, one event each,
// or of a generic one with an array of events. Requests are repeated whole until
// every event in them has a receipt; a batch without a key leaves out the events that were
// refused for good. The attempt number in a webhook's data, and its signature, change
// with each attempt.
//
// Order within a batch, rule (d). A gateway processes an event only when those of its
// entity before it in the request were accepted by this same request, newly written or
// recognised. So an event's record is never sent before the records of those before it
// are acknowledged, no matter which requests write them, and whether those run side by
// side or in sequence. Within one partition, therefore, the offsets of an entity's
// events rise in the order of the batch, and from batch to batch; missing events are at
// the end of a request's answers, never in the middle, except for an event that was
// left out. Not promised are that a request continues where the last one stopped (an
// unknown outcome holds back the events behind it until it is decided), and any order
// between entities. Behind an invalid event, a batch with a key never makes progress
// for that entity: leaving the event out would change the others' places, and so their
// identities. The clients give those events up; they must never be in the log.
//
// Rule (b) holds in the idempotent guarantee as long as no produce request
// outlives the lease. Faults that may break that assumption (bytes, brokers or
// gateways that stand still for longer) are injected in transactional runs only. With
// the shortest lease that a gateway accepts, 3 s more than the delivery timeout, there
// is no time for a slow claim and a standstill in the same event's life: standstills
// are short then, and faults of Redis never come beside them.
//
// With Options.Outbox the gateways are relays of an outbox in a PostgreSQL, which is broken
// as well, and transactions take the place of requests: they count the steps of 1,000
// entities, one to three at a time, and write them into the outbox and into a table of what
// is true, which says at the end what was committed. A third of them are rolled back, some
// take back a savepoint, some stay open for seconds; a few come in pairs that are open at
// the same time and commit in the other order. [CheckOutbox] has the rules: (a) to (d) as
// above, for rows; and
//
//	(e) when everything is healed, the outbox is soon empty, and no row is dead
//	(f) after a fault ends, new rows are published and deleted within 30 s (60 s, if it
//	    loses claims) without help
//	(g) no relay panics, races, or ends by itself
//
// With Options.Subscriptions the gateways push the events of a topic to an endpoint, which
// fails 5 % of the attempts at random, is slow at random, and is in trouble at times. A writer
// takes the place of the clients; it writes events of 1,000 entities past the gateways, a few
// of which the endpoint never takes. [CheckPushes] has the rules (a) to (d) and (h); and
//
//	(e) when everything is healed, all commits are soon at the ends of their partitions, and
//	    nothing is left to say beyond them
//	(f) after a fault ends, new events are delivered within 30 s (60 s, if the endpoint was
//	    in trouble) without help
//	(g) no gateway panics, races, or ends by itself
//
// [Blast] is a measurement on the same processes: which partitions the loss of one of
// four brokers harms.
//
// Invariants:
//
//   - The n-th fault follows from the seed and n alone. The state that a fault meets
//     does not: a seed repeats the schedule, not the interleaving.
//   - The checker reads through a listener of its own, without a proxy.
//   - What a rule of access is not about is allowed, to everybody: clients have no
//     names.
//   - All children die with this process.
//
// Linux only. Of this module it imports only test/services, internal/failpoint, which
// names the points where a gateway may die, internal/webhook, which signs as providers
// do, and internal/backoff.
package torture
