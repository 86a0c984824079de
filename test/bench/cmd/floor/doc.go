// Command floor is a minimal HTTP-to-Kafka gateway: read the body, produce it with
// acks=all, wait for the delivery report, answer 202. It knows no schema, no key, no
// header, no Redis. What the gateway costs above it is the price of the gateway's
// guarantees.
//
// The partition comes from a hash of the body, so that records spread as keyed
// ones do; librdkafka's sticky partitioner would make fewer, larger batches and
// an unfair comparison. It is one plain file, so that a reader can check
// that nothing was left out or added.
package main
