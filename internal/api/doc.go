// Package api is the public HTTP face: routes, limits, problem documents. It
// is the only user of fiber and fasthttp, and problems.go is the only file
// that knows which kind of error is which HTTP status.
//
// The data's way: receive looks at the framing; identify says who calls; a handler
// reads the headers, then, with its bytes admitted, the body into an ingest.Request, or
// several, passes them through the door, and writes the receipts or problems. A
// webhook says who it is by its signature.
//
// Invariants:
//   - nothing that fasthttp owns outlives its handler: strings are copied; a body is
//     good until its handler has answered;
//   - no byte of a body is read before it is admitted, nor admitted before all is
//     decided that needs no body; what is not read is no request (body.go);
//   - every error leaves as application/problem+json with outcome and
//     retryable (RFC 9457), and 5xx never echoes an error's text;
//   - every route asks who calls but those that must be open (identify_test.go has
//     the list); what a client may not use is answered alike whether it is there;
//   - a panic in a handler is a 500 and a log line, never an exit.
package api
