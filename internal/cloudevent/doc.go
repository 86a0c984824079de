// Package cloudevent reads CloudEvents 1.0: attributes one by one, as they come in
// HTTP headers, and whole events and batches in the JSON format.
//
// A text becomes an [Event]. A batch is split into the texts of its items, each of
// which becomes an [Event], so that a bad item does not affect its neighbours.
//
// Invariants: pure functions; data are unchanged slices of the text; every error is
// an *event.Error with the outcome not-written.
//
// Of internal/ it imports only event and strictjson, besides the standard library only
// jsontext. It knows neither HTTP nor schemas.
package cloudevent
