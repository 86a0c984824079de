package api

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/gofiber/fiber/v2"
)

// file is a body that is sent as it is.
type file struct {
	mediaType     string
	plain, zipped []byte
	etag          string // of both: weak
	kept          bool   // for all callers; otherwise made for one
}

func newFile(mediaType string, plain []byte) (file, error) {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write(plain); err != nil {
		return file{}, fmt.Errorf("compress file: %w", err)
	}
	if err := w.Close(); err != nil {
		return file{}, fmt.Errorf("compress file: %w", err)
	}
	return file{mediaType, plain, zipped.Bytes(), etagOf(plain), true}, nil
}

// zippedFile is a file that comes compressed.
func zippedFile(mediaType string, zipped []byte) (file, error) {
	r, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		return file{}, fmt.Errorf("decompress file: %w", err)
	}
	plain, err := io.ReadAll(r) // of the binary: its size is known
	if err != nil {
		return file{}, fmt.Errorf("decompress file: %w", err)
	}
	return file{mediaType, plain, zipped, etagOf(plain), true}, nil
}

func etagOf(text []byte) string {
	sum := sha256.Sum256(text)
	return `W/"` + hex.EncodeToString(sum[:12]) + `"`
}

// send answers with a file, or with 304 to a client that has it.
func (f file) send(c *fiber.Ctx) error {
	c.Vary(fiber.HeaderAcceptEncoding)
	c.Set(fiber.HeaderETag, f.etag)
	c.Set(fiber.HeaderCacheControl, "no-cache") // ask each time: event types are reloaded
	if c.Get(fiber.HeaderIfNoneMatch) == f.etag {
		return c.SendStatus(fiber.StatusNotModified)
	}
	c.Response().Header.SetContentType(f.mediaType)
	exchangeOf(c).shared = f.kept
	if c.Get(fiber.HeaderAcceptEncoding) != "" && c.AcceptsEncodings("gzip", "identity") == "gzip" {
		c.Set(fiber.HeaderContentEncoding, "gzip")
		c.Response().SetBodyRaw(f.zipped)
		return nil
	}
	c.Response().SetBodyRaw(f.plain)
	return nil
}
