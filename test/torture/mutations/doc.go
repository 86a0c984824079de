// Package mutations breaks the gateway's own code, one rule of the protocol at a
// time, and shows that the torture suite finds it: a suite that cannot fail
// proves nothing.
//
// A mutation is a table entry: snippets of a file and what to put in their
// place. It is applied to a copy of the sources; a snippet that is not there
// exactly once is an error, so that a mutation never silently stops mutating
// when the code moves.
package mutations
