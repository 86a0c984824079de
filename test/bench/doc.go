// Package bench is the yardstick of the gateway's cost. It holds no code of its
// own; the commands do the work:
//
//   - cmd/floor is the least that can be called an HTTP-to-Kafka gateway: one
//     handler, one acks=all produce, one wait for the delivery report.
//   - cmd/bench starts servers, drives them with its own load generator in
//     interleaved rounds, and reports ratios with their spread.
//
// Duty: say what the gateway costs above the floor, and what an event in a batch
// costs beside a single one, as ratios taken within one run, because absolute
// figures of a shared machine mean little from one run to the next.
//
// Invariants:
//
//   - Base and candidate are measured in the same round, in an order that
//     alternates from round to round; a ratio is taken within a round.
//   - A request that is not answered with 202 is counted and reported; beyond a
//     stated share it fails the run. So does an acknowledged event that the
//     log does not hold, or a record that nobody was told about.
//   - Open-loop latency counts from the time a request was due, so a stalled
//     server cannot hide its stall (no coordinated omission).
//   - Only topics that the run created are deleted.
//
// Nothing below this folder may import eventgateway/internal: the gateway is
// measured from outside, as a process. The floor uses fiber and librdkafka
// directly, which no package of the gateway but api and publish may do.
package bench
