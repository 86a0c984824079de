// Package kafka has what every Kafka client of the gateway shares: how to reach
// the brokers, how to build a consumer and an admin client, the names of
// partitions, and the codes of errors. It writes no records: only internal/publish
// does.
//
// Checking a cluster and creating topics stay in internal/publish: both ask through
// a producer, so that they meet the same obstacles as one.
//
// Invariants:
//   - asking for metadata never creates a topic;
//   - a call through [Admin] never meets a client that is closed.
//
// It imports no other package of the gateway. The driver, confluent-kafka-go, is
// imported as librdkafka here and in internal/publish.
package kafka
