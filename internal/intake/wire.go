package intake

import (
	"errors"
	"fmt"
	"io"
	"math"
)

const (
	// maxChunkLine bounds a chunk's size with its extensions, which are ignored
	// (RFC 9112 §7.1.1).
	maxChunkLine = 256
	// maxTrailers bounds the trailers of a chunked body, which are ignored, too
	// (RFC 9112 §7.1.2).
	maxTrailers = 4 << 10
	// The bytes around the data of chunks may be this many, plus this many times the
	// data: a chunk of one byte has five bytes around it.
	freeChunkOverhead, maxChunkOverhead = 16 << 10, 16
)

// brokenBody says what is wrong with how a body is sent.
type brokenBody struct{ what string }

func (b *brokenBody) Error() string { return b.what }

// wireBody reads a body from the connection and decodes its chunks. It never reads
// beyond the body's end: what follows is the next request.
type wireBody struct {
	raw      io.Reader // the connection behind the header
	chunked  bool
	left     int64 // bytes to come, of the body or of the chunk
	ended    bool
	err      error // of every further Read
	data     int64 // bytes read of chunks
	overhead int64 // bytes read around them
	byte1    [1]byte
}

// Read implements io.Reader.
func (w *wireBody) Read(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if w.ended {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	if w.left == 0 {
		if w.err = w.nextChunk(); w.err != nil {
			return 0, w.err
		}
		if w.ended {
			return 0, io.EOF
		}
	}
	n, err := w.raw.Read(p[:min(int64(len(p)), w.left)])
	w.left -= int64(n)
	w.data += int64(n)
	switch {
	case w.left > 0 && errors.Is(err, io.EOF):
		w.err = io.ErrUnexpectedEOF
	case w.left > 0:
		w.err = err
	case w.chunked:
		w.err = w.crlf()
	default:
		w.ended = true
	}
	return n, w.err
}

// one reads one byte that is not data.
func (w *wireBody) one() (byte, error) {
	for {
		n, err := w.raw.Read(w.byte1[:])
		if n == 1 {
			if w.overhead++; w.overhead > freeChunkOverhead+maxChunkOverhead*w.data {
				return 0, &brokenBody{"its chunks have too many bytes around their data"}
			}
			return w.byte1[0], nil
		}
		if errors.Is(err, io.EOF) {
			return 0, io.ErrUnexpectedEOF
		}
		if err != nil {
			return 0, err
		}
	}
}

// nextChunk reads a chunk's size, and after the last chunk the trailers
// (RFC 9112 §7.1). Lines must end with CRLF.
func (w *wireBody) nextChunk() error {
	size, digits := int64(0), 0
	var c byte
	var err error
	for {
		if c, err = w.one(); err != nil {
			return err
		}
		d := hexDigit(c)
		if d < 0 {
			break
		}
		if digits++; digits > maxChunkLine || size > (math.MaxInt64-15)/16 {
			return &brokenBody{"a chunk's size is too long"}
		}
		size = size*16 + d
	}
	if digits == 0 || c != '\r' && c != ';' {
		return &brokenBody{"a chunk's size is not hexadecimal"}
	}
	for n := digits; c != '\r'; n++ { // extensions
		if c != '\t' && c < ' ' || c == 0x7f || n > maxChunkLine {
			return &brokenBody{"a chunk's extensions are ill-formed or too long"}
		}
		if c, err = w.one(); err != nil {
			return err
		}
	}
	if err := w.expect('\n'); err != nil {
		return err
	}
	if w.left = size; size == 0 {
		return w.trailers()
	}
	return nil
}

// trailers reads the fields after the last chunk and ignores them, whatever headers
// they name.
func (w *wireBody) trailers() error {
	line := make([]byte, 0, 64)
	for total := 0; ; total++ {
		c, err := w.one()
		switch {
		case err != nil:
			return err
		case total > maxTrailers:
			return &brokenBody{"its trailers are too long"}
		case c != '\r':
			line = append(line, c)
			continue
		}
		if err := w.expect('\n'); err != nil {
			return err
		}
		if len(line) == 0 {
			w.ended = true
			return nil
		}
		if _, _, fault := field(line); fault != "" {
			return &brokenBody{"a trailer is ill-formed: " + fault}
		}
		line = line[:0]
	}
}

func (w *wireBody) crlf() error {
	if err := w.expect('\r'); err != nil {
		return err
	}
	return w.expect('\n')
}

func (w *wireBody) expect(want byte) error {
	got, err := w.one()
	if err == nil && got != want {
		return &brokenBody{fmt.Sprintf("a line of its chunks has %q where it must end with %q", got, want)}
	}
	return err
}

func hexDigit(c byte) int64 {
	switch {
	case '0' <= c && c <= '9':
		return int64(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int64(c|0x20-'a') + 10
	}
	return -1
}
