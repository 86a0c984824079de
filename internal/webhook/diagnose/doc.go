// Package diagnose finds out why a webhook's delivery fails verification, for
// `gateway webhooks verify`. It is pure functions.
//
// It knows no scheme. It has a [webhook.Source] verify the delivery as it is, and
// then with one thing changed: the time, the secrets, a header, the line ends of the
// body. So it works with every scheme, including future ones, and its results are
// those of the gateway.
//
// Invariants: a report contains neither a secret nor an expected signature; a check
// verifies at most some sixty times, and two more times for each header.
//
// Of internal/ it imports event and webhook only.
package diagnose
