// Package describe writes the documents by which people and programs find event
// types: OpenAPI for those who publish, AsyncAPI for those who consume. Both are
// pure functions of a set of event types.
//
// # OpenAPI
//
// openapi.yaml describes the stable part by hand. [OpenAPI] adds a path for each
// version of each event type, with its schema as a component. Schemas of draft 7,
// 2019-09 and 2020-12 are put into the words of 2020-12, which OpenAPI 3.1 speaks, and
// their references to other files of the folder become references inside the
// document. Schemas that cannot be (older drafts, dynamic references) are linked.
//
// The YAML is the hand-written text with the additions spliced in as one line of
// JSON each, which YAML is a superset of: comments and order stay, and no document of
// some megabytes goes through a YAML encoder.
//
// # Imports
//
// Of internal/ only event and schema.
package describe
