// Package target starts the servers that are measured, as processes of their
// own, and stops them. It knows how a floor and a gateway are started and
// configured, and nothing about load or figures.
//
// Invariants: listeners are on loopback only; a child does not see the GATEWAY_*
// environment of the bench, which would override its generated configuration;
// Stop has waited for the process when it returns.
package target
