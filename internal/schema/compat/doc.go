// Package compat says whether a change of a JSON Schema breaks somebody:
// publishers that continue as before, or consumers that know only one of the two
// schemas. It is pure: no files, no state, no clock. Of internal/ it imports only
// schema/ecma and schema/formats, so that both mean here what they mean to events.
//
// # The question
//
// A schema is the set of events that it accepts. Backward asks whether the old
// set is inside the new one, Forward whether the new one is inside the old one.
// Inclusion of JSON Schemas cannot be decided in general, so there are three
// answers:
//
//   - Compatible: the inclusion is proven.
//   - Breaking: an event is in one set and not in the other; the finding quotes it
//     (unless it is longer than 4 KiB).
//   - CannotTell: neither a proof nor an event was found.
//
// # How
//
// [Compare] flattens both documents into clauses: one for each schema object,
// with "$ref" and "allOf" taken apart; a set is an intersection of clauses. The
// prover (solver.go) splits the smaller set by its alternatives and by JSON type. For
// each keyword of the larger set it then asks: is the part of the smaller set that
// this keyword refuses empty? If that cannot be proven, the generator looks for a
// value in that part and then for a whole event around it. A judge with three answers
// (judge.go) checks that event against both documents before a change is called
// Breaking.
//
// # Invariants
//
//   - Breaking only with an event that the judge certainly accepts under one schema
//     and certainly refuses under the other. The prover's reasons are not enough.
//   - Compatible only if every keyword of the larger set is proven. Keywords that the
//     package does not understand may be ignored in the smaller set, which makes that
//     set larger, but never in the larger one.
//   - A pair of schemas, or a schema suspected to be empty, that is met again counts
//     as proven only deeper in the event: by induction over its size.
//   - The work is bounded (fuel, in solver.go); beyond it the answer is CannotTell.
//   - Validity is as in the gateway's validator: formats are asserted, 1.0 is an
//     integer, patterns are those of package ecma.
//
// # The subset
//
// Proven for and refuted with: type, enum, const, minimum, maximum and their
// exclusive forms, multipleOf, minLength, maxLength, pattern (equal ones, and
// the lengths that it admits), format, items, prefixItems, additionalItems,
// minItems, maxItems, uniqueItems, properties, patternProperties,
// additionalProperties, required, minProperties, maxProperties,
// dependentRequired, allOf, anyOf, oneOf, and local "$ref", also recursive.
// "not" is understood if sets are disjoint or if it forbids less than before.
// if/then/else, contains, propertyNames, dependentSchemas and unevaluated* are proven
// if they are equal on both sides, and events are judged against all of them but the
// last. Everything else is CannotTell. docs/compatibility.md has the
// table.
package compat
