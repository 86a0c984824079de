package api

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/gofiber/fiber/v2"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"eventgateway/internal/event"
)

// The content codings that bodies may have (RFC 9110 §8.4.1, RFC 8878, RFC 7932).
const (
	codingGzip   = "gzip"
	codingZstd   = "zstd"
	codingBrotli = "br"
	codings      = "gzip, zstd, br"
)

const (
	// maxZstdWindow is what a sender may ask for (RFC 9659 §3). A gzip window has
	// 32 KiB, a brotli window 16 MiB at most.
	maxZstdWindow = 8 << 20
	// A body may become so many times larger, beyond what is free: honest batches of
	// like events stay below, bombs go to a thousand and far beyond.
	freeInflation, maxInflation = 1 << 20, 100
)

// inflaters bounds how many bodies are inflated at once, and so the windows that
// decoders hold beside the bytes that are admitted. Inflating is work of the
// processor alone, so one for each does: the compressed body is there by then.
type inflaters chan *inflater

func newInflaters() inflaters {
	all := make(inflaters, runtime.GOMAXPROCS(0))
	for range cap(all) {
		all <- &inflater{}
	}
	return all
}

// inflater keeps what decoders need again, and is used by one request at a time. Its
// zstd decoder has no goroutines.
type inflater struct {
	src  bytes.Reader
	gzip *gzip.Reader
	zstd *zstd.Decoder
}

// decoder reads what compressed becomes.
func (i *inflater) decoder(coding string, compressed []byte) (io.Reader, error) {
	i.src.Reset(compressed)
	switch coding {
	case codingGzip:
		if i.gzip == nil {
			i.gzip = new(gzip.Reader)
		}
		return i.gzip, i.gzip.Reset(&i.src)
	case codingZstd:
		if i.zstd == nil {
			d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
				zstd.WithDecoderMaxWindow(maxZstdWindow), zstd.WithDecoderMaxMemory(maxZstdWindow))
			if err != nil {
				return nil, err
			}
			i.zstd = d
		}
		return i.zstd, i.zstd.Reset(&i.src)
	}
	return &wholeBrotli{brotli.NewReader(&i.src), &i.src}, nil
}

// wholeBrotli finds out whether a stream is whole: when its input ends, the brotli
// package says io.EOF also in the middle. One byte more is too much for a whole stream.
type wholeBrotli struct {
	stream *brotli.Reader
	src    *bytes.Reader
}

// errTooMuch is what the brotli package says of bytes behind a whole stream, here the
// empty one (RFC 7932 §9.1).
var errTooMuch = func() error {
	_, err := brotli.NewReader(bytes.NewReader([]byte{0x06, 0})).Read(make([]byte, 1))
	return err
}()

// Read implements io.Reader.
func (w *wholeBrotli) Read(p []byte) (int, error) {
	n, err := w.stream.Read(p)
	if n > 0 || !errors.Is(err, io.EOF) {
		return n, err
	}
	w.src.Reset([]byte{0})
	if _, err := w.stream.Read(p); !errors.Is(err, errTooMuch) {
		return 0, io.ErrUnexpectedEOF
	}
	return 0, io.EOF
}

// readDecoded reads the body as read does, and inflates it if it has a content coding:
// to at most limit bytes, from at most as many as any body may have.
func (b *body) readDecoded(coding string, limit int) ([]byte, error) {
	if coding == "" {
		return b.read(limit)
	}
	compressed, err := b.read(b.s.cfg.BodyLimit)
	if err != nil {
		return nil, err
	}
	inflater := <-b.s.inflaters
	defer func() {
		inflater.src.Reset(nil)
		b.s.inflaters <- inflater
	}()
	return b.inflate(inflater, coding, compressed, limit)
}

func (b *body) inflate(i *inflater, coding string, compressed []byte, limit int) ([]byte, error) {
	allowed := min(limit, freeInflation+maxInflation*len(compressed))
	before := b.held
	decoder, err := i.decoder(coding, compressed)
	var data []byte
	if err == nil {
		data, err = b.readGrowing(decoder, nil, min(max(smallBody, 4*len(compressed)), allowed), allowed)
	}
	switch {
	case err == nil:
		b.dismiss(before) // the compressed bytes are done with
		b.release(compressed)
		return data, nil
	case errors.Is(err, errOverLimit) && allowed < limit:
		return nil, event.Refuse(event.EventTooLarge, "The body becomes more than %d times larger when it is inflated.", maxInflation)
	case errors.Is(err, errOverLimit):
		return nil, b.tooLarge("inflated body", limit)
	case errors.Is(err, errOverloaded):
		return nil, b.problem(err, limit)
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return nil, event.Refuse(event.MalformedRequest, "The body's zstd window is larger than 8 MiB, more than RFC 9659 lets a sender ask for.")
	}
	return nil, event.Refuse(event.MalformedRequest, "The body is not what Content-Encoding: %s says: it is broken or cut off.", coding)
}

// coding is the content coding of c's body, empty for none.
func coding(c *fiber.Ctx) (string, error) {
	values := c.Request().Header.PeekAll(fiber.HeaderContentEncoding)
	if len(values) == 0 {
		return "", nil
	}
	if len(values) == 1 {
		switch strings.ToLower(string(values[0])) {
		case "", "identity":
			return "", nil
		case codingGzip, "x-gzip": // RFC 9110 §8.4.1.3
			return codingGzip, nil
		case codingZstd:
			return codingZstd, nil
		case codingBrotli:
			return codingBrotli, nil
		}
	}
	c.Set(fiber.HeaderAcceptEncoding, codings) // RFC 9110 §15.5.16
	return "", event.Refuse(event.UnsupportedMediaType, "The body's Content-Encoding is not supported: send one of %s, or none.", codings)
}

// readUncompressed reads a body that may have no content coding.
func (s *Server) readUncompressed(c *fiber.Ctx) ([]byte, error) {
	if used, err := coding(c); err == nil && used == "" {
		return bodyOf(c).read(s.cfg.BodyLimit)
	}
	c.Set(fiber.HeaderAcceptEncoding, "identity")
	return nil, event.Refuse(event.UnsupportedMediaType, "Signatures are over the body as it is sent, so webhooks may not be compressed: send the body without Content-Encoding.")
}
