// Package infer writes a first schema for an event type from sample events. The
// schema says what the samples have in common and no more: types, which members
// are always present, formats that all strings match. It guesses no limits and no
// lists of values, and allows further members. Of internal/ it imports only event,
// schema, schema/formats and strictjson.
//
// Invariants: the schema accepts every sample (Verify checks this as a gateway
// would), members keep the order of the samples, and numbers stand in "examples"
// as they were written, to the digit.
package infer
