// Package endpoint makes one attempt to deliver one event to one HTTP endpoint: it dials
// only addresses that the guard allows, authenticates, signs, sends, and says what became
// of it. It knows neither Kafka nor retries.
//
// Invariants:
//   - the guard judges the address that is dialled, after names were resolved, for every
//     connection, those to the token endpoint included;
//   - an attempt ends at its deadline, the answer's body included;
//   - redirects are not followed, and proxies of the environment are not used;
//   - no error and no result holds a secret, a header's value or a part of an answer's body.
//
// It imports no other package of the gateway.
package endpoint
