// Package infer writes a first schema for an event type from sample events. A
// draft says what the samples have in common and no more: types, which members
// are always there, formats that all strings agree on. It guesses no limits and
// no lists of values, and leaves room for further members. Imports of internal/
// only event and schema.
//
// Invariants: every sample is accepted by the schema drafted from it (Verify
// holds this against the real thing), members keep the order of the samples,
// and numbers stand in "examples" as they were written, to the digit.
package infer
