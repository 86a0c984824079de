// Package kafka has what every Kafka client of the gateway shares: how to reach
// the brokers, how to build a consumer, an admin client and a client that only asks,
// the names of partitions, and the codes of errors. It writes no records: only
// internal/publish does.
//
// Checking a cluster and creating topics stay in internal/publish: both ask through
// a producer, so that they meet the same obstacles as one.
//
// Invariants:
//   - asking for metadata never creates a topic;
//   - metadata is asked for by topic, never of a whole cluster that has others;
//   - one broker that is silent does not make a question for metadata fail;
//   - a call through [Admin] never meets a client that is closed.
//
// It imports no other package of the gateway. The driver, confluent-kafka-go, is
// imported as librdkafka here and in internal/publish.
package kafka
