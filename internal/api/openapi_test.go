package api

import (
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

var routeParameter = regexp.MustCompile(`:(\w+)`)

func TestOpenAPIHasExactlyTheRoutes(t *testing.T) {
	t.Parallel()
	g := start(t, accepting)
	var routes []string
	heads := map[string]bool{}
	for _, r := range g.app.GetRoutes(true) {
		path := routeParameter.ReplaceAllString(r.Path, "{$1}")
		if r.Method == http.MethodHead {
			heads[path] = true
			continue
		}
		routes = append(routes, r.Method+" "+path)
	}
	slices.Sort(routes)
	require.Equal(t, routes, slices.Sorted(maps.Keys(openAPI(t).operations())))
	for _, r := range routes { // as the file's description says
		if path, ok := strings.CutPrefix(r, "GET "); ok {
			require.True(t, heads[path], "%s has no HEAD", path)
			delete(heads, path)
		}
	}
	require.Empty(t, heads, "HEAD without GET")
}

// Kinds of problem by the operation that can answer them.
var (
	everywhere = []event.Kind{event.MalformedRequest, event.RequestTimeout, event.EventTooLarge, event.HeadersTooLarge, event.Internal}

	reading = append([]event.Kind{event.Unauthenticated}, everywhere...)

	// large answers are counted.
	readingMuch = append([]event.Kind{event.Overloaded}, reading...)

	publishing = append([]event.Kind{
		event.Unauthenticated, event.Forbidden, event.RateLimited, event.MalformedJSON, event.IdempotencyKeyMissing, event.UnknownEventType, event.RequestInProgress,
		event.UnsupportedMediaType, event.SchemaViolation, event.KeyMissing, event.IdempotencyKeyReused,
		event.Overloaded, event.LogUnavailable, event.IdempotencyStoreUnavailable, event.OutcomeUnknown,
	}, everywhere...)

	// cloudEvents always have an identity.
	cloudEvents = slices.DeleteFunc(slices.Clone(publishing), func(k event.Kind) bool { return k == event.IdempotencyKeyMissing })

	kindsOf = map[string][]event.Kind{
		"POST /v1/events":                  cloudEvents,
		"OPTIONS /v1/events":               everywhere,
		"POST /v1/events/{type}":           publishing,
		"POST /v1/events/{type}/{version}": publishing,
		"DELETE /v1/events/{type}/{version}": append([]event.Kind{event.MethodNotAllowed}, slices.DeleteFunc(slices.Clone(publishing), func(k event.Kind) bool {
			return k == event.MalformedJSON || k == event.UnsupportedMediaType || k == event.SchemaViolation // which concern data
		})...),
		"POST /v1/event-types/{type}/validate": append([]event.Kind{
			event.MalformedJSON, event.UnknownEventType, event.UnsupportedMediaType, event.SchemaViolation, event.KeyMissing,
			event.Unauthenticated, event.Forbidden, event.RateLimited, event.Overloaded,
		}, everywhere...),
		"POST /v1/webhooks/{source}": append([]event.Kind{
			event.MalformedJSON, event.Unauthenticated, event.UnknownSource, event.UnknownEventType, event.UnsupportedMediaType, event.SchemaViolation,
			event.KeyMissing, event.Overloaded, event.LogUnavailable, event.IdempotencyStoreUnavailable, event.OutcomeUnknown,
		}, everywhere...),
		"OPTIONS /v1/webhooks/{source}": append([]event.Kind{event.UnknownSource}, everywhere...),
		"GET /v1/webhooks/{source}":     append([]event.Kind{event.UnknownSource, event.Unauthenticated, event.MethodNotAllowed}, everywhere...),
		"GET /v1/receipts": append([]event.Kind{
			event.Unauthenticated, event.RateLimited, event.NotFound, event.RequestInProgress, event.IdempotencyStoreUnavailable, event.OutcomeUnknown,
		}, everywhere...),
		"GET /v1/event-types":               readingMuch,
		"GET /v1/event-types/{type}":        append([]event.Kind{event.UnknownEventType, event.Forbidden}, readingMuch...),
		"GET /v1/event-types/{type}/schema": append([]event.Kind{event.UnknownEventType, event.Forbidden}, readingMuch...),
		"GET /problems":                     everywhere,
		"GET /problems/{slug}":              append([]event.Kind{event.NotFound}, everywhere...),
		"GET /":                             readingMuch,
		"GET /docs":                         readingMuch,
		"GET /docs/assets/{file}":           append([]event.Kind{event.NotFound}, everywhere...),
		"GET /openapi.json":                 append([]event.Kind{event.UnknownEventType, event.Forbidden}, readingMuch...),
		"GET /openapi.yaml":                 reading,
		"GET /asyncapi.json":                reading,
	}
	// offPaths are answered where there is no operation to say so at.
	offPaths = map[string]event.Kind{"NotFound": event.NotFound, "MethodNotAllowed": event.MethodNotAllowed}
)

// kindsIn are the kinds that a response admits.
func kindsIn(tb testing.TB, response object) []string {
	tb.Helper()
	all, ok := response.get("content").get("application/problem+json").get("schema").members["allOf"].([]any)
	require.True(tb, ok && len(all) == 2, response.pointer)
	own, _ := all[1].(map[string]any)["properties"].(map[string]any)
	types, _ := own["type"].(map[string]any)["enum"].([]any)
	require.NotEmpty(tb, types, response.pointer)
	var kinds []string
	for _, each := range types {
		kinds = append(kinds, strings.TrimPrefix(each.(string), "/problems/"))
	}
	return kinds
}

func TestOpenAPIHasExactlyTheProblems(t *testing.T) {
	t.Parallel()
	doc := openAPI(t)
	require.Equal(t, slices.Sorted(maps.Keys(kindsOf)), slices.Sorted(maps.Keys(doc.operations())))
	documented := map[string]bool{}
	check := func(response object, status string, kind string) {
		p, ok := problems[event.Kind(kind)]
		require.True(t, ok, "%s: no such problem: %s", response.pointer, kind)
		require.Equal(t, strconv.Itoa(p.status), status, kind)
		require.Contains(t, response.get("content").get("application/problem+json").get("examples").members, kind,
			"%s needs an example", response.pointer)
		documented[kind] = true
	}
	for name, op := range doc.operations() {
		var got, want []string
		for _, status := range op.get("responses").names() {
			if status < "400" {
				continue
			}
			for _, kind := range kindsIn(t, op.get("responses").get(status)) {
				check(op.get("responses").get(status), status, kind)
				got = append(got, kind)
			}
		}
		for _, kind := range kindsOf[name] {
			want = append(want, string(kind))
		}
		if limited := string(event.RateLimited); !slices.Contains(want, limited) { // every call has a rate
			want = append(want, limited)
		}
		require.ElementsMatch(t, want, got, name)
	}
	for name, kind := range offPaths {
		response := doc.at("/components/responses").get(name)
		require.Equal(t, []string{string(kind)}, kindsIn(t, response))
		check(response, strconv.Itoa(problems[kind].status), string(kind))
	}
	// An event of a batch has its problem in the batch's answer.
	var ofItems []string
	for _, kind := range append([]event.Kind{event.HeldBack}, cloudEvents...) {
		if kind != event.RequestTimeout && kind != event.HeadersTooLarge && kind != event.Unauthenticated && kind != event.RateLimited { // which concern whole requests
			ofItems = append(ofItems, "/problems/"+string(kind))
		}
	}
	item := doc.at("/components/schemas/BatchItemProblem").members["allOf"].([]any)[1].(map[string]any)
	require.ElementsMatch(t, ofItems, item["properties"].(map[string]any)["type"].(map[string]any)["enum"])
	documented[string(event.HeldBack)] = true
	for kind := range problems {
		require.True(t, documented[string(kind)], "%s is in no response", kind)
	}
}

func TestOpenAPIReferencesLeadSomewhere(t *testing.T) {
	t.Parallel()
	doc := openAPI(t)
	used := map[string]bool{}
	walk(doc.root, "", func(_ string, node map[string]any) {
		if ref, ok := node["$ref"].(string); ok {
			require.NotNil(t, doc.at(strings.TrimPrefix(ref, "#")).members, ref)
			used[ref] = true
		}
	})
	for _, scheme := range doc.at("/components").get("securitySchemes").names() {
		require.Contains(t, doc.root["security"], map[string]any{scheme: []any{}})
	}
	for _, kind := range doc.at("/components").names() {
		if kind == "securitySchemes" {
			continue // which are named, not referred to
		}
		for _, name := range doc.at("/components").get(kind).names() {
			_, offPath := offPaths[name]
			require.True(t, offPath || used["#/components/"+kind+"/"+name], "components/%s/%s is used nowhere", kind, name)
		}
	}
}

// walk calls visit on every object in v.
func walk(v any, pointer string, visit func(pointer string, node map[string]any)) {
	switch node := v.(type) {
	case map[string]any:
		visit(pointer, node)
		for name, child := range node {
			walk(child, pointer+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(name), visit)
		}
	case []any:
		for i, child := range node {
			walk(child, pointer+"/"+strconv.Itoa(i), visit)
		}
	}
}

// An object with a schema and examples is a media type, parameter or header.
func TestOpenAPIExamplesAreValid(t *testing.T) {
	t.Parallel()
	doc := openAPI(t)
	checked := 0
	walk(doc.root, "", func(pointer string, node map[string]any) {
		if _, ok := node["schema"].(map[string]any); !ok ||
			strings.Contains(pointer, "/example") || strings.HasPrefix(pointer, "/components/schemas/") {
			return
		}
		o := object{doc, pointer, node}
		if example, ok := node["example"]; ok {
			o.get("schema").validate(t, example)
			checked++
		}
		examples, _ := node["examples"].(map[string]any)
		for name, each := range examples {
			value := each.(map[string]any)["value"]
			o.get("schema").validate(t, value)
			checked++
			if strings.HasSuffix(pointer, "problem+json") {
				requireExampleOfProblem(t, event.Kind(name), value.(map[string]any))
			}
		}
		isText := regexp.MustCompile(`/(text~1\w+|application~1yaml|image~1png)$`).MatchString(pointer)
		require.True(t, isText || node["example"] != nil || len(examples) > 0, "%s has no example", pointer)
	})
	require.Greater(t, checked, 30, "examples were not found")

	// The example of a request is an event that the sample schema accepts.
	events := doc.operations()["POST /v1/events/{type}"].get("requestBody").get("content").get("application/json").get("examples")
	for _, name := range events.names() {
		data, err := json.Marshal(events.get(name).members["value"])
		require.NoError(t, err)
		_, err = samples(t).Check(name, "", data)
		require.NoError(t, err)
	}
	// So is the curl line's.
	curl := regexp.MustCompile(`(?s)/v1/events/(\S+).*?-d '([^']+)'`).FindStringSubmatch(doc.root["info"].(map[string]any)["description"].(string))
	require.Len(t, curl, 3)
	_, err := samples(t).Check(curl[1], "", []byte(curl[2]))
	require.NoError(t, err)
}

// requireExampleOfProblem holds an example to the problem table.
func requireExampleOfProblem(t *testing.T, kind event.Kind, value map[string]any) {
	t.Helper()
	p, ok := problems[kind]
	require.True(t, ok, "no such problem: %s", kind)
	require.Equal(t, "/problems/"+string(kind), value["type"])
	require.Equal(t, p.title, value["title"])
	require.EqualValues(t, p.status, value["status"])
	require.Contains(t, p.outcomes, event.Outcome(value["outcome"].(string)))
	require.Equal(t, p.retryable, value["retryable"])
}
