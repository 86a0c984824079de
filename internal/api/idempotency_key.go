package api

import (
	"bytes"
	"strings"

	"github.com/valyala/fasthttp"

	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
)

// maxKeyLength bounds an Idempotency-Key, in characters.
const maxKeyLength = 255

// misnamedKeys are names under which other services take such a key, in small letters
// without hyphens and underscores. Ignoring one would let a retry publish twice.
var misnamedKeys = map[string]bool{
	"idempotency": true, "idempotencykey": true, "idempotentkey": true, "idempotencekey": true, "idempotencytoken": true, "idempotencyid": true,
}

// misnamedKey returns a header of the request that is meant as an Idempotency-Key, empty
// if there is none.
func misnamedKey(h *fasthttp.RequestHeader) string {
	found := ""
	h.VisitAll(func(name, _ []byte) {
		if found != "" || len(name) > maxMisnamed || !bytes.Contains(name, []byte("dempoten")) { // fasthttp has made all but the first letter small
			return
		}
		plain := strings.TrimPrefix(separators.Replace(strings.ToLower(string(name))), "x")
		if misnamedKeys[plain] {
			found = string(name)
		}
	})
	return found
}

var separators = strings.NewReplacer("-", "", "_", "")

// maxMisnamed is longer than any of misnamedKeys may be spelt.
const maxMisnamed = 32

// identity is what the event is deduplicated by: its Idempotency-Key, otherwise its
// CloudEvents source and id, otherwise nothing.
func identity(h *fasthttp.RequestHeader, req ingest.Request) (event.Identity, error) {
	values := h.PeekAll(headerIdempotencyKey)
	switch {
	case len(values) > 1:
		return event.Identity{}, event.Refuse(event.MalformedRequest, "The Idempotency-Key header is there %d times; send it once.", len(values))
	case len(values) == 1:
		return keyIdentity(string(values[0]))
	}
	if name := misnamedKey(h); name != "" {
		return event.Identity{}, event.Refuse(event.MalformedRequest,
			"The header %s is not read here, so retries would not be recognised. Send its value as Idempotency-Key.", name)
	}
	switch {
	case req.Attributes.ID != "":
		source := req.Attributes.Source
		if source == "" {
			source = ingest.DefaultSource(req.Client)
		}
		return event.Identity{Kind: event.IdentityCloudEvent, Parts: []string{source, req.Attributes.ID}}, nil
	}
	return event.Identity{}, nil
}

// keyIdentity is the identity of an Idempotency-Key as it was sent.
func keyIdentity(text string) (event.Identity, error) {
	key, ok := parseIdempotencyKey(text)
	if !ok {
		return event.Identity{}, event.Refuse(event.MalformedRequest,
			"The Idempotency-Key is ill-formed: it must have 1 to 255 printable ASCII characters, bare or as a quoted string (for example a UUID).")
	}
	return event.Identity{Kind: event.IdentityKey, Parts: []string{key}}, nil
}

// parseIdempotencyKey reads a key that is bare or an RFC 8941 §3.3.3 string;
// both forms of one key are the same key.
func parseIdempotencyKey(s string) (string, bool) {
	s = strings.Trim(s, " \t")
	if strings.HasPrefix(s, `"`) {
		var ok bool
		if s, ok = unquote(s, quoteOrBackslash); !ok {
			return "", false
		}
	}
	if len(s) == 0 || len(s) > maxKeyLength {
		return "", false
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return "", false
		}
	}
	return s, true
}

func quoteOrBackslash(c byte) bool { return c == '"' || c == '\\' }

func anyByte(byte) bool { return true }

// unquote removes the quotes of a string, and the backslashes of bytes that may be
// escaped.
func unquote(s string, escapable func(byte) bool) (string, bool) {
	if len(s) < 2 || s[len(s)-1] != '"' {
		return "", false
	}
	s = s[1 : len(s)-1]
	if !strings.ContainsAny(s, `"\`) {
		return s, true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return "", false
		case '\\':
			i++
			if i == len(s) || !escapable(s[i]) {
				return "", false
			}
		}
		b.WriteByte(s[i])
	}
	return b.String(), true
}
