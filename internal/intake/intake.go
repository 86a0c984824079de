package intake

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"eventgateway/internal/budget"
	"eventgateway/internal/event"
)

const (
	// HeaderLimit is the largest request line and header block together, in bytes
	// (design section 5).
	HeaderLimit = 16 << 10
	// idleTimeout is the default of Limits.IdleTimeout.
	idleTimeout = 2 * time.Minute
	// methodOfUnknown stands for methods that the handler does not know.
	methodOfUnknown = fasthttp.MethodTrace
)

// Limits bound what clients can send, hold and delay.
type Limits struct {
	BodyLimit    int           // bytes of one request's body, both as sent and as decoded
	InFlight     int64         // bytes that all requests in progress may hold; without a budget
	Connections  int           // open at once; 0: no limit
	PerAddress   int           // open at once from one IPv4 address or IPv6 /64; 0: no limit
	ReadTimeout  time.Duration // for a whole request to arrive
	WriteTimeout time.Duration // for the client to take an answer
	IdleTimeout  time.Duration // between requests of a connection; 0: two minutes
}

// Config is what an Intake needs.
type Config struct {
	Limits
	Budget *budget.Budget // from which the bytes of bodies are taken; nil: one of Limits.InFlight
	TLS    *tls.Config    // nil: plain HTTP
	// Handler answers requests. Nothing of a request is valid after it has returned.
	Handler fasthttp.RequestHandler
	// Methods are the HTTP methods that Handler knows. A request with another one
	// reaches it as TRACE, which must have no route: see UnknownMethod.
	Methods []string
	// Refuse answers a request that does not reach Handler, or whose Handler panicked.
	Refuse func(ctx *fasthttp.RequestCtx, err *event.Error)
	// ConnectionRefused is called with TooManyConnections or TooManyPerAddress for
	// each connection that is closed at once.
	ConnectionRefused func(limit string)
	Logger            *slog.Logger
}

// Intake serves HTTP.
type Intake struct {
	cfg     Config
	server  *fasthttp.Server
	serve   func(net.Listener) error // of server
	methods map[string]bool

	budget      *budget.Budget
	bodies      sync.Pool // of *Body
	buffers     buffers
	inflaters   inflaters
	connections connections

	mu      sync.Mutex
	stopped bool          // Shutdown was called
	serving chan struct{} // closed once Serve can be shut down; nil before Serve
}

// New returns an Intake that is ready to serve.
func New(cfg Config) *Intake {
	i := &Intake{cfg: cfg, methods: map[string]bool{}, inflaters: newInflaters()}
	for _, m := range cfg.Methods {
		i.methods[m] = true
	}
	if i.budget = cfg.Budget; i.budget == nil {
		i.budget = budget.New(cfg.InFlight)
	}
	i.connections.most, i.connections.mostPerAddress = cfg.Connections, cfg.PerAddress
	i.server = &fasthttp.Server{
		Handler:                      i.handle,
		ErrorHandler:                 i.unreadable,
		HeaderReceived:               headerReceived,
		StreamRequestBody:            true, // bodies are read when a handler asks: body.go
		DisablePreParseMultipartForm: true,
		ReadBufferSize:               HeaderLimit,
		ReadTimeout:                  cfg.ReadTimeout,
		WriteTimeout:                 cfg.WriteTimeout,
		IdleTimeout:                  cmp.Or(cfg.IdleTimeout, idleTimeout),
		CloseOnShutdown:              true,
		NoDefaultServerHeader:        true,
		Logger:                       silent{},
	}
	i.serve = i.server.Serve
	return i
}

// silent drops what fasthttp logs, which is text without keys, about clients.
type silent struct{}

// Printf implements fasthttp.Logger.
func (silent) Printf(string, ...any) {}

// Serve answers on ln, which it closes, until Shutdown. Call it once.
func (i *Intake) Serve(ln net.Listener) error {
	serving := make(chan struct{})
	begun := sync.OnceFunc(func() { close(serving) })
	defer begun()
	i.mu.Lock()
	i.serving = serving
	stopped := i.stopped
	i.mu.Unlock()
	if stopped {
		return ln.Close()
	}
	// fasthttp ignores a shutdown until it has registered the listener, which it has
	// when it accepts.
	ln = listener{ln, begun, &i.connections, i.cfg.ConnectionRefused}
	if i.cfg.TLS != nil {
		ln = tls.NewListener(ln, i.cfg.TLS)
	}
	if err := i.serve(ln); err != nil {
		return fmt.Errorf("serve http: %w", err)
	}
	return nil
}

