// Package auth says who a caller is, and which event types it may publish.
//
// [Authenticator.Authenticate] turns the [Credentials] of a request into a [Caller] or a
// [*Refusal]. An API key, a JSON Web Token (RFC 7519) or a verified client certificate
// is enough. A bad credential is refused, even beside a good one.
//
// Invariants:
//   - it fails closed: a credential that it does not understand is refused;
//   - an unknown, a wrong and an expired key take the same steps and get the same
//     answer: a key is looked up by its hash;
//   - only the SHA-256 of a key is kept (a key is 256 random bits, so a slow hash would
//     gain nothing); no error and no log line contains a credential;
//   - tokens may be signed with asymmetric algorithms only; issuer, expiry, and an
//     audience or a claim with a given value are required, and extensions (crit) refused;
//   - a key of an issuer that cannot be used is skipped, and the others are used;
//   - a caller that a token names is never a configured client.
//
// It imports no other internal package and no HTTP framework.
package auth
