// Package auth says who a caller is, and which event types it may publish.
//
// The data's way: [Credentials] as they came → [Authenticator.Authenticate] → a
// [Caller], or a [*Refusal]. An API key, a JSON Web Token (RFC 7519) or a verified
// client certificate is enough; a credential that is given but bad is a refusal,
// whatever else there is.
//
// Invariants:
//   - it fails closed: what is not understood is refused;
//   - an unknown, a wrong and an expired key take the same steps and get the same
//     answer: a key is looked up by its hash;
//   - keys are known by their SHA-256 only (they are 256 random bits, so a slow hash
//     would gain nothing); no error and no log line has a credential in it;
//   - algorithms of tokens are pinned to asymmetric ones; issuer, audience and expiry
//     are required.
//
// It imports no other internal package and no HTTP framework.
package auth
