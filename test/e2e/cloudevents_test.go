//go:build integration

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/test/services"
)

// conformance is a gateway whose event types accept all of the vectors' data, and whose
// records are in one content mode.
type conformance struct {
	*gateway
	mode  string
	topic string
	cases int
	want  []wantRecord
}

// wantRecord is an accepted event and the expected content of its record.
type wantRecord struct {
	name       string
	at         receipt
	attributes map[string]string // datacontenttype too
	more       bool              // the record may have other attributes
	literals   map[string]bool   // extensions that are integers or booleans
	data       string            // byte for byte
}

const (
	structuredHeader = "Content-Type: application/cloudevents+json\r\n"
	batchHeader      = "Content-Type: application/cloudevents-batch+json\r\n"
)

// TestCloudEventsConformance sends the vectors of cloudevents/conformance, and
// reads the records that the Kafka binding demands for them.
func TestCloudEventsConformance(t *testing.T) {
	for _, mode := range []string{"binary", "structured"} {
		t.Run(mode, func(t *testing.T) {
			g := startConformance(t, mode)
			g.httpFeature(t)
			g.yamlEvents(t)
			g.jsonFormat(t)
			g.batches(t)
			g.requireRecords(t)
		})
	}
}

// startConformance has a Redis of its own: the vectors share their ids.
func startConformance(t *testing.T, mode string) *conformance {
	t.Helper()
	topic := newTopic(t)
	var types []eventType
	for _, name := range []string{"com.example.someevent", "io.cloudevents.minimum", "io.cloudevents.test"} {
		types = append(types, eventType{name: name, xevent: map[string]any{"topic": topic, "key": nil, "content_mode": mode}, schema: map[string]any{}})
	}
	return &conformance{
		gateway: startGateway(t, options{schemas: schemasFolder(t, types...), redis: []string{privateRedis(t).Addr()}}),
		mode:    mode, topic: topic,
	}
}

// post sends a body under an Idempotency-Key of its own, unless header has one.
func (g *conformance) post(t *testing.T, name, header, body string) answer {
	t.Helper()
	g.cases++
	a, err := exchange(g.addr, rawRequest("/v1/events", header+"Idempotency-Key: case-"+strconv.Itoa(g.cases)+"\r\n", body), false, patient)
	require.NoError(t, err, name)
	return a
}

func (g *conformance) accepted(t *testing.T, name string, a answer, attributes map[string]string, data string) {
	t.Helper()
	require.Equal(t, http.StatusAccepted, a.status, "%s: %s", name, a.body)
	g.want = append(g.want, wantRecord{name: name, at: a.receipt(t), attributes: attributes, data: data})
}

// httpFeature sends the requests of the HTTP feature unchanged, except for the path, and
// with CR LF where a feature file has line feeds.
func (g *conformance) httpFeature(t *testing.T) {
	attributes := map[string]string{"specversion": "1.0", "datacontenttype": "application/json"}
	for name, value := range kafkaHeaders {
		if attribute, ok := strings.CutPrefix(name, "ce_"); ok {
			attributes[attribute] = value
		}
	}
	send := func(name, request, contentType, datacontenttype, data string) {
		head, body, _ := strings.Cut(strings.ReplaceAll(request, "<contentType>", contentType), "\n\n")
		require.Contains(t, head+"\n", fmt.Sprintf("Content-Length: %d\n", len(body)), "the vector was not copied correctly")
		head = strings.Replace(head, "/someresource", "/v1/events", 1)
		if g.cases++; g.cases > 1 { // all have the same source and id, and would be one event without a key
			head += "\nIdempotency-Key: feature-" + strconv.Itoa(g.cases)
		}
		a, err := exchange(g.addr, strings.ReplaceAll(head, "\n", "\r\n")+"\r\n\r\n"+body, false, patient)
		require.NoError(t, err)
		want := maps.Clone(attributes)
		want["datacontenttype"] = datacontenttype
		g.accepted(t, name, a, want, data)
	}
	_, binaryData, _ := strings.Cut(httpBinary, "\n\n")
	for _, contentType := range httpBinaryTypes {
		send("HTTP feature, binary, "+contentType, httpBinary, contentType, contentType, binaryData)
	}
	for _, contentType := range httpStructuredTypes {
		send("HTTP feature, structured, "+contentType, httpStructured, contentType, "application/json", "{\n        \"message\": \"Hello World!\"\n    }")
	}
}

// binary is the headers of an event in binary mode.
func (e yamlEvent) binary() string {
	var b strings.Builder
	for name, value := range e.attributes {
		if name == "datacontenttype" {
			b.WriteString("Content-Type: " + value + "\r\n")
			continue
		}
		b.WriteString("ce-" + name + ": " + url.PathEscape(value) + "\r\n")
	}
	return b.String()
}

// structured is an event in structured mode; data that is not JSON becomes a string.
func (e yamlEvent) structured() string {
	data := e.data
	if contentType := e.attributes["datacontenttype"]; contentType != "" && !strings.HasPrefix(contentType, "application/json") {
		text, _ := json.Marshal(data) // a string cannot fail
		data = string(text)
	}
	members, _ := json.Marshal(e.attributes)
	return string(members[:len(members)-1]) + `,"data":` + data + "}"
}

