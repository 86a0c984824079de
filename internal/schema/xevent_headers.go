package schema

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"eventgateway/internal/event"
	"eventgateway/internal/strictjson"
)

// maxHeaderRules bounds how many request headers a type keeps.
const maxHeaderRules = 16

var (
	requestHeader = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$") // RFC 9110 §5.6.2
	recordHeader  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
	// ownHeader matches the record headers that the gateway writes itself: consumers and
	// the recovery read trust them.
	ownHeader = regexp.MustCompile(`^(?i:(ce|gw)_.*|content-type|traceparent|tracestate)$`)
	// secretHeader matches request headers with credentials: everybody who reads the topic
	// would get them.
	secretHeader = regexp.MustCompile(`^(?i:authorization|proxy-authorization|cookie|set-cookie|x-api-key|.*-(token|secret|password))$`)
	// keptHeader matches request headers that are in the record anyway.
	keptHeader = regexp.MustCompile(`^(?i:ce-.*|content-type|traceparent|tracestate)$`)
	// connectionHeader matches request headers that concern the connection or the body as it
	// was sent, and not the event (RFC 9110 §7.6.1).
	connectionHeader = regexp.MustCompile(`^(?i:connection|content-encoding|content-length|expect|host|keep-alive|proxy-connection|te|trailer|transfer-encoding|upgrade)$`)
)

// readHeaders reads which request headers become record headers: an object with the record
// header for each request header, or a list of names that stay as they are.
func (x *xevent) readHeaders(members map[string]any) {
	const at = "/x-event/headers"
	value, ok := members["headers"]
	if !ok {
		return
	}
	switch v := value.(type) {
	case map[string]any:
		for _, request := range slices.Sorted(maps.Keys(v)) {
			path := at + "/" + strictjson.EscapeToken(request)
			record, isText := v[request].(string)
			if !isText {
				x.problem(path, "must be the name of the record header, for example \"tenant-id\"")
				continue
			}
			x.addHeader(path, request, record)
		}
	case []any:
		for i, item := range v {
			path := at + "/" + strconv.Itoa(i)
			name, isText := item.(string)
			if !isText {
				x.problem(path, "must be the name of a request header, for example \"X-Tenant-Id\"")
				continue
			}
			x.addHeader(path, name, name)
		}
	default:
		x.problem(at, "must be an object with the record header for each request header, such as {\"X-Tenant-Id\": \"tenant-id\"}, or a list of request headers")
		return
	}
	if len(x.def.Headers) > maxHeaderRules {
		x.problem(at, "keeps %d headers; at most %d are allowed", len(x.def.Headers), maxHeaderRules)
	}
}

// addHeader adds one rule.
func (x *xevent) addHeader(at, request, record string) {
	switch {
	case !requestHeader.MatchString(request):
		x.problem(at, "%s is not the name of a request header", quoted(request))
	case keptHeader.MatchString(request):
		x.problem(at, "the request header %s is in the record anyway (docs/cloudevents.md); leave it out", quoted(request))
	case secretHeader.MatchString(request):
		x.problem(at, "the request header %s may hold a credential, which everybody who reads the topic would get", quoted(request))
	case connectionHeader.MatchString(request):
		x.problem(at, "the request header %s concerns the connection, and not the event", quoted(request))
	case !recordHeader.MatchString(record):
		x.problem(at, "%s is not a name for a record header; write 1 to 100 of a-z A-Z 0-9 . _ -", quoted(record))
	case ownHeader.MatchString(record):
		x.problem(at, "the record header %s is the gateway's own; choose a name that does not begin with ce_ or gw_ and is not content-type, traceparent or tracestate", quoted(record))
	case slices.ContainsFunc(x.def.Headers, func(r event.HeaderRule) bool { return strings.EqualFold(r.Request, request) }):
		x.problem(at, "the request header %s is there twice: case does not matter", quoted(request))
	case slices.ContainsFunc(x.def.Headers, func(r event.HeaderRule) bool { return r.Record == record }):
		x.problem(at, "the record header %s is there twice", quoted(record))
	default:
		x.def.Headers = append(x.def.Headers, event.HeaderRule{Request: strings.Clone(request), Record: strings.Clone(record)})
	}
}
