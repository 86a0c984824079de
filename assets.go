// Package eventgateway holds the files that the gateway's binary carries: the
// description of its HTTP interface and the sample event types.
package eventgateway

import "embed"

// OpenAPI is openapi.yaml.
//
//go:embed openapi.yaml
var OpenAPI []byte

// Schemas is the schemas folder with the sample event types.
//
//go:embed all:schemas
var Schemas embed.FS
