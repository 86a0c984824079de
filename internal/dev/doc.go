// Package dev embeds what the gateway needs to run on nothing at all: a Kafka
// (franz-go's kfake) and a Redis (miniredis), for `gateway dev` and for fast
// tests. They answer on real ports, so any driver or kcat can talk to them.
//
// They prove logic, not guarantees: those are tested on the real services.
package dev
