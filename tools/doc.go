// Package tools pins the development tools in a module of its own, so that
// their dependencies stay out of the gateway's.
package tools
