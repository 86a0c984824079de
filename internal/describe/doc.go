// Package describe writes the documents in which people and programs find the event
// types: OpenAPI for publishers, AsyncAPI for consumers. Both are pure functions of a
// set of event types.
//
// # OpenAPI
//
// openapi.yaml is the hand-written description of the stable part. [OpenAPI] adds a
// path for each version of each event type, with its schema as a component. Schemas of
// draft 7, 2019-09 and 2020-12 are translated to 2020-12, which OpenAPI 3.1 uses, and
// their references to other files of the folder become references inside the document.
// Schemas that cannot be translated (older drafts, dynamic references) are linked.
//
// The YAML is the hand-written text with each addition spliced in as one line of JSON,
// of which YAML is a superset: comments and order stay, and documents of some megabytes
// need not go through a YAML encoder.
//
// # Imports
//
// Of internal/ only event and schema.
package describe
