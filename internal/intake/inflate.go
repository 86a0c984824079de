package intake

import (
	"bytes"
	"errors"
	"io"
	"runtime"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"eventgateway/internal/budget"
	"eventgateway/internal/event"
)

// The content codings that ReadDecoded knows (RFC 9110 §8.4.1, RFC 8878, RFC 7932).
const (
	Gzip   = "gzip"
	Zstd   = "zstd"
	Brotli = "br"
)

const (
	// maxZstdWindow, in bytes, is what a sender may ask for (RFC 9659 §3). A gzip
	// window has 32 KiB, a brotli window 16 MiB at most.
	maxZstdWindow = 8 << 20
	// A body may become maxInflation times larger, plus freeInflation bytes: honest
	// batches of similar events stay below, bombs reach a thousand times and more.
	freeInflation, maxInflation = 1 << 20, 100
)

// inflaters bounds how many bodies are inflated at once, and so the memory of the
// decoders' windows, which is not admitted. Inflating waits for nothing, because the
// compressed body has arrived by then, so one inflater per processor is enough.
type inflaters chan *inflater

func newInflaters() inflaters {
	all := make(inflaters, runtime.GOMAXPROCS(0))
	for range cap(all) {
		all <- &inflater{}
	}
	return all
}

// inflater keeps decoders for reuse by one request at a time. Its zstd decoder has no
// goroutines.
type inflater struct {
	src  bytes.Reader
	gzip *gzip.Reader
	zstd *zstd.Decoder
}

// decoder returns a reader of the decoded bytes.
func (i *inflater) decoder(coding string, compressed []byte) (io.Reader, error) {
	i.src.Reset(compressed)
	switch coding {
	case Gzip:
		if i.gzip == nil {
			i.gzip = new(gzip.Reader)
		}
		return i.gzip, i.gzip.Reset(&i.src)
	case Zstd:
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

func (b *Body) inflateSmall(coding string, compressed []byte, limit int) ([]byte, error) {
	size := min(max(smallBody, 4*len(compressed)), limit)
	if !b.admit(size) {
		return nil, errOverloaded
	}
	return b.decode(coding, compressed, b.buffer(size), limit)
}

func (b *Body) inflateLarge(coding string, compressed []byte, limit int) ([]byte, error) {
	room := min(limit, int(b.intake.budget.Largest()))
	if !b.intake.budget.AwaitLarge(int64(room)) {
		return nil, errOverloaded
	}
	b.held += room
	data, err := b.decode(coding, compressed, b.buffer(room), room)
	switch {
	case errors.Is(err, errOverLimit) && room < limit:
		return nil, errOverloaded
	case err != nil || len(data) > room/2:
		return data, err
	}
	fitting := append(b.buffer(len(data))[:0], data...)
	b.release(data)
	b.dismiss(room - len(data))
	return fitting, nil
}

// decode decodes a body into room, which may grow, to at most limit bytes.
func (b *Body) decode(coding string, compressed, room []byte, limit int) ([]byte, error) {
	i := <-b.intake.inflaters
	defer func() {
		i.src.Reset(nil)
		b.intake.inflaters <- i
	}()
	decoder, err := i.decoder(coding, compressed)
	if err != nil {
		return nil, err
	}
	return b.readGrowing(decoder, room, limit)
}

// wholeBrotli detects truncated streams. The brotli package returns io.EOF at the end of
// the input even inside a stream, so one more byte is fed: only a complete stream
// rejects it.
type wholeBrotli struct {
	stream *brotli.Reader
	src    *bytes.Reader
}

// errTooMuch is the brotli package's error for bytes after a whole stream, here the
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

// ReadDecoded reads the body as Read does and decodes it, to at most limit bytes. The
// body as sent may have Limits.BodyLimit bytes. An empty coding means none.
func (b *Body) ReadDecoded(coding string, limit int) ([]byte, error) {
	if coding == "" {
		return b.ReadAll(limit)
	}
	compressed, err := b.ReadAll(b.intake.cfg.BodyLimit)
	if err != nil {
		return nil, err
	}
	return b.inflate(coding, compressed, limit)
}

// inflate decodes a body. Most are small. One that is not is decoded again, once there is
// room for the largest that it may become: it waits for that room with nothing but what was
// sent.
func (b *Body) inflate(coding string, compressed []byte, limit int) ([]byte, error) {
	allowed := min(limit, freeInflation+maxInflation*len(compressed))
	before := b.held
	data, err := b.inflateSmall(coding, compressed, min(allowed, budget.QuickBytes))
	if errors.Is(err, errOverLimit) && allowed > budget.QuickBytes {
		b.release(data)
		b.dismiss(b.held - before)
		data, err = b.inflateLarge(coding, compressed, allowed)
	}
	switch {
	case err == nil:
		b.dismiss(before) // the compressed bytes are no longer needed
		b.release(compressed)
		return data, nil
	case errors.Is(err, errOverLimit) && allowed < limit:
		return nil, event.Refuse(event.EventTooLarge, "The body becomes more than %d times larger when it is inflated.", maxInflation)
	case errors.Is(err, errOverLimit):
		return nil, b.intake.tooLarge("inflated body", limit)
	case errors.Is(err, errOverloaded):
		return nil, b.problem(err, limit)
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return nil, event.Refuse(event.MalformedRequest, "The body's zstd window is larger than 8 MiB, more than RFC 9659 lets a sender ask for.")
	}
	return nil, event.Refuse(event.MalformedRequest, "The body is not what Content-Encoding: %s says: it is broken or cut off.", coding)
}
