// Package api is the public HTTP face: routes, limits, problem documents. It
// is the only user of fiber and fasthttp, and problems.go is the only file
// that knows which kind of error is which HTTP status.
//
// The data's way: identify says who calls; a handler reads headers and the raw body
// into an ingest.Request, or several, passes them through the door, and writes the
// receipts or problems. A webhook says who it is by its signature.
//
// Invariants:
//   - nothing that fasthttp owns outlives its handler: strings are copied;
//   - every error leaves as application/problem+json with outcome and
//     retryable (RFC 9457), and 5xx never echoes an error's text;
//   - every route asks who calls but those that must be open (identify_test.go has
//     the list); what a client may not use is answered alike whether it is there;
//   - a panic in a handler is a 500 and a log line, never an exit.
package api
