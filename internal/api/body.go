package api

import (
	"errors"
	"io"
	"math"
	"net"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"eventgateway/internal/event"
)

const (
	bodyLocal = "body"
	// smallBody is the size, in bytes, up to which a body needs no buffer of its own.
	smallBody = 8 << 10
	// firstGrown is the first size of a buffer that grows.
	firstGrown = 64 << 10
	// restLimit and restTime bound what is read of a body that nobody wants, so that
	// its connection can be kept.
	restLimit = 16 << 10
	restTime  = 100 * time.Millisecond
)

var (
	errOverLimit  = errors.New("the body is over the limit")
	errOverloaded = errors.New("too many bytes are held")
)

// body is a request's body, from its header to its answer. It is read when a handler
// asks for it, after everything that can be decided without; its bytes are admitted
// before they are read and stay admitted until the answer is made.
type body struct {
	wireBody
	s       *Server
	ctx     *fasthttp.RequestCtx
	framing framing
	begun   bool      // the client was told to send, or sends unasked
	arrived time.Time // when it had been read; zero before
	held    int       // bytes admitted
	bufs    []*[]byte // taken from the pools
	small   [smallBody]byte
	rest    [512]byte // for what is thrown away
}

// headerReceived makes fasthttp leave the body alone until a handler asks for it.
// Of a body in chunks it reads nothing ahead, and it answers no Expect that is not
// there; framingOf has both from the header as it came.
func headerReceived(h *fasthttp.RequestHeader) (unchanged fasthttp.RequestConfig) {
	if n := h.ContentLength(); n > 0 || n == -1 {
		h.SetContentLength(-1)
	}
	if len(h.Peek(fiber.HeaderExpect)) > 0 {
		h.Del(fiber.HeaderExpect)
	}
	return unchanged
}

// newBody is the body of the request that ctx begins with.
func (s *Server) newBody(ctx *fasthttp.RequestCtx, f framing) *body {
	b, ok := s.bodies.Get().(*body)
	if !ok {
		b = &body{}
	}
	b.s, b.ctx, b.framing = s, ctx, f
	b.wireBody = wireBody{raw: ctx.Request.BodyStream(), chunked: f.chunked, left: f.length, ended: !f.hasBody()}
	b.begun, b.arrived, b.held = !f.expects, time.Time{}, 0
	if f.hasBody() {
		// The stream takes chunks apart only while the header says that there are
		// some; else it is the connection, up to this many bytes.
		ctx.Request.Header.SetContentLength(math.MaxInt)
	}
	return b
}

// bodyOf is the body of c's request.
func bodyOf(c *fiber.Ctx) *body {
	b, _ := c.Context().UserValue(bodyLocal).(*body)
	return b
}

// read reads the body, of at most limit bytes, into one buffer that is good until the
// request is answered. Errors are *event.Error.
func (b *body) read(limit int) ([]byte, error) {
	data, err := b.readAll(limit)
	b.arrived = time.Now()
	if err != nil {
		return nil, b.problem(err, limit)
	}
	return data, nil
}

func (b *body) readAll(limit int) ([]byte, error) {
	f := b.framing
	switch {
	case !f.hasBody():
		return nil, nil
	case f.length > int64(limit):
		return nil, errOverLimit
	case f.chunked:
		return b.readGrowing(b, b.small[:], min(smallBody, limit), limit)
	}
	n := int(f.length)
	if n > firstGrown {
		// As it comes: who declares much and sends nothing holds next to nothing.
		if !b.s.admission.room(n) {
			return nil, errOverloaded
		}
		return b.readGrowing(b, b.small[:], smallBody, n)
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
	_, err := io.ReadFull(&b.wireBody, buf[:n])
	return buf[:n], err
}

// readGrowing reads r to its end into a buffer that begins with size bytes, of room if
// there is some, and grows: each larger one is admitted before the smaller one goes.
func (b *body) readGrowing(r io.Reader, room []byte, size, limit int) ([]byte, error) {
	if !b.admit(size) {
		return nil, errOverloaded
	}
	if room == nil {
		room = b.buffer(size)
	}
	buf := room[:0:size]
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
		if size = min(max(firstGrown, 2*cap(buf)), limit); !b.admit(size) {
			return nil, errOverloaded
		}
		grown := append(b.buffer(size)[:0:size], buf...)
		b.dismiss(cap(buf))
		b.release(buf)
		buf = grown
	}
}

