// Package publish is the only Kafka producer. It places records on the
// partition that Java producers would choose, writes them with acks=all and
// the idempotent producer, and says of every failure whether the record was
// written, was not, or may have been.
//
// The data's way: [Producer.Place] picks the partition from cached metadata;
// [Producer.Publish] hands the record to librdkafka and waits for its delivery
// report.
//
// Invariants:
//   - a record goes only to the partition and through the incarnation (one
//     librdkafka producer) that its placement names;
//   - an error is "not written" only if neither librdkafka nor a broker can
//     have appended the record: see outcome.go;
//   - asking for metadata never creates a topic, and a missing topic or an
//     absent Kafka is refused at once, never after a time-out.
//
// It imports only internal/event. It is the only user of confluent-kafka-go.
package publish
