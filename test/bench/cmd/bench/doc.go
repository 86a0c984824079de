// Command bench measures the gateway against the floor, or against another
// build of itself, in interleaved rounds on the Kafka and the Redis that
// GATEWAY_TEST_KAFKA and GATEWAY_TEST_REDIS name.
//
//	bench run        gateway against floor
//	bench compare    gateway against an older binary (--old)
//	bench calibrate  floor against floor: how far a ratio is from 1.00 without a cause
//	bench soak       gateway alone for a long time: whether its memory grows
//
// It runs from the root of the repository, builds what it is not given, prints
// a table and writes JSON. The exit status is 0 only when every check and every
// target passed. The load generator is this same program, started again as
// `bench load` for each measurement.
package main
