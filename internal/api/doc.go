// Package api is the public HTTP face: routes, limits, problem documents. It
// is the only user of fiber and fasthttp, and problems.go is the only file
// that knows which kind of error is which HTTP status.
//
// The data's way: a handler reads headers and the raw body into an
// ingest.Request, passes it through the door, and writes the receipt or the
// problem.
//
// Invariants:
//   - nothing that fasthttp owns outlives its handler: strings are copied;
//   - every error leaves as application/problem+json with outcome and
//     retryable (RFC 9457), and 5xx never echoes an error's text;
//   - a panic in a handler is a 500 and a log line, never an exit.
package api
