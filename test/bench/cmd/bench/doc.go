// Command bench measures the gateway against the floor, or against another
// build of itself, in interleaved rounds on the Kafka and the Redis that
// GATEWAY_TEST_KAFKA and GATEWAY_TEST_REDIS name.
//
//	bench run        gateway against floor
//	bench compare    gateway against an older binary (--old)
//	bench calibrate  floor against floor: how far from 1.00 a ratio of nothing is
//	bench soak       gateway alone for long: does its memory grow
//
// It runs from the root of the repository, builds what it is not given, prints
// a table and writes JSON. The exit status is 0 only when every check and every
// target passed. The load generator is this same program, started anew as
// `bench load` for each measurement.
package main
