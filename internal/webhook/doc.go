// Package webhook believes or refuses the webhooks of third parties and says
// which events they are. It is pure functions: bytes, headers and the time go in;
// a rejection, an answer or events come out.
//
// # A delivery's way
//
// [Source.Receive] takes a [Request] as it arrived. The scheme's verifier looks at
// the raw body and the headers; what it does not believe is a [*Rejection] (401).
// What it believes becomes an [Intake]: an [Answer] to a challenge or a ping, of
// which nothing is published, or one [Delivery] per event. A delivery that is
// believed but cannot be published as it is (not JSON, no type, no id) says why in
// its Err, so that it can be set aside instead of being lost. Only a body beyond the
// limits below is an error of its own, an *event.Error (400).
//
// # Identity
//
// A delivery's ID is what a redelivery repeats, whatever else changes in its body
// (Stripe's pending_webhooks, HubSpot's attemptNumber). The table in schemes.go says
// for each provider where the id is and why there. Where a provider gives none, it
// is the SHA-256 of the body in hex; an item of such a body, or of one whose id is in
// a header, has ":<index>" after it. A delivery with an Err has the hash always. Ids
// are unique within a source, not across.
//
// # What a signature says
//
// Several schemes sign the body only. Then a header that names the id or the type
// (X-GitHub-Delivery, X-Shopify-Topic) is not protected: who has seen a delivery can
// send its body again under another id or type. TLS keeps others from seeing one.
//
// # Invariants
//
//   - Verification is over the raw bytes, in constant time, and tries every secret.
//   - A header that counts is there once; timestamps count in both directions.
//   - Neither errors nor answers contain a secret or an expected signature.
//   - Data is the body's bytes as sent, or an item's; only a form becomes JSON.
//   - No input makes it panic. Work and memory are linear in the body: a form has at
//     most 1,000 fields, a body at most 1,000 items, a header at most 16
//     signatures, JSON at most 64 levels.
//
// # Imports
//
// Of internal/ only event; besides the standard library only jsontext.
package webhook
