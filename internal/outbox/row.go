package outbox

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
)

// Row is one row of an outbox table.
type Row struct {
	Seq           int64
	ID            string // the text of a uuid, or any other
	AggregateType string
	AggregateID   string // "": not given
	Type          string
	Payload       []byte // nil: NULL
	Headers       []byte // a JSON object, or nil
	CreatedAt     time.Time
	TraceParent   string
	TraceState    string

	// xid is the transaction that inserted the row, as the write-ahead log names it. 0: the
	// row was read from the table, so the transaction is visible.
	xid uint32
	// order is what the row is kept in order with: its entity, or the row alone.
	order string
	// of and busy belong to the backlog: that, and whether the row is being published.
	of   *entity
	busy bool
}

// rowOverhead is about what a row takes in memory beside its payload, in bytes.
const rowOverhead = 512

func (r *Row) size() int { return len(r.Payload) + len(r.Headers) + rowOverhead }

// entity names the row's aggregate; "": it has none.
func (r *Row) entity() string {
	if r.AggregateID == "" {
		return ""
	}
	return r.AggregateType + "\x00" + r.AggregateID
}

// mediaJSON is the media type of every row: schemas are JSON schemas.
const mediaJSON = "application/json"

// request makes the event of a row.
func (c *Config) request(r *Row) ingest.Request {
	req := ingest.Request{
		Client:    c.Name,
		Type:      c.eventType(r),
		MediaType: mediaJSON,
		Data:      r.Payload,
		Identity:  event.Identity{Kind: event.IdentityOutbox, Parts: []string{r.ID}},
		Attributes: event.Attributes{
			ID: r.ID, Source: "/outbox/" + c.Name, TraceParent: r.TraceParent, TraceState: r.TraceState,
		},
		Headers: []event.Header{{Name: event.HeaderOutbox, Value: c.Name}},
	}
	if !r.CreatedAt.IsZero() {
		req.Attributes.Time = r.CreatedAt.UTC().Format(time.RFC3339Nano)
	}
	if r.AggregateID != "" {
		req.Entity = &r.AggregateID
	}
	if err := addHeaders(&req, r.Headers); err != nil {
		req.Fault = event.Refuse(event.MalformedRequest, "%s", err.Error())
	}
	switch {
	case r.Payload == nil:
		req.Fault = event.Refuse(event.MalformedRequest, "The payload is NULL.")
	case r.ID == "":
		req.Fault = event.Refuse(event.MalformedRequest, "The id is NULL or empty.")
	case !event.ValidTypeName(req.Type):
		req.Fault = event.Refuse(event.UnknownEventType, "%q is not the name of an event type.", req.Type)
	}
	return req
}

// headerName is what a header of a row may be called: a name that neither CloudEvents nor
// the gateway uses.
var headerName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)

var ownHeaders = []string{"content-type", "traceparent", "tracestate"}

// addHeaders adds the headers of a row, sorted by name: a JSON object of texts.
func addHeaders(req *ingest.Request, text []byte) error {
	if len(text) == 0 || string(text) == "null" || string(text) == "{}" {
		return nil
	}
	var headers map[string]string
	if err := json.Unmarshal(text, &headers); err != nil {
		return fmt.Errorf("The headers are not a JSON object of texts: %w.", err) //nolint:staticcheck // a whole sentence, for whoever reads the dead row
	}
	names := make([]string, 0, len(headers))
	for name := range headers {
		lower := strings.ToLower(name)
		if !headerName.MatchString(name) || strings.HasPrefix(lower, "ce_") || strings.HasPrefix(lower, "gw_") || slices.Contains(ownHeaders, lower) {
			return fmt.Errorf("The header %q cannot be used: write letters, digits, dots, underscores and hyphens, but not ce_… and gw_…, nor the name of a column.", name) //nolint:staticcheck // as above
		}
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		req.Headers = append(req.Headers, event.Header{Name: name, Value: headers[name]})
	}
	return nil
}
