// Package load is the load generator: raw HTTP/1.1 on kept-alive connections,
// one request in flight on each, no allocation per request.
//
// Closed loop: each connection sends as soon as it was answered. Open loop: a
// pacer sets down the times at which requests are due, idle connections take
// them up, and latency counts from the due time.
//
// Invariants: every event that was due ends as acknowledged (its request's 202), as a
// named failure, or as unsent; nothing is dropped silently. CPU time of the server is
// read in this process, at the very edges of the measured window. It imports no
// server code, and it runs as a process of its own, so that its garbage
// collector and scheduler are not part of the figures.
package load
