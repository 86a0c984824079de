// Package intake takes HTTP requests from sockets and gives their bodies to handlers.
// It is the only place that bends fasthttp to the gateway's needs; its user decides
// what a request means and what the answer is.
//
// How a request flows: [Intake.Serve] accepts connections within the limits and reads
// headers strictly; ambiguous requests are refused. The handler decides what the headers
// allow, then reads the body with [Body.ReadAll] or [Body.ReadDecoded]. [Config.Refuse]
// answers requests that do not reach the handler.
//
// Invariants:
//   - Decide everything the headers allow, reserve memory, then read. Unread bytes are
//     never parsed as a request.
//   - The bytes of all bodies together are taken from a [budget.Budget], from before they
//     are read until the answer is made.
//   - A body is valid until its handler returns.
//   - Errors are *event.Error; a panic of the handler is answered, never an exit.
//
// Of this project it imports only internal/budget and internal/event, and it knows no routes, no problem
// documents and no HTTP statuses.
package intake
