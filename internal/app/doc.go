// Package app wires the gateway together, runs it and stops it in order. It decides
// nothing about events: [New] builds every part from the configuration, [App.Run]
// serves until its context ends and then stops the parts in the order of
// docs/architecture.md (lifecycle.go). The rest are the same parts for the commands that
// check, rebuild or create something, and translations of the configuration into each
// part's own settings (settings.go).
//
// It may import every internal package but dev.
package app
