package intake

import (
	"errors"
	"io"
	"math"
	"net"
	"time"

	"github.com/valyala/fasthttp"

	"eventgateway/internal/budget"
	"eventgateway/internal/event"
)

const (
	// smallBody is the size, in bytes, up to which a body needs no buffer of its own.
	smallBody = 8 << 10
	// firstGrown is the first size, in bytes, of a buffer that grows.
	firstGrown = 64 << 10
	// restLimit, in bytes, and restTime bound what is read of a body that no handler
	// has read, so that its connection can be kept.
	restLimit = 16 << 10
	restTime  = 100 * time.Millisecond
)

var (
	errOverLimit  = errors.New("the body is over the limit")
	errOverloaded = errors.New("too many bytes are held")
)

// Body is a request's body. It is read when a handler asks for it, after everything
// that can be decided without it. Its bytes are admitted before they are read, and stay
// admitted until the handler returns. What ReadAll returned is valid until then.
type Body struct {
	intake  *Intake
	ctx     *fasthttp.RequestCtx
	framing framing
	wire    wireBody
	begun   bool      // the client was told to send, or sends unasked
	arrived time.Time // when it had been read; zero before
	held    int       // bytes admitted
	bufs    []*[]byte // taken from the pools
	small   [smallBody]byte
	rest    [512]byte // for what is thrown away
}

// headerReceived makes fasthttp leave the body alone until a handler asks for it:
// fasthttp reads nothing ahead of a chunked body, and does not answer an Expect header
// that is not there. framingOf reads both from the header as it came.
func headerReceived(h *fasthttp.RequestHeader) (unchanged fasthttp.RequestConfig) {
	if n := h.ContentLength(); n > 0 || n == -1 {
		h.SetContentLength(-1)
	}
	if len(h.Peek(fasthttp.HeaderExpect)) > 0 {
		h.Del(fasthttp.HeaderExpect)
	}
	return unchanged
}

// newBody returns the body of the request that ctx holds.
func (i *Intake) newBody(ctx *fasthttp.RequestCtx, f framing) *Body {
	b, ok := i.bodies.Get().(*Body)
	if !ok {
		b = &Body{}
	}
	b.intake, b.ctx, b.framing = i, ctx, f
	b.wire = wireBody{raw: ctx.Request.BodyStream(), chunked: f.chunked, left: f.length, ended: !f.hasBody()}
	b.begun, b.arrived, b.held = !f.expects, time.Time{}, 0
	if f.hasBody() {
		// fasthttp's stream decodes chunks only while the header says that there are
		// some; otherwise it is the connection, up to this many bytes.
		ctx.Request.Header.SetContentLength(math.MaxInt)
	}
	return b
}

// BodyOf returns the body of ctx's request, nil for a request that Config.Refuse
// answers.
func BodyOf(ctx *fasthttp.RequestCtx) *Body {
	b, _ := ctx.UserValue(bodyKey{}).(*Body)
	return b
}

// Declared reports whether the request's header announces a body.
func (b *Body) Declared() bool { return b.framing.hasBody() }

// Arrived is when the whole body had been read; zero if it was not.
func (b *Body) Arrived() time.Time { return b.arrived }

// ReadAll reads the body, of at most limit bytes, into one buffer. Errors are
// *event.Error. Call ReadAll or ReadDecoded once.
func (b *Body) ReadAll(limit int) ([]byte, error) {
	data, err := b.readAll(limit)
	b.arrived = time.Now()
	if err != nil {
		return nil, b.problem(err, limit)
	}
	return data, nil
}

func (b *Body) readAll(limit int) ([]byte, error) {
	f := b.framing
	switch {
	case !f.hasBody():
		return nil, nil
	case f.length > int64(limit):
		return nil, errOverLimit
	case f.chunked:
		return b.readSteps(min(smallBody, limit), limit)
	}
	n := int(f.length)
	if n > firstGrown {
		// Grow as it comes, so that a client that declares much and sends nothing
		// holds next to nothing.
		if !b.intake.budget.Room(int64(n)) {
			return nil, errOverloaded
		}
		return b.readSteps(smallBody, n)
	}
	if !b.admit(n) {
		return nil, errOverloaded
	}
	buf := b.small[:]
	if n > len(buf) {
		buf = b.buffer(n)
	}
	if err := b.begin(); err != nil {
		return nil, err
	}
	_, err := io.ReadFull(&b.wire, buf[:n])
	return buf[:n], err
}

// readSteps reads the body as it comes, first into size bytes.
func (b *Body) readSteps(size, limit int) ([]byte, error) {
	if !b.admit(size) {
		return nil, errOverloaded
	}
	return b.readGrowing((*bodyReader)(b), b.small[:size], limit)
}

