// Package kafka has what every Kafka client of the gateway shares: how to reach
// the brokers, how to build a consumer, an admin client and a client that only asks,
// the names of partitions, and the codes of errors. It writes no events: only
// internal/publish does. [Table] keeps the gateway's own state in a compacted topic.
//
// [Group] is a member of a consumer group (docs/adr/0030): it never resets an offset, and
// commits only partitions that it still has.
//
// [Survey] reads what all groups of a cluster have committed (docs/adr/0033).
//
// The operator's properties have librdkafka's names. [Connection.Settings] passes them
// to librdkafka, [Connection.FranzOptions] translates them for franz-go, and
// [ChooseClient] decides which of the two writes.
//
// Checking a cluster and creating topics stay in internal/publish: both ask through
// a producer, so that they meet the same obstacles as one.
//
// Invariants:
//   - asking for metadata never creates a topic;
//   - metadata is asked for by topic, and of a whole cluster only before a client knows
//     any;
//   - one broker that is silent does not make a question for metadata fail;
//   - a call through [Admin] never meets a client that is closed;
//   - a property is translated, or without effect on what is written, or reported: none
//     is dropped in silence;
//   - a connection of franz-go sends nothing after it is closed.
//
// It imports internal/backoff, and no other package of the gateway. confluent-kafka-go,
// imported as librdkafka, and franz-go are known here and in internal/publish only.
package kafka
