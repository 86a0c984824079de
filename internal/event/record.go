package event

import "time"

// Record is one Kafka record on its way to the log.
type Record struct {
	Placement
	Key     []byte // nil for a type without entity
	Value   []byte // nil for a tombstone
	Headers []Header
	// Timestamp is the gateway's clock, never ce_time, when the record was
	// about to be handed to the log.
	Timestamp time.Time
}

// Header is one record header.
type Header struct {
	Name  string
	Value string
}

// Position is where a record landed.
type Position struct {
	Partition int32
	Offset    int64
}

// Names of the record headers (design section 6; CloudEvents Kafka binding 1.0 §3.2).
const (
	HeaderClaim       = "gw_claim"
	HeaderFingerprint = "gw_fingerprint"
	HeaderVersion     = "gw_version"
	HeaderOutbox      = "gw_outbox" // on rows of an outbox: its name
	HeaderContentType = "content-type"
	HeaderTraceParent = "traceparent"
	HeaderTraceState  = "tracestate"
	// On dead letters only: the problem's slug and its detail.
	HeaderProblem       = "gw_problem"
	HeaderProblemDetail = "gw_problem_detail"

	HeaderSpecVersion = "ce_specversion"
	HeaderID          = "ce_id"
	HeaderType        = "ce_type"
	HeaderSource      = "ce_source"
	HeaderTime        = "ce_time"
	HeaderSubject     = "ce_subject"
	HeaderDataSchema  = "ce_dataschema"
	headerPrefix      = "ce_"
)

// Attributes are an event's CloudEvents context attributes and trace context.
type Attributes struct {
	ID          string
	Source      string
	Time        string // RFC 3339
	Subject     string // optional
	Extensions  []Extension
	TraceParent string // W3C trace context, optional
	TraceState  string
}

// Extension is an attribute that CloudEvents does not define.
type Extension struct {
	Name  string
	Value string // canonical (CloudEvents §3.1)
	// Literal says that it came as an integer or a boolean: JSON writes it without
	// quotes.
	Literal bool
}

// NewHeaders makes the headers of a record: CloudEvents binary mode, then the
// gateway's own. claim is nil for an event that is not deduplicated;
// dataSchema is an absolute URI or empty. contentType is empty for a record without a
// value.
func NewHeaders(def *Definition, a Attributes, contentType, dataSchema string, claim *Claim) []Header {
	size := 13 + len(a.Extensions)
	for _, optional := range [...]string{contentType, dataSchema, a.Subject, a.TraceParent, a.TraceState} {
		if optional == "" {
			size--
		}
	}
	hs := make([]Header, 0, size)
	if def.Structured && contentType != "" {
		contentType = MediaTypeStructured
	}
	hs = append(hs,
		Header{HeaderSpecVersion, "1.0"},
		Header{HeaderID, a.ID},
		Header{HeaderType, def.Type},
		Header{HeaderSource, a.Source},
		Header{HeaderTime, a.Time},
	)
	optional := func(name, value string) {
		if value != "" {
			hs = append(hs, Header{name, value})
		}
	}
	optional(HeaderContentType, contentType)
	hs = append(hs, Header{HeaderVersion, def.Version})
	optional(HeaderDataSchema, dataSchema)
	optional(HeaderSubject, a.Subject)
	optional(HeaderTraceParent, a.TraceParent)
	optional(HeaderTraceState, a.TraceState)
	for _, x := range a.Extensions {
		hs = append(hs, Header{headerPrefix + x.Name, x.Value})
	}
	if claim != nil {
		id, fingerprint := claim.hexes()
		hs = append(hs, Header{HeaderClaim, id}, Header{HeaderFingerprint, fingerprint})
	}
	return hs
}

// ReceiptOf makes the receipt of a record at a position. It reads only the record, so
// that a recovery read, which finds the record later, makes the same receipt.
func ReceiptOf(r Record, at Position) Receipt {
	receipt := Receipt{Topic: r.Topic, Partition: at.Partition, Offset: at.Offset}
	if r.Key != nil {
		key := string(r.Key)
		receipt.Key = &key
	}
	for _, h := range r.Headers {
		switch h.Name {
		case HeaderID:
			receipt.ID = h.Value
		case HeaderType:
			receipt.Type = h.Value
		case HeaderVersion:
			receipt.Version = h.Value
		case HeaderTime:
			receipt.Time = h.Value
		}
	}
	return receipt
}

// MediaTypeStructured is the content type of a record in structured mode
// (CloudEvents Kafka binding 1.0 §3.3).
const MediaTypeStructured = "application/cloudevents+json; charset=UTF-8"

// Structured makes the record's value in structured mode: the event in the JSON format
// (CloudEvents JSON event format 1.0). data must be JSON and is embedded byte for byte.
func Structured(def *Definition, a Attributes, contentType, dataSchema string, data []byte) []byte {
	b := make([]byte, 0, len(data)+512)
	member := func(name, value string) {
		if value != "" {
			b = appendString(append(appendString(append(b, ','), name), ':'), value)
		}
	}
	b = append(b, `{"specversion":"1.0"`...)
	member("id", a.ID)
	member("type", def.Type)
	member("source", a.Source)
	member("time", a.Time)
	member("datacontenttype", contentType)
	member("dataschema", dataSchema)
	member("subject", a.Subject)
	for _, x := range a.Extensions {
		b = append(appendString(append(b, ','), x.Name), ':')
		if x.Literal {
			b = append(b, x.Value...)
		} else { // may be empty
			b = appendString(b, x.Value)
		}
	}
	b = append(append(b, `,"data":`...), data...)
	return append(b, '}')
}
