// Package bench measures what the gateway costs. It has no code of its own; the commands
// do the work:
//
//   - cmd/floor is a minimal HTTP-to-Kafka gateway: one handler, one produce with
//     acks=all, one wait for the acknowledgement. Its client is franz-go, or librdkafka.
//   - cmd/bench starts servers, drives them with its own load generator in
//     interleaved rounds, and reports ratios with their spread. Kafka and Redis are as
//     near as the environment says, or behind a link with a delay (internal/link). Its
//     table measures named cells: distances, brokers, partitions over event types,
//     connections, clients and guarantees.
//   - cmd/outbox and cmd/subscriptions measure the relay of an outbox, and the delivery
//     of events to an endpoint, each beside a floor of its own.
//
// Duty: measure what the gateway costs above the floor, and what an event in a batch
// costs compared with a single one, as ratios within one run, because absolute figures
// of a shared machine change from run to run.
//
// Invariants:
//
//   - Base and candidate are measured in the same round, in an order that
//     alternates from round to round; a ratio is taken within a round.
//   - A request that is not answered with 202 is counted and reported; beyond a
//     stated share it fails the run. So does an acknowledged event that is
//     missing in the log, or a record that no answer explains.
//   - Open-loop latency counts from the time a request was due, so a stalled
//     server cannot hide its stall (no coordinated omission).
//   - Both sides' topics have the same number of partitions, and the load goes to all
//     event types in turn.
//   - CPU per event is that of the measured server's process alone. Load generator and
//     links are other processes, which compete for the same cores; what they use is
//     reported, and a generator that is busy with all of its one core is named.
//   - New partitions get a first record before they are measured: a broker waits for the
//     disk then.
//   - Checks of the log go past the link, and both sides through the same one.
//   - Only topics that the run created are deleted.
//
// Nothing below this folder may import eventgateway/internal: the gateway is
// measured from outside, as a process. The floor uses fiber, librdkafka and
// franz-go's producer directly, which few packages of the gateway may do.
package bench
