package event

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
)

// Definition is one version of one event type, as its schema file declares it.
// It is immutable: a hot reload makes new definitions and does not touch old ones.
type Definition struct {
	Type    string // for example "orders.placed"
	Version string // "v1", "v2", …
	Topic   string // Kafka topic; defaults to Type
	// KeyPointers are the JSON Pointers (RFC 6901) whose values make the
	// entity key. Empty means that the type has no entity: any partition.
	KeyPointers []string
	// IdempotencyRequired refuses events that carry neither an
	// Idempotency-Key nor a CloudEvents id.
	IdempotencyRequired bool
	// OnStoreFailure says what happens while the idempotency store is away;
	// empty means the gateway's default.
	OnStoreFailure StoreFailurePolicy
	// BodyLimit is the largest accepted data in bytes; 0 means the gateway's.
	BodyLimit int
	// SchemaID is the schema's absolute $id, or empty.
	SchemaID string
	// Structured writes records in the structured mode of the CloudEvents Kafka
	// binding: the value is the whole event as JSON, not its data alone.
	Structured bool
	// Headers are the request headers that are kept as record headers.
	Headers []HeaderRule
	// Tombstones lets callers publish a record without a value under an entity key,
	// which makes a compacted topic forget the entity. Such a type has a key.
	Tombstones bool
}

// HeaderRule keeps a header of the request in a header of the record.
type HeaderRule struct {
	Request string // case does not matter
	Record  string // never one of the gateway's own
}

// StoreFailurePolicy says what to do with a deduplicated event whose claim
// cannot be stored.
type StoreFailurePolicy string

// The policies of design section 7.
const (
	RejectOnStoreFailure  StoreFailurePolicy = "reject"  // answer 503; nothing is written
	PublishOnStoreFailure StoreFailurePolicy = "publish" // publish without deduplication, and say so
)

// Checked is what validation found out about one event's data.
type Checked struct {
	Definition *Definition
	// Key is the entity key as UTF-8 text; nil for a type without entity. It is also
	// set beside an error, if the data have a key.
	Key *string
}

// Receipt says where an event is in the log. It is a pure function of the
// Kafka record, so that a recovered receipt equals the first.
type Receipt struct {
	ID        string  `json:"id"`
	Type      string  `json:"type"`
	Version   string  `json:"version"`
	Topic     string  `json:"topic"`
	Partition int32   `json:"partition"`
	Offset    int64   `json:"offset"`
	Key       *string `json:"key"`  // null for a type without entity
	Time      string  `json:"time"` // ce_time, RFC 3339
}

// AppendJSON appends the receipt as encoding/json would write it, but several times
// faster: every event writes it twice.
func (r Receipt) AppendJSON(b []byte) []byte {
	b = appendString(append(b, `{"id":`...), r.ID)
	b = appendString(append(b, `,"type":`...), r.Type)
	b = appendString(append(b, `,"version":`...), r.Version)
	b = appendString(append(b, `,"topic":`...), r.Topic)
	b = strconv.AppendInt(append(b, `,"partition":`...), int64(r.Partition), 10)
	b = strconv.AppendInt(append(b, `,"offset":`...), r.Offset, 10)
	b = append(b, `,"key":`...)
	if r.Key != nil {
		b = appendString(b, *r.Key)
	} else {
		b = append(b, "null"...)
	}
	b = appendString(append(b, `,"time":`...), r.Time)
	return append(b, '}')
}

func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if !plain[s[i]] {
			quoted, _ := json.Marshal(s) // a string cannot fail
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// plain marks the bytes that encoding/json writes unescaped.
var plain = func() (is [256]bool) {
	for c := byte(0x20); c <= 0x7e; c++ {
		is[c] = !strings.ContainsRune(`"\<>&`, rune(c))
	}
	return is
}()

var typeName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,200}$`)

// ValidTypeName reports whether s may name an event type.
func ValidTypeName(s string) bool { return typeName.MatchString(s) }
