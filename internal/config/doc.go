// Package config holds the gateway's configuration: its structs, how it is
// loaded, and what makes it valid.
//
// Sources, each overriding the one before: [Defaults], one YAML file, GATEWAY_*
// variables, flags ([Config.Set]). A variable named in the file as ${NAME} is
// expanded inside a scalar after the YAML is parsed, so a value can never change
// the file's structure.
//
// Invariants: an unknown key or variable is an error, never ignored; all errors
// are reported at once, each with its path and where it came from; no error text
// and no formatting verb shows a secret, nor a text that came from a variable
// named in the file; whether to authenticate callers has no default; reading a
// file takes memory and time bounded by maxFileBytes.
//
// It imports nothing of internal/ and opens nothing but the file: whether a
// broker, a certificate or a folder is there, its user finds out.
package config
