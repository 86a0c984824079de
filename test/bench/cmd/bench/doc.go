// Command bench measures the gateway against the floor, or against another
// build of itself, in interleaved rounds on the Kafka and the Redis that
// GATEWAY_TEST_KAFKA and GATEWAY_TEST_REDIS name.
//
//	bench run        gateway against floor
//	bench compare    gateway against an older binary (--old); with the same binary twice,
//	                 --client and --old-client compare the two Kafka clients
//	bench calibrate  floor against floor: how far a ratio is from 1.00 without a cause, or
//	                 what a flag of the floor changes: --floor2 client=librdkafka
//	bench table      named cells, gateways beside a floor, as a table in Markdown: near, 2
//	                 and 10 ms away, one broker and three, 12 to 2,400 partitions, both
//	                 clients and guarantees; then the targets that cells meet or miss
//	bench soak       gateway alone for a long time: whether its memory, goroutines or
//	                 descriptors grow
//
// table starts a Kafka and a Redis of its own, needs nothing from the environment, and takes
// about 20 minutes. --list shows its cells, --cells '2ms-48p-*,10ms-*' measures some. Cells
// that differ only in the gateway share a floor and their rounds. A cell whose
// configuration the gateway refuses is reported with the gateway's words. Kafka and Redis
// are equally far, but for cells named -redis0ms; three brokers replicate to each other
// without a delay.
//
// With --distance the other commands start a Kafka of their own behind a link that delays every byte by
// that much in each direction, and does not limit throughput; --redis-distance puts a
// link in front of Redis. Kafka is then one broker on this machine with a longer way.
//
// The program runs from the root of the repository, builds what it is not given, prints
// a table and writes JSON. The exit status is 0 only when every check and every
// target passed. The load generator is this same program, started again as
// `bench load` for each measurement.
package main
