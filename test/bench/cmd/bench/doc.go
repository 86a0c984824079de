// Command bench measures the gateway against the floor, or against another
// build of itself, in interleaved rounds on the Kafka and the Redis that
// GATEWAY_TEST_KAFKA and GATEWAY_TEST_REDIS name.
//
//	bench run        gateway against floor
//	bench compare    gateway against an older binary (--old); with the same binary twice,
//	                 --client and --old-client compare the two Kafka clients
//	bench calibrate  floor against floor: how far a ratio is from 1.00 without a cause, or
//	                 what a flag of the floor changes: --floor2 client=librdkafka
//	bench soak       gateway alone for a long time: whether its memory grows
//
// With --distance it starts a Kafka of its own behind a link that delays every byte by
// that much in each direction, and does not limit throughput; --redis-distance puts a
// link in front of Redis. Kafka is then one broker on this machine with a longer way.
//
// It runs from the root of the repository, builds what it is not given, prints
// a table and writes JSON. The exit status is 0 only when every check and every
// target passed. The load generator is this same program, started again as
// `bench load` for each measurement.
package main
