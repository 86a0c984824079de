// Package formats checks strings against the formats of JSON Schema ("format"), by the
// grammar of the standard that defines each of them, in both directions: what the
// grammar has is valid, and nothing else. Of internal/ it imports only schema/ecma.
//
// Invariants: one function per format serves validation, the fast path, drafting and
// comparison; the work is linear in the length of the string, except for host names in
// other scripts, whose length is checked first; no state.
package formats
