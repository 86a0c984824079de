// Package check finds and reports what `gateway schemas check` shows: whether a
// schemas folder loads, what changed between the versions in it, and what changed
// since an older state of the folder, from another folder or from git. It decides
// which change is an error, a warning or a note; internal/schema decides whom a
// change breaks. Of internal/ it imports only schema and schema/compat.
//
// Invariants: a comparison that cannot be made is never reported as compatible, and
// a git archive is never unpacked outside a temporary folder.
package check
