// Command floor is a minimal HTTP-to-Kafka gateway: read the body, produce it with
// acks=all, wait for the acknowledgement, answer 202. It knows no schema, no key, no
// header, no Redis. What the gateway costs above it is the price of the gateway's
// guarantees.
//
// It produces with franz-go, or with librdkafka. Both are idempotent, do not linger and
// do not compress; everything else is the client's default, for franz-go up to five
// requests in flight to a broker.
//
// The partition comes from a hash of the body, so that records spread as keyed
// ones do; a sticky partitioner would make fewer, larger batches and an unfair
// comparison. main.go is the server, and each client is one plain file, so that a
// reader can check that nothing was left out or added.
package main
