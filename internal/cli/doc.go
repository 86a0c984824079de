// Package cli is the gateway's command line. commands.go builds the tree of commands;
// each command has a file with its flags, its help and what it does.
//
// Results and requested help go to the output; errors, notes and logs go to the error
// output. The exit status is 0 after an orderly stop or help, 1 on failure, and 2 on
// wrong usage; then the message says what to write instead, and the output is empty.
//
// Only main imports it. It keeps no package state: Run builds the tree again.
package cli
