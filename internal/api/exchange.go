package api

import (
	"context"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"eventgateway/internal/auth"
	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
	"eventgateway/internal/intake"
)

const exchangeLocal = "exchange"

// exchange is the state of one request until it is answered. observe makes it, and
// gives it back when the answer is made.
type exchange struct {
	caller *auth.Caller // nil until the caller is identified, and on routes that do not ask
	body   *intake.Body
	// eventType is the one that the caller asked for, and may use, whether it exists or not.
	eventType string
	// uncertain is set when an event is passed to the door. From then on, an internal
	// error has an unknown outcome; before, nothing can have been written.
	uncertain bool
	// keyed says that a retry is safe, even if the outcome is unknown: the gateway
	// recognises it, or it writes nothing.
	keyed bool
	// shared says that the answer's bytes are the same for all callers, and are kept
	// anyway.
	shared bool
}

// exchanges pools the states of requests.
type exchanges struct{ pool sync.Pool }

// begin makes the state of c's request.
func (e *exchanges) begin(c *fiber.Ctx) *exchange {
	x, ok := e.pool.Get().(*exchange)
	if !ok {
		x = &exchange{}
	}
	x.body = intake.BodyOf(c.Context())
	c.Locals(exchangeLocal, x)
	return x
}

// end clears the state for the next request.
func (e *exchanges) end(x *exchange) {
	*x = exchange{}
	e.pool.Put(x)
}

// exchangeOf returns the state that begin made.
func exchangeOf(c *fiber.Ctx) *exchange {
	x, _ := c.Locals(exchangeLocal).(*exchange)
	return x
}

// failure is an error in the gateway itself. The cause is for the log only.
func (x *exchange) failure(cause error) *event.Error {
	e := event.Failure(cause)
	if !x.uncertain {
		e.Outcome = event.NotWritten
	}
	return e
}

// began is when the gateway began to work on the request: the time that the client
// took to send the body is not the gateway's.
func (x *exchange) began(seen time.Time) time.Time {
	if x.body != nil && !x.body.Arrived().IsZero() {
		return x.body.Arrived()
	}
	return seen
}

// publication lets a route pass events to the door, and notes that it did.
type publication struct {
	exchange *exchange
	door     Door
}

// publish makes a handler of one that publishes events.
func (s *Server) publish(handler func(*fiber.Ctx, publication) error) fiber.Handler {
	return func(c *fiber.Ctx) error { return handler(c, publication{exchangeOf(c), s.door}) }
}

// accept passes one event to the door. The request's context is not used: fasthttp does
// not report a client that leaves, and an event in progress must be finished so that
// the claim records its outcome.
func (p publication) accept(req ingest.Request) (ingest.Result, error) {
	p.exchange.uncertain, p.exchange.keyed = true, !req.Identity.IsZero()
	return p.door.Accept(context.Background(), req)
}

// acceptBatch passes several events to the door, as accept does. Their errors are in
// the answers; a retry is recognised if each event that can be written has an identity.
func (p publication) acceptBatch(reqs []ingest.Request) []ingest.BatchResult {
	p.exchange.uncertain, p.exchange.keyed = true, true
	for i := range reqs {
		if reqs[i].Fault == nil && reqs[i].Identity.IsZero() {
			p.exchange.keyed = false
		}
	}
	return p.door.AcceptBatch(context.Background(), reqs)
}
