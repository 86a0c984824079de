package event

import (
	"fmt"
	"time"
)

// Outcome says what became of a request's event.
type Outcome string

// The three outcomes. Unknown is neither success nor failure.
const (
	Written    Outcome = "written"
	NotWritten Outcome = "not-written"
	Unknown    Outcome = "unknown"
)

// Kind is what went wrong, named by the slug of its problem page.
type Kind string

// The kinds of error that a caller can meet (design section 5).
const (
	MalformedJSON               Kind = "malformed-json"
	MalformedRequest            Kind = "malformed-request"
	IdempotencyKeyMissing       Kind = "idempotency-key-missing"
	Unauthenticated             Kind = "unauthenticated"
	Forbidden                   Kind = "forbidden"
	UnknownEventType            Kind = "unknown-event-type"
	UnknownSource               Kind = "unknown-source"
	NotFound                    Kind = "not-found"
	MethodNotAllowed            Kind = "method-not-allowed"
	RequestTimeout              Kind = "request-timeout"
	RequestInProgress           Kind = "request-in-progress"
	EventTooLarge               Kind = "event-too-large"
	UnsupportedMediaType        Kind = "unsupported-media-type"
	SchemaViolation             Kind = "schema-violation"
	KeyMissing                  Kind = "key-missing"
	IdempotencyKeyReused        Kind = "idempotency-key-reused"
	HeldBack                    Kind = "held-back"
	HeadersTooLarge             Kind = "headers-too-large"
	RateLimited                 Kind = "rate-limited"
	Overloaded                  Kind = "overloaded"
	LogUnavailable              Kind = "log-unavailable"
	IdempotencyStoreUnavailable Kind = "idempotency-store-unavailable"
	OutcomeUnknown              Kind = "outcome-unknown"
	Internal                    Kind = "internal"
)

// Violation is one way in which data breaks its schema.
type Violation struct {
	Pointer string `json:"pointer"` // JSON Pointer into the data; "" is the whole
	Keyword string `json:"keyword"` // the schema keyword, for example "minimum"
	Message string `json:"message"`
}

// Allowance is what checking the events of one request may cost, all together. Each check
// takes its part. A single event needs none: its check has bounds of its own.
type Allowance struct {
	Violations int // that may still be listed
	Bytes      int // of their texts
	Steps      int // of work beyond what events of their size usually cost
	Quick      int // of these, in a slot for quick work
	Slot       Slot
}

// Slot is the turn in which events are checked; it ends when they are.
type Slot interface{ End() }

// What is listed of one request: more helps nobody, and an answer must not be many times
// larger than the request.
const (
	MaxViolations     = 1_000
	MaxViolationBytes = 256 << 10
)

// Error is an error that a caller may see. Detail is for that caller, Err is the cause,
// for the log only.
type Error struct {
	Kind       Kind
	Outcome    Outcome
	Detail     string
	Violations []Violation
	RetryAfter time.Duration // 0: the kind's default
	Err        error
}

// Error implements error.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Kind, e.Detail, e.Err)
	}
	return fmt.Sprintf("%s: %s", e.Kind, e.Detail)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Refuse makes an error for an event that was certainly not written.
func Refuse(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Outcome: NotWritten, Detail: fmt.Sprintf(format, args...)}
}

// RefuseCause is Refuse with a cause for the log.
func RefuseCause(kind Kind, cause error, format string, args ...any) *Error {
	e := Refuse(kind, format, args...)
	e.Err = cause
	return e
}

// MaybeWritten makes an error for an event that may or may not have been written.
func MaybeWritten(kind Kind, cause error, format string, args ...any) *Error {
	e := RefuseCause(kind, cause, format, args...)
	e.Outcome = Unknown
	return e
}

// Failure makes an error for a fault of the gateway itself: the outcome is unknown. The
// cause is for the log only.
func Failure(cause error) *Error {
	return MaybeWritten(Internal, cause, "The gateway failed; the operator finds the details in its log.")
}

// StoreAway is the idempotency store's error while it is known to be away: it was not
// asked, so no claim was made.
type StoreAway struct{ Cause error }

// Error implements error.
func (s *StoreAway) Error() string {
	return fmt.Sprintf("the idempotency store is away: %v", s.Cause)
}

// Unwrap returns the cause.
func (s *StoreAway) Unwrap() error { return s.Cause }

// Unconfirmed is the idempotency store's error while Kafka does not confirm that this
// gateway's claims count: no claim was made. The store itself may be in order.
type Unconfirmed struct{ Cause error }

// Error implements error.
func (u *Unconfirmed) Error() string { return u.Cause.Error() }

// Unwrap returns the cause.
func (u *Unconfirmed) Unwrap() error { return u.Cause }

// Rebuilding is the idempotency store's error while it may have lost claims and is
// being rebuilt from the log.
type Rebuilding struct {
	Left time.Duration // until it is done, estimated; 0: unknown
	// Progress says how far it is, for the caller: a sentence without its end. Empty: unknown.
	Progress string
}

// Error implements error.
func (r *Rebuilding) Error() string {
	return "the idempotency store may have lost claims and is being rebuilt from the log"
}
