// Package config holds the gateway's configuration: its structs, how it is
// loaded, and what makes it valid.
//
// Sources, each overriding the one before: [Defaults], one YAML file, GATEWAY_*
// variables, flags ([Config.Set]). A variable named in the file as ${NAME} is
// expanded inside a scalar after the YAML is parsed, so a value can never change
// the file's structure.
//
// A value whose type is not built into Go reads its own text
// (encoding.TextUnmarshaler), or its YAML node where that may be of several kinds.
//
// Invariants:
//   - an unknown key or variable is an error, never ignored;
//   - all errors are reported at once, each with its path and source;
//   - no error text and no formatting verb shows a secret, or a text that came from a
//     variable named in the file;
//   - whether to authenticate callers has no default;
//   - maxFileBytes bounds the memory and the time that reading a file takes.
//
// It imports internal/spelling and no other package of the gateway, and opens only the
// file and the ${file:…} that it names: its users find out whether a broker, a
// certificate or a folder exists.
package config