func (e yamlEvent) without(name, suffix string) yamlEvent {
	clone := yamlEvent{maps.Clone(e.attributes), e.data}
	clone.attributes[name] = strings.TrimSuffix(clone.attributes[name], suffix)
	return clone
}

func (g *conformance) yamlEvents(t *testing.T) {
	plain := yamlExtensions.without("comexampleextension2", "\n")
	for _, e := range append([]yamlEvent{plain}, yamlJSON...) {
		name, want := "yaml "+e.attributes["id"], maps.Clone(e.attributes)
		if want["datacontenttype"] == "" {
			want["datacontenttype"] = "application/json"
		}
		g.accepted(t, name+", binary", g.post(t, name, e.binary(), e.data), want, e.data)
		g.accepted(t, name+", structured", g.post(t, name, structuredHeader, e.structured()), want, strings.TrimSuffix(e.data, "\n"))
	}
	for _, e := range yamlOther {
		for _, a := range []answer{g.post(t, "", e.binary(), e.data), g.post(t, "", structuredHeader, e.structured())} {
			a.mustBe(t, http.StatusUnsupportedMediaType, "unsupported-media-type", "not-written")
		}
	}
	// yaml/v0.3/v03_minimum.yaml has the first two of these with its own specversion.
	past := yamlJSON[0].without("specversion", "1.0")
	past.attributes["specversion"] = "0.3"
	for _, e := range []yamlEvent{yamlExtensions, past} {
		for _, a := range []answer{g.post(t, "", e.binary(), e.data), g.post(t, "", structuredHeader, e.structured())} {
			a.mustBe(t, http.StatusBadRequest, "malformed-request", "not-written")
		}
	}
}

// jsonFormat sends the events of the JSON format. Most have no data, which the
// gateway refuses by design, so they are sent with data, too.
func (g *conformance) jsonFormat(t *testing.T) {
	const data = `{ "n":12345678901234567890.10 }`
	for name, members := range formatValid {
		g.post(t, name, structuredHeader, "{"+members+"}").mustBe(t, http.StatusBadRequest, "malformed-json", "not-written")
		a := g.post(t, name, structuredHeader, "{"+members+`,"data":`+data+"}")
		want, literals := map[string]string{"datacontenttype": "application/json"}, map[string]bool{}
		var parsed map[string]any
		require.NoError(t, json.Unmarshal([]byte("{"+members+"}"), &parsed))
		for attribute, value := range parsed {
			if value == nil {
				continue
			}
			_, isString := value.(string)
			want[attribute], literals[attribute] = fmt.Sprint(value), !isString
		}
		g.accepted(t, name, a, want, data)
		g.want[len(g.want)-1].literals = literals
	}
	for name, members := range formatText {
		if !strings.Contains(members, `"data":`) {
			g.post(t, name, structuredHeader, "{"+members+"}").mustBe(t, http.StatusBadRequest, "malformed-json", "not-written")
			members += `,"data":"text"`
		}
		g.post(t, name, structuredHeader, "{"+members+"}").mustBe(t, http.StatusUnsupportedMediaType, "unsupported-media-type", "not-written")
	}
	invalid := maps.Clone(formatInvalid)
	invalid["a fraction under a good name"] = formatContext + `,"id":"invalid","myextension":1.5`
	for name, members := range invalid {
		bodies := []string{"{" + members + "}"}
		if !strings.Contains(members, `"data":`) {
			bodies = append(bodies, "{"+members+`,"data":{}}`) // so that the missing data is not the reason
		}
		var last problem
		for _, body := range bodies {
			var err error
			last, err = g.post(t, name, structuredHeader, body).problem()
			require.NoError(t, err, name)
			require.Contains(t, []string{"malformed-request", "malformed-json", "unsupported-media-type"}, last.slug(), name)
			require.Equal(t, "not-written", last.Outcome, name)
		}
		require.NotContains(t, last.Detail, "no data", name)
	}
}

