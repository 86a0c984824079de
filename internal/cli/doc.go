// Package cli is the gateway's command line. commands.go is the tree of commands;
// each command has a file of its own, with its flags, its help and what it does.
//
// A failure is one line on the error output, and nothing else is then on the
// output. The exit status tells wrong usage (2) from a failure (1).
package cli
