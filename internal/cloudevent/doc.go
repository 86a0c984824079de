// Package cloudevent reads CloudEvents 1.0: attributes one by one, as HTTP headers
// bring them, and whole events and batches in the JSON format.
//
// The data's way: text → [Event], or, for a batch, text → the items' texts → one
// [Event] each, so that a bad item costs its neighbours nothing.
//
// Invariants: pure functions; data are slices of the text, to the byte; every
// error is an *event.Error with the outcome not-written.
//
// It imports only internal/event, and knows neither HTTP nor schemas.
package cloudevent
