// Package e2e tests the gateway's binary from outside: real processes, real Kafka and
// Redis, HTTP over loopback, and the log read with a Kafka driver. Each file is one
// scenario; the harness files hold what the scenarios share.
//
// Invariants:
//   - the binary is built once per run, with the race detector, and every
//     gateway must end with status 0 and a log without races or panics;
//   - every test has topics and keys of its own, so that tests may share
//     servers; servers that a test pauses or kills are private ones;
//   - what a test expects follows from the contract (design sections 4 to 8), not from
//     the gateway's packages: of those only internal/failpoint, which names the points
//     where a gateway can be killed, and internal/backoff are imported.
package e2e
