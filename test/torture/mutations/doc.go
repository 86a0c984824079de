// Package mutations breaks the gateway's own code, one rule of the protocol at a time,
// and shows that the torture suite reports it: a suite that cannot fail proves nothing.
//
// A mutation is a table entry: snippets of a file and what to put in their
// place. It is applied to a copy of the sources; a snippet that does not occur
// exactly once is an error, so that a mutation does not silently lose its effect when
// the code moves.
package mutations