// atEnd checks that r has no more.
func (b *body) atEnd(r io.Reader) error {
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

// Read implements io.Reader: the body as it comes.
func (b *body) Read(p []byte) (int, error) {
	if err := b.begin(); err != nil {
		return 0, err
	}
	return b.wireBody.Read(p)
}

// begin lets a client send that waits to be told (RFC 9110 §10.1.1): only now is it
// sure that its body is wanted.
func (b *body) begin() error {
	if b.begun {
		return nil
	}
	b.begun = true
	conn := b.ctx.Conn()
	if err := conn.SetWriteDeadline(time.Now().Add(b.s.cfg.WriteTimeout)); err != nil {
		return err
	}
	_, err := io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
	return err
}

// buffer is one of n bytes, until the request is answered.
func (b *body) buffer(n int) []byte {
	buf := b.s.buffers.get(n)
	b.bufs = append(b.bufs, buf)
	return *buf
}

// release gives a buffer back early, if buf is in one.
func (b *body) release(buf []byte) {
	for i, mine := range b.bufs {
		if cap(buf) > 0 && &(*mine)[0] == &buf[:1][0] {
			b.s.buffers.put(mine)
			b.bufs = append(b.bufs[:i], b.bufs[i+1:]...)
			return
		}
	}
}

func (b *body) admit(n int) bool {
	if !b.s.admission.take(n) {
		return false
	}
	b.held += n
	return true
}

func (b *body) dismiss(n int) {
	b.held -= n
	b.s.admission.give(n)
}

// problem is what there is to tell of a body that could not be read.
func (b *body) problem(err error, limit int) *event.Error {
	var broken *brokenBody
	var network net.Error
	switch {
	case errors.Is(err, errOverLimit):
		return b.tooLarge("body", limit)
	case errors.Is(err, errOverloaded):
		return event.Refuse(event.Overloaded, "The gateway holds as many bytes of requests as it may, %d. Send it again shortly.", b.s.admission.limit)
	case errors.As(err, &broken):
		return event.Refuse(event.MalformedRequest, "The request is not well-formed HTTP: %s.", broken.what)
	case errors.As(err, &network) && network.Timeout():
		return b.s.tooSlow()
	}
	return event.RefuseCause(event.MalformedRequest, err, "The request is not well-formed HTTP: its body ends too soon.")
}

func (b *body) tooLarge(what string, limit int) *event.Error {
	if limit < b.s.cfg.BodyLimit {
		return event.Refuse(event.EventTooLarge, "The %s is larger than %d bytes; events of this type may not be.", what, limit)
	}
	return event.Refuse(event.EventTooLarge, "The %s is larger than %d bytes.", what, limit)
}

// finish is called when the answer is made. A connection on which more of the body
// may come than is worth reading takes no further request.
func (b *body) finish() {
	if !b.ended && !b.discard() {
		b.ctx.SetConnectionClose()
		lingerOnClose(b.ctx)
	}
	if b.held > 0 {
		b.dismiss(b.held)
	}
	if b.framing.hasBody() {
		b.ctx.Request.Header.SetContentLength(0)
	}
	s := b.s
	for i, buf := range b.bufs {
		s.buffers.put(buf)
		b.bufs[i] = nil
	}
	b.bufs = b.bufs[:0]
	b.s, b.ctx, b.wireBody = nil, nil, wireBody{}
	s.bodies.Put(b)
}

// discard reads the rest of a body, if that is little and there.
func (b *body) discard() bool {
	if b.err != nil || b.chunked || b.left > restLimit || !b.begun {
		return false
	}
	if err := b.ctx.Conn().SetReadDeadline(time.Now().Add(restTime)); err != nil {
		return false
	}
	for !b.ended {
		if _, err := b.wireBody.Read(b.rest[:]); err != nil {
			return false
		}
	}
	return true
}
