// Package webhook verifies the webhooks of third parties and says which events they
// are. It is pure functions: bytes, headers and the time go in; a rejection, an
// answer or events come out.
//
// # The way of a delivery
//
// [Source.Receive] takes a [Request] as it arrived. The scheme's verifier checks
// the raw body and the headers; a delivery that fails is a [*Rejection] (401). A
// verified one becomes an [Intake]: an [Answer] to a challenge or a ping, of which
// nothing is published, or one [Delivery] per event. A verified delivery that cannot
// be published as it is (not JSON, no type, no id) says why in its Err, so that it can
// be set aside instead of being lost. Only a body beyond the limits below is a
// separate error, an *event.Error (400).
//
// # Identity
//
// A redelivery repeats the ID, whatever else changes in its body (Stripe's
// pending_webhooks, HubSpot's attemptNumber). The table in schemes.go says for each
// provider where the id is and why there. Where a provider gives none, the ID is the
// SHA-256 of the body in hex (of the fields, if it is a multipart form, because a retry
// may have another boundary); an item of such a body, or of one whose id is in a
// header, has ":<index>" after it. A delivery with an Err always has the hash. IDs
// are unique within a source only.
//
// # What a signature says
//
// Several schemes sign the body only. Then a header with the id or the type
// (X-GitHub-Delivery, X-Shopify-Topic) is not protected: somebody who has seen a
// delivery can send its body again under another id or type. TLS keeps others from
// seeing it.
//
// # Invariants
//
//   - Verification is over the raw bytes, in constant time, and tries every secret with
//     every signature; an ill-formed one beside a good one refuses nothing.
//   - A challenge in the URL or a header is sent back as plain text or in a JSON object,
//     whoever asks; an HMAC of a text is made only for a signed request.
//   - A header that is checked must be there once; a timestamp may be neither too old
//     nor too far in the future.
//   - Neither errors nor answers contain a secret or an expected signature.
//   - Data is the bytes of the body or of an item, as sent; only a form becomes JSON, its
//     files in base64.
//   - No input makes it panic. Work and memory are linear in the body: a form has at
//     most 1,000 fields, a body at most 1,000 items, JSON at most 64 levels; of a
//     header at most 16 signatures are tried with a public key.
//
// # Imports
//
// Of internal/ only event and strictjson; besides the standard library only jsontext.
package webhook
