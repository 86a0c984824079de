// Package budget bounds what requests may cost together, in memory and in work.
//
// A [Budget] has bytes and slots. Bytes are taken before they are spent, by whoever
// spends them: internal/intake for bodies, internal/schema for the tree and the
// validation of an event, internal/api for answers. They are given back when the body,
// the tree or the answer is gone. Slots bound how many events are parsed and validated
// at once; whoever finds none free waits a bounded time.
//
// Invariants:
//   - It counts; it allocates nothing on behalf of others and starts no goroutine.
//   - Work that is quick never waits for work that takes long: see [Budget.Begin]. While
//     there is quick work, long work pauses half of its time: see [Work.Pause].
//   - Small bodies are never refused because of large ones, nor of work on them.
//   - Who holds a slot waits for no other one, so nothing can lock up.
//   - A nil Budget, and the [Work] that it gives, have no limits: commands check
//     schemas and samples without one.
//
// Of this project it imports only internal/backoff and internal/event.
package budget