// readGrowing reads r to its end into room, which is admitted, or a larger buffer. Each
// larger one is admitted before the smaller one is released.
func (b *Body) readGrowing(r io.Reader, room []byte, limit int) ([]byte, error) {
	buf := room[:0:len(room)]
	for {
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case errors.Is(err, io.EOF):
			return buf, nil
		case err != nil:
			return nil, err
		case len(buf) < cap(buf):
			continue
		case len(buf) == limit:
			return buf, b.atEnd(r)
		}
		size := min(max(firstGrown, 2*cap(buf)), limit)
		if !b.admit(size) {
			return nil, errOverloaded
		}
		grown := append(b.buffer(size)[:0:size], buf...)
		b.dismiss(cap(buf))
		b.release(buf)
		buf = grown
	}
}

// atEnd checks that r has no more.
func (b *Body) atEnd(r io.Reader) error {
	for {
		n, err := r.Read(b.rest[:1])
		switch {
		case n > 0:
			return errOverLimit
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// bodyReader reads a body as it comes, after telling the client to send it.
type bodyReader Body

// Read implements io.Reader.
func (b *bodyReader) Read(p []byte) (int, error) {
	if err := (*Body)(b).begin(); err != nil {
		return 0, err
	}
	return b.wire.Read(p)
}

// begin answers a client that waits for 100 Continue before it sends the body
// (RFC 9110 §10.1.1). Only here is it certain that the body is wanted.
func (b *Body) begin() error {
	if b.begun {
		return nil
	}
	b.begun = true
	conn := b.ctx.Conn()
	if err := conn.SetWriteDeadline(time.Now().Add(b.intake.cfg.WriteTimeout)); err != nil {
		return err
	}
	_, err := io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
	return err
}

// buffer returns one of n bytes, valid until the request is answered.
func (b *Body) buffer(n int) []byte {
	buf := b.intake.buffers.get(n)
	b.bufs = append(b.bufs, buf)
	return *buf
}

// release returns the pooled buffer that holds buf, if there is one, before the request
// is answered.
func (b *Body) release(buf []byte) {
	for i, mine := range b.bufs {
		if cap(buf) > 0 && &(*mine)[0] == &buf[:1][0] {
			b.intake.buffers.put(mine)
			b.bufs = append(b.bufs[:i], b.bufs[i+1:]...)
			return
		}
	}
}

// Hold admits n bytes that the handler makes of the body and holds until it returns. The
// error is an *event.Error, overloaded.
func (b *Body) Hold(n int) error {
	if !b.admit(n) {
		return b.intake.budget.Full()
	}
	return nil
}

func (b *Body) admit(n int) bool {
	if n > budget.QuickBytes {
		if !b.intake.budget.TakeLarge(int64(n)) {
			return false
		}
	} else if !b.intake.budget.Take(int64(n)) {
		return false
	}
	b.held += n
	return true
}

func (b *Body) dismiss(n int) {
	b.held -= n
	b.intake.budget.Give(int64(n))
}

// problem is what the client is told about a body that could not be read.
func (b *Body) problem(err error, limit int) *event.Error {
	var broken *brokenBody
	var network net.Error
	switch {
	case errors.Is(err, errOverLimit):
		return b.intake.tooLarge("body", limit)
	case errors.Is(err, errOverloaded):
		return b.intake.budget.Full()
	case errors.As(err, &broken):
		return event.Refuse(event.MalformedRequest, "The request is not well-formed HTTP: %s.", broken.what)
	case errors.As(err, &network) && network.Timeout():
		return b.intake.tooSlow()
	}
	return event.RefuseCause(event.MalformedRequest, err, "The request is not well-formed HTTP: its body ends too soon.")
}

// finish is called when the handler has returned. If more of the body may come than is
// worth reading, the connection is closed after the answer.
func (b *Body) finish() {
	if !b.wire.ended && !b.discard() {
		b.ctx.SetConnectionClose()
		lingerOnClose(b.ctx)
	}
	if b.held > 0 {
		b.dismiss(b.held)
	}
	if b.framing.hasBody() {
		b.ctx.Request.Header.SetContentLength(0)
	}
	intake := b.intake
	for i, buf := range b.bufs {
		intake.buffers.put(buf)
		b.bufs[i] = nil
	}
	b.bufs = b.bufs[:0]
	b.intake, b.ctx, b.wire = nil, nil, wireBody{}
	intake.bodies.Put(b)
}

// discard reads the rest of a body, if it is short and arrives soon, and reports whether
// it did.
func (b *Body) discard() bool {
	if b.wire.err != nil || b.wire.chunked || b.wire.left > restLimit || !b.begun {
		return false
	}
	if err := b.ctx.Conn().SetReadDeadline(time.Now().Add(restTime)); err != nil {
		return false
	}
	for !b.wire.ended {
		if _, err := b.wire.Read(b.rest[:]); err != nil {
			return false
		}
	}
	return true
}