// Shutdown stops accepting and waits for requests in progress until ctx ends. It may
// come before Serve, which then returns at once.
func (i *Intake) Shutdown(ctx context.Context) error {
	i.mu.Lock()
	i.stopped = true
	serving := i.serving
	i.mu.Unlock()
	if serving != nil {
		select {
		case <-serving:
		case <-ctx.Done():
		}
	}
	if err := i.server.ShutdownWithContext(ctx); err != nil {
		return fmt.Errorf("shut http down: %w", err)
	}
	return nil
}

// BodyBytes is how many bytes are taken from the budget now, for request bodies and
// whatever else is.
func (i *Intake) BodyBytes() int64 { return i.budget.Held() }

// OpenConnections is how many connections are open now.
func (i *Intake) OpenConnections() int { return i.connections.count() }

// handle takes every request whose header fasthttp could read. It refuses what
// fasthttp is too lenient about, and gives the others a body.
func (i *Intake) handle(ctx *fasthttp.RequestCtx) {
	defer i.recoverPanic(ctx)
	framing := framingOf(&ctx.Request.Header)
	if framing.fault != "" {
		i.refuse(ctx, event.Refuse(event.MalformedRequest, "The request is not well-formed HTTP: %s.", framing.fault))
		return
	}
	if framing.length > int64(i.cfg.BodyLimit) && !ctx.IsPost() { // no handler reads it; of a POST the route decides
		i.refuse(ctx, i.tooLarge("body", i.cfg.BodyLimit))
		return
	}
	if !i.methods[string(ctx.Method())] {
		ctx.SetUserValue(unknownMethodKey{}, true)
		ctx.Request.Header.SetMethod(methodOfUnknown)
	}
	normalizePath(ctx.URI())
	b := i.newBody(ctx, framing)
	ctx.SetUserValue(bodyKey{}, b)
	defer b.finish()
	i.cfg.Handler(ctx)
}

// unreadable answers a request whose header fasthttp could not read.
func (i *Intake) unreadable(ctx *fasthttp.RequestCtx, err error) {
	defer i.recoverPanic(ctx)
	var network net.Error
	switch {
	case errors.As(err, new(*fasthttp.ErrSmallBuffer)):
		i.refuse(ctx, event.Refuse(event.HeadersTooLarge, "The request line and headers are larger than %d bytes together.", HeaderLimit))
	case errors.As(err, &network) && network.Timeout():
		i.refuse(ctx, i.tooSlow())
	default:
		i.cfg.Refuse(ctx, event.RefuseCause(event.MalformedRequest, err, "The request is not well-formed HTTP."))
	}
}

// recoverPanic turns a panic of the handler into an answer: fasthttp would let it end
// the process.
func (i *Intake) recoverPanic(ctx *fasthttp.RequestCtx) {
	p := recover()
	if p == nil {
		return
	}
	ctx.RemoveUserValue(bodyKey{}) // another request may have it by now
	i.cfg.Logger.Error("intake panicked", "panic", p, "stack", string(debug.Stack()))
	i.refuse(ctx, event.Failure(nil))
}

// refuse answers a request and closes its connection: the bytes behind it may belong
// to its body.
func (i *Intake) refuse(ctx *fasthttp.RequestCtx, e *event.Error) {
	i.cfg.Refuse(ctx, e)
	ctx.SetConnectionClose()
	lingerOnClose(ctx)
}

func (i *Intake) tooSlow() *event.Error {
	return event.Refuse(event.RequestTimeout, "The request did not arrive within %s.", i.cfg.ReadTimeout)
}

func (i *Intake) tooLarge(what string, limit int) *event.Error {
	if limit < i.cfg.BodyLimit {
		return event.Refuse(event.EventTooLarge, "The %s is larger than %d bytes; events of this type may not be.", what, limit)
	}
	return event.Refuse(event.EventTooLarge, "The %s is larger than %d bytes.", what, limit)
}

type (
	bodyKey          struct{} // of a request's *Body, in its user values
	unknownMethodKey struct{}
)

// UnknownMethod reports whether a request's method is not one of Config.Methods.
func UnknownMethod(ctx *fasthttp.RequestCtx) bool {
	return ctx.UserValue(unknownMethodKey{}) != nil
}
