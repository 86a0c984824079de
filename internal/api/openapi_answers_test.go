package api

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
)

// requireDocumented holds an answer to what the file says of its operation:
// status, media type, headers, and no member of the body that is not there.
func (d *document) requireDocumented(t *testing.T, operation string, a answer) {
	t.Helper()
	op, ok := d.operations()[operation]
	require.True(t, ok, operation)
	response := op.get("responses").get(strconv.Itoa(a.StatusCode))
	if response.members == nil { // OpenAPI 3.1 §4.8.16: a range
		response = op.get("responses").get(strconv.Itoa(a.StatusCode/100) + "XX")
	}
	require.NotNil(t, response.members, "%s answers %d, which is not documented", operation, a.StatusCode)
	d.requireResponse(t, response, a)
}

func (d *document) requireResponse(t *testing.T, response object, a answer) {
	t.Helper()
	mediaType, _, _ := strings.Cut(a.Header.Get("Content-Type"), ";")
	if mediaType == "" && len(a.body) == 0 {
		return // there is nothing to describe
	}
	schema := response.get("content").get(mediaType).get("schema")
	require.NotNil(t, schema.members, "%s: %s is not documented", response.pointer, mediaType)
	var body any = string(a.body)
	if strings.HasSuffix(mediaType, "json") {
		require.NoError(t, json.Unmarshal(a.body, &body))
	}
	schema.validate(t, body)
	if mediaType == "application/json" || mediaType == "application/problem+json" {
		requireKnownMembers(t, schema, body)
	}

	headers := response.get("headers")
	for name := range a.Header {
		if slices.Contains([]string{"Content-Type", "Content-Length", "Date", "Connection"}, name) {
			continue
		}
		name := httpName(name)
		if headers.get(name).members == nil && slices.Contains(saidOnce, name) {
			continue
		}
		header := headers.get(name)
		require.NotNil(t, header.members, "%s: header %s is not documented", response.pointer, name)
		var value any = a.Header.Get(name)
		if header.get("schema").members["type"] == "integer" {
			require.NoError(t, json.Unmarshal([]byte(a.Header.Get(name)), &value))
		}
		header.get("schema").validate(t, value)
	}
	for _, name := range headers.names() {
		if headers.get(name).members["required"] == true {
			require.NotEmpty(t, a.Header.Get(name), "%s: header %s is not there", response.pointer, name)
		}
	}
}

// saidOnce are headers that the description speaks of for all answers.
var saidOnce = []string{
	"RateLimit", "RateLimit-Policy", "Vary", "Cache-Control", "X-Content-Type-Options", "X-Frame-Options", "Cross-Origin-Opener-Policy",
	"Cross-Origin-Resource-Policy", "Strict-Transport-Security",
}

// httpName is a header's name as its specification writes it.
func httpName(name string) string {
	switch name {
	case "Etag":
		return "ETag"
	case "Www-Authenticate":
		return "WWW-Authenticate"
	case "Ratelimit":
		return "RateLimit"
	case "Ratelimit-Policy":
		return "RateLimit-Policy"
	}
	return name
}

// requireKnownMembers refuses members that the schema does not name. The schema
// itself does not: clients must let more members come.
func requireKnownMembers(t *testing.T, schema object, v any) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		known := map[string]object{}
		properties(schema, known)
		if len(known) == 0 { // an example event, for instance
			return
		}
		for name, value := range v {
			require.Contains(t, known, name, schema.pointer)
			requireKnownMembers(t, known[name], value)
		}
	case []any:
		for _, each := range v {
			requireKnownMembers(t, schema.get("items"), each)
		}
	}
}

// properties collects what a schema, or the schemas it is made of, names.
func properties(schema object, into map[string]object) {
	for _, name := range schema.get("properties").names() {
		if _, ok := into[name]; !ok {
			into[name] = schema.get("properties").get(name)
		}
	}
	all, _ := schema.members["allOf"].([]any)
	for _, part := range all {
		part, _ := part.(map[string]any)
		if ref, ok := part["$ref"].(string); ok {
			properties(schema.doc.at(strings.TrimPrefix(ref, "#")), into)
		} else if inline, ok := part["properties"].(map[string]any); ok {
			for name := range inline {
				if _, ok := into[name]; !ok {
					into[name] = object{schema.doc, "", nil}
				}
			}
		}
	}
}

func TestErrorsOfTheDoorAreDocumented(t *testing.T) {
	t.Parallel()
	const operation = "POST /v1/events/{type}"
	for _, kind := range kindsOf[operation] {
		if kind == event.Unauthenticated || kind == event.RateLimited {
			continue // which are never the door's
		}
		for _, outcome := range problems[kind].outcomes {
			t.Run(string(kind)+" "+string(outcome), func(t *testing.T) {
				t.Parallel()
				g := start(t, failing(&event.Error{
					Kind: kind, Outcome: outcome, Detail: "Why.", RetryAfter: problems[kind].retryAfter * 3 / 2,
				}))
				doc := openAPI(t)
				doc.requireDocumented(t, operation, g.post(t, "Idempotency-Key: k"))
				if kind != event.RequestInProgress { // which needs a key
					doc.requireDocumented(t, operation, g.post(t))
				}
			})
		}
	}
}

