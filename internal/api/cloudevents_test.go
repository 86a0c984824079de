package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
)

const (
	structuredType = "Content-Type: application/cloudevents+json"
	batchType      = "Content-Type: application/cloudevents-batch+json; charset=UTF-8"
	context1       = `"specversion":"1.0","id":"1","source":"/shop","type":"orders.placed"`
)

func TestCloudEvents(t *testing.T) {
	t.Parallel()
	binary := []string{"ce-specversion: 1.0", "ce-id: 1", "ce-source: /shop", "ce-type: orders.placed"}
	least := ingest.Request{
		Client: "anonymous", Type: "orders.placed", MediaType: "application/json", Data: []byte(`{ "a":1 }`),
		Identity:   event.Identity{Kind: event.IdentityCloudEvent, Parts: []string{"/shop", "1"}},
		Attributes: event.Attributes{ID: "1", Source: "/shop"},
	}
	but := func(change func(*ingest.Request)) ingest.Request {
		r := least
		change(&r)
		return r
	}
	for name, c := range map[string]struct {
		body    string
		headers []string
		want    ingest.Request
	}{
		"binary":             {`{ "a":1 }`, append(binary, "Content-Type: application/json"), least},
		"binary, no type":    {`{ "a":1 }`, binary, least},
		"binary, +json":      {`{ "a":1 }`, append(binary, "Content-Type: application/vnd.shop+json"), but(func(r *ingest.Request) { r.MediaType = "application/vnd.shop+json" })},
		"structured":         {`{` + context1 + `,"data":{ "a":1 }}`, []string{structuredType}, least},
		"structured, base64": {`{` + context1 + `,"data_base64":"eyAiYSI6MSB9"}`, []string{structuredType}, least},
		"structured in UTF-8": {
			`{` + context1 + `,"data":{ "a":1 },"datacontenttype":"application/vnd.shop+json"}`,
			[]string{structuredType + "; charset=utf-8"},
			but(func(r *ingest.Request) { r.MediaType = "application/vnd.shop+json" }),
		},
		"an Idempotency-Key wins": {
			`{` + context1 + `,"data":{ "a":1 }}`,
			[]string{structuredType, "Idempotency-Key: k"},
			but(func(r *ingest.Request) { r.Identity = event.Identity{Kind: event.IdentityKey, Parts: []string{"k"}} }),
		},
		"percent-encoded, extension, binary": {
			`{ "a":1 }`, append(binary, "ce-subject: Euro%20%E2%82%AC", "ce-tenant: %41"),
			but(func(r *ingest.Request) {
				r.Attributes.Subject, r.Attributes.Extensions = "Euro €", []event.Extension{{Name: "tenant", Value: "A"}}
			}),
		},
		"trace context of the request": {
			`{ "a":1 }`, append(binary, "traceparent: "+traceID), but(func(r *ingest.Request) { r.Attributes.TraceParent = traceID }),
		},
		"trace context, structured": {
			`{` + context1 + `,"data":{ "a":1 }}`,
			[]string{structuredType, "traceparent: " + traceID, "tracestate: x=y"},
			but(func(r *ingest.Request) { r.Attributes.TraceParent, r.Attributes.TraceState = traceID, "x=y" }),
		},
		"empty extension": {
			`{` + context1 + `,"data":{ "a":1 },"tracestate":""}`,
			[]string{structuredType + "; charset=utf8"},
			but(func(r *ingest.Request) { r.Attributes.Extensions = []event.Extension{{Name: "tracestate"}} }),
		},
		"version by the gateway's address": {
			`{` + context1 + `,"data":{ "a":1 },"dataschema":"/v1/event-types/orders.placed/schema?version=v1"}`,
			[]string{structuredType},
			but(func(r *ingest.Request) { r.Version = "v1" }),
		},
		"the door tells unknown types": {
			`{"specversion":"1.0","id":"1","source":"/shop","type":"no.such","data":{},"dataschema":"https://example.com/x"}`,
			[]string{structuredType},
			but(func(r *ingest.Request) { r.Type, r.Data = "no.such", []byte("{}") }),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, seen := recording()
			a := start(t, d).do(t, http.MethodPost, "/v1/events", c.body, c.headers...)
			require.Equal(t, http.StatusAccepted, a.StatusCode, string(a.body))
			require.Contains(t, string(a.body), `"offset":48211`)
			openAPI(t).requireDocumented(t, "POST /v1/events", a)
			require.Equal(t, c.want, <-seen)
		})
	}
}

func TestCloudEventsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body    string
		headers []string
		kind    event.Kind
		detail  string
	}{
		"curl as it comes":     {`{}`, []string{"Content-Type: application/x-www-form-urlencoded"}, event.MalformedRequest, "post plain data to /v1/events/{type}"},
		"binary without id":    {`{}`, []string{"ce-specversion: 1.0", "ce-source: /s", "ce-type: orders.placed"}, event.MalformedRequest, "the header ce-id is missing"},
		"binary, bad header":   {`{}`, []string{"ce-specversion: 1.0", "ce-id: %zz"}, event.MalformedRequest, "ce-id is not percent-encoded"},
		"binary, form":         {`{}`, []string{"ce-specversion: 1.0", "ce-id: 1", "ce-source: /s", "ce-type: t", "Content-Type: application/x-www-form-urlencoded"}, event.UnsupportedMediaType, "came as a form"},
		"Avro format":          {`x`, []string{"Content-Type: application/cloudevents+avro"}, event.UnsupportedMediaType, "only JSON is supported"},
		"XML batch":            {`x`, []string{"Content-Type: Application/CloudEvents-Batch+xml"}, event.UnsupportedMediaType, "only JSON is supported"},
		"Avro beside headers":  {`{}`, []string{"ce-specversion: 1.0", "ce-id: 1", "ce-source: /s", "ce-type: t", "Content-Type: application/cloudevents+avro"}, event.UnsupportedMediaType, "only JSON is supported"},
		"no format":            {`{}`, []string{"Content-Type: application/cloudevents"}, event.UnsupportedMediaType, "only JSON is supported"},
		"latin-1":              {`{}`, []string{structuredType + "; charset=latin1"}, event.UnsupportedMediaType, "UTF-8"},
		"unknown coding":       {`{}`, []string{structuredType, "Content-Encoding: compress"}, event.UnsupportedMediaType, "send one of gzip, zstd, br"},
		"structured, no JSON":  {`{`, []string{structuredType}, event.MalformedJSON, "ends inside"},
		"structured, no id":    {`{"specversion":"1.0","source":"/s","type":"t","data":1}`, []string{structuredType}, event.MalformedRequest, "lacks the attribute id"},
		"data is XML":          {`{` + context1 + `,"datacontenttype":"text/xml","data":"<a/>"}`, []string{structuredType}, event.UnsupportedMediaType, "send JSON"},
		"unknown data schema":  {`{` + context1 + `,"dataschema":"https://example.com/x","data":{}}`, []string{structuredType}, event.SchemaViolation, "names no version of orders.placed"},
		"version that is not":  {`{` + context1 + `,"dataschema":"/v1/event-types/orders.placed/schema?version=v9","data":{}}`, []string{structuredType}, event.SchemaViolation, "names no version"},
		"schema of other type": {`{` + context1 + `,"dataschema":"/v1/event-types/orders.cancelled/schema?version=v1","data":{}}`, []string{structuredType}, event.SchemaViolation, "names no version"},
		"key twice":            {`{` + context1 + `,"data":{}}`, []string{structuredType, "Idempotency-Key: a", "Idempotency-Key: b"}, event.MalformedRequest, "send it once"},
		"batch, no array":      {`{}`, []string{batchType}, event.MalformedJSON, "is a JSON array"},
		"batch, bad key":       {`[]`, []string{batchType, "Idempotency-Key: "}, event.MalformedRequest, "Idempotency-Key is ill-formed"},
		"batch, too many":      {"[" + strings.Repeat("0,", 1000) + "0]", []string{batchType}, event.EventTooLarge, "more than 1000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, seen := recording()
			a := start(t, d).do(t, http.MethodPost, "/v1/events", c.body, c.headers...)
			requireRefused(t, a, c.kind, c.detail)
			openAPI(t).requireDocumented(t, "POST /v1/events", a)
			require.Empty(t, seen)
		})
	}
}

