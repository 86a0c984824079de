// Package diagnose finds out why a webhook's delivery is not believed, for
// `gateway webhooks verify`. It is pure functions.
//
// It knows no scheme. It asks a [webhook.Source] about the delivery as it is, and
// then about the delivery with one thing changed: the time, the secrets, a header,
// the body's line ends. So it says of every scheme, also of those to come, what
// the gateway itself would say.
//
// Invariants: a report has neither a secret nor an expected signature in it; at
// most some sixty questions and two for each header are asked.
//
// Of internal/ it imports event and webhook only.
package diagnose