func TestReceiptErrorsAreDocumented(t *testing.T) {
	t.Parallel()
	const operation = "GET /v1/receipts"
	for _, kind := range kindsOf[operation] {
		if slices.Contains(everywhere, kind) || kind == event.Unauthenticated || kind == event.RateLimited {
			continue // a request that is asked here is well-formed, and everybody may ask
		}
		for _, outcome := range problems[kind].outcomes {
			t.Run(string(kind)+" "+string(outcome), func(t *testing.T) {
				t.Parallel()
				g := start(t, failing(&event.Error{Kind: kind, Outcome: outcome, Detail: "Why."}))
				openAPI(t).requireDocumented(t, operation, g.do(t, http.MethodGet, "/v1/receipts?idempotency_key=k", ""))
			})
		}
	}
}

func TestAnswersAreDocumented(t *testing.T) {
	t.Parallel()
	key := "o-1"
	receipt := event.Receipt{ID: "i", Type: "orders.placed", Version: "v1", Topic: "t", Key: &key, Time: "2026-11-23T09:15:30Z"}
	violation := event.Refuse(event.SchemaViolation, "Bad.")
	violation.Violations = []event.Violation{{Pointer: "", Keyword: "required", Message: "lacks x"}}
	reply := door(func(r ingest.Request) (ingest.Result, error) {
		switch r.Attributes.Subject {
		case "replayed":
			return ingest.Result{Receipt: receipt, Replayed: true}, nil
		case "bypassed":
			without := receipt
			without.Key = nil
			return ingest.Result{Receipt: without, Bypassed: true}, nil
		case "no-tombstones":
			return ingest.Result{}, event.Refuse(event.MethodNotAllowed, "No.")
		case "violation":
			return ingest.Result{}, violation
		case "panic":
			panic("boom")
		}
		return ingest.Result{Receipt: receipt}, nil
	})
	const (
		publish = "POST /v1/events/{type}"
		orders  = "/v1/events/orders.placed"
		host    = " HTTP/1.1\r\nHost: gateway\r\n"
	)
	pageView := string(samples(t).Types()[1].Examples[0])
	require.Contains(t, pageView, "viewedAt")
	sized := func(body string) string {
		return "Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
	}
	padding := strings.Repeat("p", 17*kib)
	for name, c := range map[string]struct {
		operation string
		request   string // as it goes over the wire
		status    int
	}{
		"accepted":             {publish, rawPost("", "{}"), 202},
		"replayed":             {publish, rawPost("ce-subject: replayed", "{}"), 202},
		"bypassed":             {publish, rawPost("ce-subject: bypassed", "{}"), 202},
		"violation":            {publish, rawPost("ce-subject: violation", "{}"), 422},
		"panic":                {publish, rawPost("ce-subject: panic", "{}"), 500},
		"bad key":              {publish, rawPost("Idempotency-Key:", "{}"), 400},
		"bad chunk":            {publish, "POST " + orders + host + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
		"unknown type":         {publish, "POST /v1/events/no.such" + host + "Content-Length: 2\r\n\r\n{}", 404},
		"slow":                 {publish, "POST " + orders + host + "Content-Length: 2\r\n\r\n{", 408},
		"too large":            {publish, "POST " + orders + host + "Content-Length: 9999999\r\n\r\n", 413},
		"form":                 {publish, rawPost("Content-Type: application/x-www-form-urlencoded", "a=b"), 415},
		"large headers":        {publish, rawPost("X-P: "+padding, "{}"), 431},
		"receipt":              {"GET /v1/receipts", "GET /v1/receipts?idempotency_key=k" + host + "\r\n", 200},
		"receipt of nothing":   {"GET /v1/receipts", "GET /v1/receipts" + host + "\r\n", 400},
		"types":                {"GET /v1/event-types", "GET /v1/event-types" + host + "\r\n", 200},
		"types, slow":          {"GET /v1/event-types", "GET /v1/event-types" + host, 408},
		"types, large":         {"GET /v1/event-types", "GET /v1/event-types" + host + "X-P: " + padding + "\r\n\r\n", 431},
		"types with a body":    {"GET /v1/event-types", "GET /v1/event-types" + host + "Content-Length: 9999999\r\n\r\n", 413},
		"types, bad":           {"GET /v1/event-types", "GET /v1/event-types" + host + "Content-Length: x\r\n\r\n", 400},
		"type":                 {"GET /v1/event-types/{type}", "GET /v1/event-types/orders.placed" + host + "\r\n", 200},
		"type without key":     {"GET /v1/event-types/{type}", "GET /v1/event-types/metrics.page-viewed" + host + "\r\n", 200},
		"no type":              {"GET /v1/event-types/{type}", "GET /v1/event-types/no.such" + host + "\r\n", 404},
		"schema":               {"GET /v1/event-types/{type}/schema", "GET /v1/event-types/orders.placed/schema?version=v1" + host + "\r\n", 200},
		"schema, no version":   {"GET /v1/event-types/{type}/schema", "GET /v1/event-types/orders.placed/schema?version=v9" + host + "\r\n", 404},
		"schema, bad":          {"GET /v1/event-types/{type}/schema", "GET /v1/event-types/orders.placed/schema?version=" + host + "\r\n", 400},
		"problems":             {"GET /problems", "GET /problems" + host + "\r\n", 200},
		"problems as a page":   {"GET /problems", "GET /problems" + host + browserAccept + "\r\n\r\n", 200},
		"problem":              {"GET /problems/{slug}", "GET /problems/internal" + host + "\r\n", 200},
		"problem as a page":    {"GET /problems/{slug}", "GET /problems/internal" + host + browserAccept + "\r\n\r\n", 200},
		"no problem":           {"GET /problems/{slug}", "GET /problems/no-such" + host + "\r\n", 404},
		"description":          {"GET /openapi.json", "GET /openapi.json" + host + "Accept-Encoding: gzip;q=0\r\n\r\n", 200},
		"description, YAML":    {"GET /openapi.yaml", "GET /openapi.yaml" + host + "\r\n", 200},
		"for consumers":        {"GET /asyncapi.json", "GET /asyncapi.json" + host + "\r\n", 200},
		"index":                {"GET /", "GET /" + host + "\r\n", 200},
		"landing page":         {"GET /", "GET /" + host + browserAccept + "\r\n\r\n", 200},
		"docs":                 {"GET /docs", "GET /docs" + host + "\r\n", 200},
		"style sheet":          {"GET /docs/assets/{file}", "GET /docs/assets/page.css" + host + "\r\n", 200},
		"no asset":             {"GET /docs/assets/{file}", "GET /docs/assets/no.such" + host + "\r\n", 404},
		"dry run":              {"POST /v1/event-types/{type}/validate", "POST /v1/event-types/metrics.page-viewed/validate" + host + sized(pageView), 200},
		"dry run, no JSON":     {"POST /v1/event-types/{type}/validate", "POST /v1/event-types/metrics.page-viewed/validate" + host + sized("{"), 400},
		"dry run, bad data":    {"POST /v1/event-types/{type}/validate", "POST /v1/event-types/metrics.page-viewed/validate" + host + sized("{}"), 422},
		"dry run, no type":     {"POST /v1/event-types/{type}/validate", "POST /v1/event-types/no.such/validate" + host + sized("{}"), 404},
		"tombstone":            {"DELETE /v1/events/{type}/{version}", "DELETE /v1/events/payments.captured/o-1" + host + "\r\n", 202},
		"tombstone, a body":    {"DELETE /v1/events/{type}/{version}", "DELETE /v1/events/payments.captured/o-1" + host + sized("{}"), 400},
		"tombstone, violation": {"DELETE /v1/events/{type}/{version}", "DELETE /v1/events/payments.captured/o-1" + host + "ce-subject: no-tombstones\r\n\r\n", 405},
		"of a version":         {"POST /v1/events/{type}/{version}", "POST /v1/events/payments.captured/v1" + host + sized("{}"), 202},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			timeout := patience
			if c.status == http.StatusRequestTimeout {
				timeout = 100 * time.Millisecond
			}
			doc := openAPI(t)
			w := start(t, reply, withReadTimeout(timeout)).dial(t)
			w.send(t, c.request)
			a := w.answer(t)
			require.Equal(t, c.status, a.StatusCode, string(a.body))
			doc.requireDocumented(t, c.operation, a)
		})
	}
}

func TestAnswersOffThePathsAreDocumented(t *testing.T) {
	t.Parallel()
	doc := openAPI(t)
	g := start(t, accepting)
	doc.requireResponse(t, doc.at("/components/responses/NotFound"), g.do(t, http.MethodGet, "/nowhere", ""))
	doc.requireResponse(t, doc.at("/components/responses/MethodNotAllowed"), g.do(t, http.MethodGet, "/v1/events/orders.placed", ""))
}

// Panics of a GET, which no request can bring about, have written nothing.
func TestPanicOnAGetIsDocumented(t *testing.T) {
	t.Parallel()
	g := start(t, accepting, withCatalog(panicking{}))
	openAPI(t).requireDocumented(t, "GET /v1/event-types", g.do(t, http.MethodGet, "/v1/event-types", ""))
}
