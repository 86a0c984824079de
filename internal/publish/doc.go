// Package publish is the only Kafka producer. It places records on the
// partition that Java producers would choose, writes them with acks=all and
// the idempotent producer, and says of every failure whether the record was
// written, was not, or may have been.
//
// The data's way: [Producer.Place] picks the partition from cached metadata;
// [Producer.Publish] hands the record to librdkafka and waits for its delivery
// report.
//
// In transactional mode, Place also picks the lane (a transactional producer);
// Publish queues the record there, and the lane hands over all that wait,
// collects every report, commits, and only then answers.
//
// Invariants:
//   - a record goes only to the partition and through the incarnation (one
//     librdkafka producer) that its placement names;
//   - an error is "not written" only if neither librdkafka nor a broker can
//     have appended the record: see outcome.go;
//   - in transactional mode a record is answered "written" when its commit has
//     returned; a lane whose transaction did not end for sure is never used
//     again, and what waited in it never passes to another;
//   - a lane is initialised, then listed in the registry topic, and only then
//     named in claims: whoever fences all that are listed has fenced all;
//   - asking for metadata never creates a topic, and a missing topic or an
//     absent Kafka is refused at once, never after a time-out.
//
// Beside the producer, [Inspect] gathers what `gateway check` judges, and
// [ApplyTopics] creates topics. Neither writes records.
//
// It imports only internal/event, internal/failpoint and, for the facts that Inspect
// returns, internal/preflight. It is the only user of confluent-kafka-go.
package publish
