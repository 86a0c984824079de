// Package api is the public HTTP face: routes, problem documents, pages. It is the only
// user of fiber, and problems.go is the only file that knows which kind of error is
// which HTTP status. Sockets, framing and bodies are internal/intake's.
//
// How a request flows: intake reads the header and calls the handler; observe creates
// the request's state, an exchange; identify finds the caller; a handler reads the
// headers, then the body, into one ingest.Request or several, passes them to the door,
// and writes receipts. Handlers return errors, and observe alone answers them. A
// webhook is identified by its signature.
//
// Invariants:
//   - Nothing that fasthttp owns outlives its handler: strings are copied, and a body is
//     valid until its handler has returned.
//   - Handlers decide everything the headers allow before they read the body.
//   - Only a handler behind publish can pass an event to the door. Once it has, an error
//     in the gateway itself leaves the outcome unknown; before, nothing was written.
//   - Every error leaves as application/problem+json with outcome and retryable
//     (RFC 9457), and a 5xx never repeats an error's text.
//   - Every route asks who calls, except those that must be open (identify_test.go lists
//     them). What a client may not use is answered alike, whether it exists or not.
//   - A panic in a handler is a 500 and a log line, never an exit.
package api
