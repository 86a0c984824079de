package api

import (
	"runtime/debug"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"eventgateway/internal/event"
)

const strangeMethodLocal = "strange method"

// receive takes every request whose header fasthttp could read. It refuses what fiber
// and fasthttp would let pass, or answer in plain text, and gives the others a body.
func (s *Server) receive(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	methods := map[string]bool{}
	for _, m := range s.app.Config().RequestMethods {
		methods[m] = true
	}
	return func(ctx *fasthttp.RequestCtx) {
		defer s.survive(ctx)
		framing := framingOf(&ctx.Request.Header)
		if framing.fault != "" {
			s.refuse(ctx, event.Refuse(event.MalformedRequest, "The request is not well-formed HTTP: %s.", framing.fault))
			return
		}
		if framing.length > int64(s.cfg.BodyLimit) && !ctx.IsPost() { // nobody wants it; a POST's route decides
			s.refuse(ctx, event.Refuse(event.EventTooLarge, "The body is larger than %d bytes.", s.cfg.BodyLimit))
			return
		}
		if !methods[string(ctx.Method())] {
			// fiber answers only methods that it knows. No route has this one.
			ctx.SetUserValue(strangeMethodLocal, true)
			ctx.Request.Header.SetMethod(fiber.MethodTrace)
		}
		b := s.newBody(ctx, framing)
		ctx.SetUserValue(bodyLocal, b)
		defer b.finish()
		next(ctx)
	}
}

// survive turns a panic outside of the handlers, where observe does, into a 500: fasthttp
// would let it end the process.
func (s *Server) survive(ctx *fasthttp.RequestCtx) {
	p := recover()
	if p == nil {
		return
	}
	s.logger.Error("intake panicked", "panic", p, "stack", string(debug.Stack()))
	s.refuse(ctx, event.Failure(nil))
}

// refuse answers a request that goes to no route, and closes its connection: what
// comes next on it may be no request.
func (s *Server) refuse(ctx *fasthttp.RequestCtx, e *event.Error) {
	c := s.app.AcquireCtx(ctx)
	defer s.app.ReleaseCtx(c)
	_ = s.unhandled(c, e) // encoding a problem does not fail
	ctx.SetConnectionClose()
	lingerOnClose(ctx)
}

// methodName is the request's method if it is a known one: an error answer does not
// echo what it cannot vouch for.
func methodName(c *fiber.Ctx) string {
	if c.Context().UserValue(strangeMethodLocal) != nil {
		return "This method"
	}
	return c.Method()
}
