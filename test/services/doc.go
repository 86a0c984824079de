// Package services starts real servers for tests: Apache Kafka from the jars of
// Maven Central, and the redis-server and PostgreSQL of Debian.
//
// There are two ways to use it:
//
//   - [Up] and [Down], behind `make services-up` and `make services-down`, keep
//     one server of each kind in the background. Tests reach them with [Shared].
//   - [StartKafka], [StartKafkaCluster], [StartOldKafka], [StartRedis],
//     [StartSentinel] and [StartPostgres] start a private server that a test may
//     pause, kill and restart. [NewAuthority] signs certificates for them.
//
// Invariants:
//
//   - Servers listen on 127.0.0.1 only.
//   - A server counts as started when it, and not another server that holds
//     its port, answers a real request of its own protocol.
//   - Every wait is bounded: [StartTimeout], or the deadline of the context.
//   - An error about a server carries the end of that server's log.
//   - A private server dies with the process that started it, even if that
//     process is killed; servers of [Up] outlive it, and [Down] signals only
//     processes whose start time is the recorded one.
//
// Linux only. Nothing outside tests may import this package, and it imports no
// other package of this module.
package services
