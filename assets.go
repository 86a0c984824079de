// Package eventgateway holds the files that the gateway's binary carries: the
// description of its HTTP interface, the sample event types and sample webhooks.
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

// Webhooks is the folder examples/webhooks: a delivery for each scheme.
//
//go:embed examples/webhooks/*.json examples/webhooks/*.form
var Webhooks embed.FS
