// Package compat says whether a change of a JSON Schema breaks somebody:
// publishers that go on as before, or consumers that know only one of the two
// schemas. It is pure: no files, no state, no clock; it imports the standard
// library only, and nothing of the gateway.
//
// # The question
//
// A schema is the set of events that it accepts. Backward asks whether the old
// set is inside the new one, Forward whether the new one is inside the old one.
// Inclusion of JSON Schemas cannot be decided in general, so there are three
// answers:
//
//   - Compatible: the inclusion is proven.
//   - Breaking: there is an event in one set and not in the other; the finding
//     quotes it (unless it is longer than 4 KiB).
//   - CannotTell: neither a proof nor an event was found.
//
// # How
//
// [Compare] flattens both documents into clauses: one for each schema object,
// with "$ref" and "allOf" taken apart; a set is an intersection of clauses. The
// prover (solver.go) splits the smaller set by its alternatives and by JSON
// type and then asks of each keyword of the larger one: is the smaller set,
// where this keyword refuses, empty? If it is not provably so, the generator
// looks for a value there and, going back up, for a whole event around it. A
// judge that knows three answers (judge.go) checks that event against both
// documents before anything is called Breaking.
//
// # Invariants
//
//   - Breaking only with an event that the judge surely accepts under one schema
//     and surely refuses under the other. The prover's reasons do not count.
//   - Compatible only if no keyword of the larger set is left without proof. What
//     the package does not understand it may ignore in the smaller set, which
//     makes that set larger, and never in the larger one.
//   - A pair of schemas, or a schema suspected to be empty, that is met again
//     counts as proven only deeper in the event: induction over its size.
//   - The work is bounded (fuel, in solver.go); beyond it the answer is CannotTell.
//   - Validity means what the gateway's validator makes of it: formats are
//     asserted, 1.0 is an integer, patterns are RE2.
//
// # The subset
//
// Proven for and refuted with: type, enum, const, minimum, maximum and their
// exclusive forms, multipleOf, minLength, maxLength, pattern (equal ones, and
// the lengths that it admits), format, items, prefixItems, additionalItems,
// minItems, maxItems, uniqueItems, properties, patternProperties,
// additionalProperties, required, minProperties, maxProperties,
// dependentRequired, allOf, anyOf, oneOf, and local "$ref", also recursive.
// "not" is understood where sets are disjoint or what it forbids only shrinks.
// if/then/else, contains, propertyNames, dependentSchemas and unevaluated* hold
// if they are equal on both sides, and events are judged against all of them
// but the last. Everything else is CannotTell. docs/compatibility.md has the
// table.
package compat
