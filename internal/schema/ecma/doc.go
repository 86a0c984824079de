// Package ecma reads regular expressions as JSON Schema means them: ECMA 262 with
// Unicode (flag "u"), and writes them for Go's package regexp (RE2), which reads some of
// them differently and others not at all. It imports nothing of internal/.
//
// Invariants: a translated expression matches the same strings as the original, or
// [Translate] says in a note where it may not; an expression that RE2 cannot express is
// an error that names RE2's limit and what to write instead; no state.
package ecma
