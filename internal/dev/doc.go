// Package dev embeds the services that the gateway needs, so that it runs without any
// installation: a Kafka (franz-go's kfake) and a Redis (miniredis), for `gateway dev`
// and for fast tests. They listen on real ports, so any driver or kcat can use them.
//
// They are good enough to test logic, not guarantees: those are tested on the real
// services.
//
// It imports internal/backoff and no other package of the gateway.
package dev