// batches sends the batches of the JSON format, with data, and the yaml events in one.
func (g *conformance) batches(t *testing.T) {
	event := func(members string) string { return "{" + members + `,"data":{}}` }
	minimal, core := event(formatValid["validMinimal"]), event(formatText["validAllCoreAttributes"])
	extensions := event(formatValid["validAllExtensionTypes"])
	all := make([]string, 0, 6)
	for _, e := range append(append([]yamlEvent{}, yamlJSON...), yamlOther...) {
		all = append(all, e.structured())
	}
	for name, c := range map[string]struct {
		items    []string
		statuses []int
	}{
		"validBatchEmpty":                         {nil, nil},
		"validBatchMinimal":                       {[]string{minimal}, []int{202}},
		"validBatchMinimal2":                      {[]string{minimal, minimal}, []int{202, 202}},
		"validBatchMinimalAndAllCore":             {[]string{minimal, core}, []int{202, 415}}, // text/plain
		"validBatchMinimalAndAllExtensionTypes":   {[]string{minimal, extensions}, []int{202, 202}},
		"invalidBatchMixedSpecVersions":           {[]string{minimal, strings.Replace(minimal, `"1.0"`, `"0.9"`, 1)}, []int{202, 400}},
		"invalidBatchContainingInvalidCloudEvent": {[]string{event(formatContext)}, []int{400}},
		"invalidBatchContainingNonObject":         {[]string{`"not an object"`, minimal}, []int{400, 202}},
		"yaml/v1.0/v1_minimum.yaml":               {all, []int{202, 202, 202, 415, 415, 415}},
	} {
		a := g.post(t, name, batchHeader, "["+strings.Join(c.items, ",")+"]")
		var body struct {
			Items []struct {
				Status  int
				Receipt *receipt
			}
		}
		require.NoError(t, json.Unmarshal(a.body, &body), "%s: %s", name, a.body)
		status := http.StatusAccepted
		var statuses []int
		for i, item := range body.Items {
			statuses = append(statuses, item.Status)
			if item.Status != http.StatusAccepted {
				status = http.StatusMultiStatus
				continue
			}
			var parsed map[string]json.RawMessage
			require.NoError(t, json.Unmarshal([]byte(c.items[i]), &parsed))
			g.want = append(g.want, wantRecord{
				name: name, at: *item.Receipt, data: string(parsed["data"]), more: true,
				attributes: map[string]string{"id": textOf(t, parsed["id"]), "source": textOf(t, parsed["source"]), "type": textOf(t, parsed["type"])},
				literals:   map[string]bool{"extinteger": true, "extboolean": true},
			})
		}
		require.Equal(t, c.statuses, statuses, name)
		require.Equal(t, status, a.status, name)
	}
}

// requireRecords reads the topic and requires a record for each accepted event, as the
// Kafka binding defines it, and none for refused events.
func (g *conformance) requireRecords(t *testing.T) {
	log := readTopic(t, services.Shared(t).Kafka, g.topic)
	requireCount(t, log.records, len(g.want))
	for _, want := range g.want {
		rec := log.at[position{want.at.Partition, want.at.Offset}]
		require.NotNil(t, rec, want.name)
		require.Nil(t, rec.Key, want.name)
		if g.mode == "binary" {
			requireBinary(t, rec, want)
		} else {
			requireStructured(t, rec, want)
		}
	}
	t.Logf("%d requests, %d records", g.cases, len(g.want))
}

// requireBinary checks a record by the Kafka binding 1.0 §3.2.
func requireBinary(t *testing.T, rec *kgo.Record, want wantRecord) {
	t.Helper()
	require.Equal(t, want.data, string(rec.Value), want.name)
	requireAttributes(t, headers(t, rec), want)
}

// headers are a record's attributes: ce_* and content-type.
func headers(t *testing.T, rec *kgo.Record) map[string]string {
	t.Helper()
	got := map[string]string{}
	for _, h := range rec.Headers {
		switch name, isAttribute := strings.CutPrefix(h.Key, "ce_"); {
		case isAttribute:
			got[name] = string(h.Value)
		case h.Key == "content-type":
			got["datacontenttype"] = string(h.Value)
		default:
			require.True(t, strings.HasPrefix(h.Key, "gw_"), h.Key)
		}
	}
	return got
}

// requireStructured checks a record by the Kafka binding 1.0 §3.3 and the JSON event
// format 1.0.
func requireStructured(t *testing.T, rec *kgo.Record, want wantRecord) {
	t.Helper()
	require.Contains(t, httpStructuredTypes, strings.ToLower(header(rec, "content-type")), want.name)
	var members map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(rec.Value, &members), want.name)
	require.True(t, strings.HasSuffix(string(rec.Value), `,"data":`+want.data+"}"), "%s: %s", want.name, rec.Value)
	if strings.HasPrefix(want.name, "HTTP feature, structured") {
		require.JSONEq(t, kafkaStructured, string(rec.Value), "as in the Kafka feature")
	}
	delete(members, "data")
	got := map[string]string{}
	for name, raw := range members {
		var value any
		require.NoError(t, json.Unmarshal(raw, &value))
		if _, isString := value.(string); isString == want.literals[name] {
			require.Fail(t, "type changed", "%s: %s is %s", want.name, name, raw)
		}
		got[name] = fmt.Sprint(value)
	}
	requireAttributes(t, got, want)
	// The attributes are in the headers too, with the same values (§3.3.3).
	beside := headers(t, rec)
	beside["datacontenttype"] = got["datacontenttype"]
	require.Equal(t, got, beside, want.name)
}

func textOf(t *testing.T, raw json.RawMessage) (text string) {
	t.Helper()
	require.NoError(t, json.Unmarshal(raw, &text))
	return text
}

// requireAttributes requires all attributes that were sent, and no others except those
// that the gateway adds when they are missing: time and datacontenttype.
func requireAttributes(t *testing.T, got map[string]string, want wantRecord) {
	t.Helper()
	for name, value := range want.attributes {
		require.Equal(t, value, got[name], "%s: %s", want.name, name)
	}
	for name := range got {
		_, sent := want.attributes[name]
		require.True(t, sent || want.more || name == "time", "%s: %s is new", want.name, name)
	}
}
