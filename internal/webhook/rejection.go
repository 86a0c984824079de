package webhook

import (
	"fmt"
	"net/http"
)

// Rejection is a request that failed verification. Detail is a sentence for the
// caller and the operator, without any secret or expected signature.
type Rejection struct {
	Reason Reason
	Detail string
}

// Error implements error.
func (r *Rejection) Error() string { return fmt.Sprintf("%s: %s", r.Reason, r.Detail) }

// Reason says why a request failed verification.
type Reason string

// The reasons. MalformedBody belongs to the schemes that have the signature or its
// timestamp in the body.
const (
	MissingHeader     Reason = "missing-header"
	RepeatedHeader    Reason = "repeated-header"
	MalformedHeader   Reason = "malformed-header"
	MalformedBody     Reason = "malformed-body"
	TimestampTooOld   Reason = "timestamp-too-old"
	TimestampInFuture Reason = "timestamp-in-future"
	SignatureMismatch Reason = "signature-mismatch"
	WrongCredentials  Reason = "wrong-credentials" //nolint:gosec // a reason's name
)

func reject(reason Reason, format string, args ...any) *Rejection {
	return &Rejection{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

func repeated(header string) *Rejection {
	return reject(RepeatedHeader, "The %s header is there more than once; send it once.", header)
}

// mismatch rejects a signature that no configured secret has made.
func mismatch(where string) *Rejection {
	return reject(SignatureMismatch, "The signature in %s is not that of this request under any configured secret: "+
		"the secret is another one, or the body was changed on its way.", where)
}

// single reads a header that must be there once.
func single(h http.Header, name string) (string, *Rejection) {
	values := h.Values(name)
	switch {
	case len(values) > 1:
		return "", repeated(name)
	case len(values) == 0 || values[0] == "":
		return "", reject(MissingHeader, "The %s header is missing.", name)
	}
	return values[0], nil
}
