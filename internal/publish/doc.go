// Package publish is the only Kafka producer, and the reader of what it wrote. It
// places records on the partition that Java producers would choose, writes them with
// acks=all and the idempotent producer, and says of every failure whether the record
// was written, was not written, or may have been.
//
// A record's way:   Producer.Place → Producer.Publish → incarnation.send → client → incarnation.report → position
// An abandoned key: Reader.Find → fence (transactional) or replication facts → scanner → receipt
// A rebuild:        Reader.Replay → topicMemory → replay.topic → replay.partition → spanReader → entry
//
// A [Log] is a [Producer] and a [Reader]. The Producer knows topics and what they
// take; its backend gets records acknowledged. idempotent keeps incarnations:
// producers with an id that keep the time and write through a client, franz-go or
// librdkafka. txPool keeps three transactional producers, whose clients (tx_client.go) are
// of either kind. A txProducer queues records, sends all that wait in one transaction,
// collects every report, commits, and only then answers. The three begin their
// transactions at even intervals.
//
// [Producer.PublishAll] hands many records over. Some may follow others: none of them is
// written behind one that was refused or lost (client_franz.go says why).
//
// Invariants:
//   - a record goes only to the partition and through the incarnation that its
//     placement names;
//   - an error is "not written" only if neither the client nor a broker can
//     have appended the record: see outcome.go and client.go;
//   - what an incarnation has given up is answered unknown, and not sent later than
//     0.7 s after that;
//   - a refusal by a broker, or a partition that does not acknowledge, disturbs no
//     other record for longer than it takes to notice: see quarantine.go;
//   - in transactional mode a record is answered "written" when its commit has
//     returned; a txProducer whose transaction did not certainly end is never used
//     again, and what waited in it never passes to another;
//   - a txProducer is initialised, then listed in the registry topic, then its process
//     reads the topic of gateways to its end, and only then it is named in claims: fencing
//     all that are listed fences all that can write in an older generation;
//   - a recovery read ends only at an offset behind all that the claim's owner can have
//     appended: see recovery_read.go;
//   - a record gives a receipt only in a topic of its event type: see homes.go;
//   - asking for metadata never creates a topic, and a missing topic or an
//     unreachable Kafka is refused at once, never after a timeout.
//
// [Membership] registers this process among the gateways, and raises generations of
// claims, in a topic whose order decides (docs/adr/0021).
//
// [Copier] writes records of others once more, with notes of it, in transactions of its own
// (docs/adr/0034), and [Records] reads the committed records of any topics.
//
// [Inspect] gathers what `gateway check` judges, and [CreateTopics] creates topics.
// Neither writes records.
//
// It imports only internal/event, internal/failpoint, internal/backoff,
// internal/kafka and, for the facts that Inspect returns, internal/preflight. It and
// internal/kafka are the only users of confluent-kafka-go and franz-go.
package publish
