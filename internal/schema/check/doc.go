// Package check is what `gateway schemas check` finds and how it says it:
// whether a schemas folder loads, what changed between the versions in it, and
// what changed against an older state of the folder, from another folder or
// from git. It decides which change is an error, a warning or a note; what
// breaks whom is decided by internal/schema. Imports of internal/ only schema.
//
// Invariants: a comparison that cannot be made is never reported as a good one,
// and what a git archive holds is unpacked inside a temporary folder or not at
// all.
package check