func TestDataSchemaByID(t *testing.T) {
	t.Parallel()
	catalog := fixed{typesOf(t, map[string]string{
		"t/v1.json": `{"$id":"https://example.com/t/1","x-event":{"key":null}}`,
		"t/v2.json": `{"$id":"https://example.com/t/2","x-event":{"key":null}}`,
	})}
	own := func(c *Config, _ *Catalog) { c.PublicURL = "https://events.example.com" }
	for schema, version := range map[string]string{
		"https://example.com/t/1": "v1",
		"https://events.example.com/v1/event-types/t/schema?version=v2":       "v2",
		"https://elsewhere.example.com/v1/event-types/t/schema?version=v2":    "",
		"https://events.example.com/v1/event-types/t/schema?version=":         "",
		"https://events.example.com/v1/event-types/t/schema?version=v2&x=y":   "",
		"https://events.example.com/v1/event-types/other/schema?version=v2":   "",
		"https://events.example.comv1/event-types/t/schema?version=v2":        "",
		"https://events.example.com/v1/event-types/t/schema?version=newest":   "",
		"https://events.example.com/v1/event-types/t/schema?version=v2#there": "",
	} {
		t.Run(schema, func(t *testing.T) {
			t.Parallel()
			d, seen := recording()
			a := start(t, d, withCatalog(catalog), own).do(t, http.MethodPost, "/v1/events", "{}",
				"ce-specversion: 1.0", "ce-id: 1", "ce-source: /s", "ce-type: t", "ce-dataschema: "+schema)
			if version == "" {
				requireRefused(t, a, event.SchemaViolation, "names no version")
				require.Equal(t, "dataschema", a.problem(t).Errors[0].Keyword)
				return
			}
			require.Equal(t, http.StatusAccepted, a.StatusCode, string(a.body))
			require.Equal(t, version, (<-seen).Version)
		})
	}
}

// item is one of a batch's answer.
type item struct {
	Index   int
	Status  int
	Receipt *event.Receipt
	Problem *problemDocument
}

func (a answer) items(t *testing.T) []item {
	t.Helper()
	var body struct{ Items []item }
	require.NoError(t, json.Unmarshal(a.body, &body), string(a.body))
	require.NotNil(t, body.Items)
	for i, each := range body.Items {
		require.Equal(t, i, each.Index)
		require.Equal(t, each.Status == http.StatusAccepted, each.Receipt != nil)
		require.NotEqual(t, each.Receipt == nil, each.Problem == nil)
	}
	return body.Items
}

