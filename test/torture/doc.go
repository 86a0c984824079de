// Package torture runs real gateways on real Kafka and Redis, breaks them at
// random, and reads the whole log to see whether the promise held.
//
// One run ([Run]): servers and proxies are started; clients post events, batches and
// webhooks, each event of an entity after the 2xx of the one before, and repeat with
// the same key until a final answer; a scheduler injects faults that follow from the
// seed; at the end everything is healed, the clients finish, the gateways stop,
// and [Check] holds the history against the log:
//
//	(a) every 2xx is in the log where its receipt says, and what is there is what
//	    some request had in it; deliveries that do not fit are in the dead-letter topic
//	(b) no gw_claim is there twice, and none that nobody sent
//	(c) no event was written by a request that said it was not (each record tells
//	    which request wrote it), nor one that can never be accepted
//	(d) events of one entity are in the order in which they were posted, and in
//	    the answer to a batch nothing overtakes an event that failed
//	(e) every replayed receipt equals the first
//	(f) after the faults stop, service is back within 30 s without help
//	(g) no answer is outside the contract, and no gateway panics or races
//
// Batches have 1 to 50 events of one, some or many entities, with an
// Idempotency-Key or without; webhooks are of the scheme stripe, one event each,
// or of a generic one with an array of events. Requests are repeated whole until
// every event in them has a receipt; a batch without key leaves out what was refused
// for good. What a webhook's data counts, and its signature, change from try to try.
//
// Order within a batch, rule (d). A gateway takes up an event only when those of
// its entity before it in the request were accepted by this same request, written or
// recognised. So an event's record is never handed over before the records of
// those before it are acknowledged, whoever writes which, in however many requests,
// side by side or one after the other. It follows for one partition: offsets of an
// entity's events rise in the order of the batch, and from batch to batch; what is
// missing is at the end of a request's answers, never in the middle, except for an
// event that was left out. Not promised: that a request goes on where the last one
// stopped (an unknown outcome holds back until it is decided), and any order between
// entities. Behind an invalid event a batch with a key never gets any further
// for that entity: leaving it out would change the others' places, and so their
// identities. The clients give those up; they must never be in the log.
//
// Rule (b) holds in the idempotent guarantee as long as no produce request
// outlives the lease. Faults that may break that assumption (bytes, brokers or
// gateways that stand still for longer) are injected in transactional runs only.
//
// Invariants:
//
//   - The n-th fault follows from the seed and n alone. What the faults hit in
//     that moment does not: a seed repeats the schedule, not the interleaving.
//   - The checker reads through a listener of its own, past every proxy.
//   - All children die with this process.
//
// Linux only. It imports test/services, internal/failpoint, which names the points
// where a gateway may die, and internal/webhook, which signs as providers do, and
// no other package of this module.
package torture