func TestBatches(t *testing.T) {
	t.Parallel()
	good := func(id string) string {
		return `{"specversion":"1.0","id":"` + id + `","source":"/shop","type":"orders.placed","data":{"id":"` + id + `"}}`
	}
	reply := door(func(r ingest.Request) (ingest.Result, error) {
		switch r.Attributes.ID {
		case "replayed":
			result, _ := accepting(r)
			result.Replayed = true
			return result, nil
		case "bypassed":
			result, _ := accepting(r)
			result.Bypassed = true
			return result, nil
		case "unknown":
			e := event.MaybeWritten(event.OutcomeUnknown, nil, "Late.")
			return ingest.Result{}, e
		}
		return accepting(r)
	})
	for name, c := range map[string]struct {
		items    []string
		status   int
		statuses []int
		replayed string
		bypassed string
		wait     string
	}{
		"empty":                     {nil, 202, []int{}, "", "", ""},
		"all":                       {[]string{good("1"), good("2")}, 202, []int{202, 202}, "", "", ""},
		"all replayed":              {[]string{good("replayed"), good("replayed")}, 202, []int{202, 202}, "true", "", ""},
		"some replayed":             {[]string{good("replayed"), good("1")}, 202, []int{202, 202}, "", "", ""},
		"one bypassed":              {[]string{good("1"), good("bypassed")}, 202, []int{202, 202}, "", "bypassed", ""},
		"bad neighbours":            {[]string{`7`, good("1"), `{"a":1,"a":2}`, `{}`, good("2")}, 207, []int{400, 202, 400, 400, 202}, "", "", ""},
		"none":                      {[]string{`{}`}, 207, []int{400}, "", "", ""},
		"unknown outcome":           {[]string{good("unknown"), good("1")}, 207, []int{504, 202}, "", "", "1"},
		"replayed beside a problem": {[]string{good("replayed"), `{}`}, 207, []int{202, 400}, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := start(t, reply).do(t, http.MethodPost, "/v1/events", "["+strings.Join(c.items, ",")+"]", batchType)
			require.Equal(t, c.status, a.StatusCode, string(a.body))
			openAPI(t).requireDocumented(t, "POST /v1/events", a)
			statuses := []int{}
			for _, each := range a.items(t) {
				statuses = append(statuses, each.Status)
			}
			require.Equal(t, c.statuses, statuses)
			require.Equal(t, c.replayed, a.Header.Get("Idempotent-Replayed"))
			require.Equal(t, c.bypassed, a.Header.Get("Idempotency-Status"))
			require.Equal(t, c.wait, a.Header.Get("Retry-After"))
		})
	}
}

func TestBatchItemsHaveIdentities(t *testing.T) {
	t.Parallel()
	body := `[{` + context1 + `,"data":1},{` + context1 + `,"data":2}]`
	for name, c := range map[string]struct {
		headers []string
		want    []event.Identity
	}{
		"their own": {nil, []event.Identity{
			{Kind: event.IdentityCloudEvent, Parts: []string{"/shop", "1"}}, {Kind: event.IdentityCloudEvent, Parts: []string{"/shop", "1"}},
		}},
		"by key and place": {[]string{"Idempotency-Key: \"k\""}, []event.Identity{
			{Kind: event.IdentityBatch, Parts: []string{"k"}, Index: "0"}, {Kind: event.IdentityBatch, Parts: []string{"k"}, Index: "1"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, seen := recording()
			a := start(t, d).do(t, http.MethodPost, "/v1/events", body, append(c.headers, batchType, "traceparent: "+traceID)...)
			require.Equal(t, http.StatusAccepted, a.StatusCode, string(a.body))
			first, second := <-seen, <-seen
			require.Equal(t, c.want, []event.Identity{first.Identity, second.Identity})
			require.Equal(t, []string{traceID, traceID}, []string{first.Attributes.TraceParent, second.Attributes.TraceParent})
		})
	}
}

func TestHandshake(t *testing.T) {
	t.Parallel()
	g := start(t, accepting)
	for name, c := range map[string]struct {
		headers []string
		origin  string
		rate    string
	}{
		"asked":           {[]string{"WebHook-Request-Origin: eventemitter.example.com"}, "eventemitter.example.com", ""},
		"asked with rate": {[]string{"WebHook-Request-Origin: a.example.com", "WebHook-Request-Rate: 120"}, "a.example.com", "*"},
		"not asked":       {nil, "", ""},
		"rate alone":      {[]string{"WebHook-Request-Rate: 120"}, "", ""},
		"too long":        {[]string{"WebHook-Request-Origin: " + strings.Repeat("a", 254)}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := g.do(t, http.MethodOptions, "/v1/events", "", c.headers...)
			require.Equal(t, http.StatusOK, a.StatusCode)
			require.Equal(t, "POST, OPTIONS", a.Header.Get("Allow"))
			require.Equal(t, c.origin, a.Header.Get("WebHook-Allowed-Origin"))
			require.Equal(t, c.rate, a.Header.Get("WebHook-Allowed-Rate"))
		})
	}
}
