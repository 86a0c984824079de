package api

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
	"eventgateway/internal/schema"
)

func TestAcceptedEventGetsItsReceipt(t *testing.T) {
	t.Parallel()
	key := "o-1"
	receipt := event.Receipt{
		ID: "id-1", Type: "orders.placed", Version: "v1", Topic: "t", Partition: 3, Offset: 1 << 60, Key: &key, Time: "2026-11-23T09:15:30.5Z",
	}
	keyless := receipt
	keyless.Key = nil
	for name, c := range map[string]struct {
		result   ingest.Result
		body     string
		replayed string
		status   string
	}{
		"first": {
			ingest.Result{Receipt: receipt},
			`{"id":"id-1","type":"orders.placed","version":"v1","topic":"t","partition":3,"offset":1152921504606846976,"key":"o-1","time":"2026-11-23T09:15:30.5Z"}`, "", "",
		},
		"replayed": {
			ingest.Result{Receipt: receipt, Replayed: true},
			`{"id":"id-1","type":"orders.placed","version":"v1","topic":"t","partition":3,"offset":1152921504606846976,"key":"o-1","time":"2026-11-23T09:15:30.5Z"}`, "true", "",
		},
		"bypassed, without entity": {
			ingest.Result{Receipt: keyless, Bypassed: true},
			`{"id":"id-1","type":"orders.placed","version":"v1","topic":"t","partition":3,"offset":1152921504606846976,"key":null,"time":"2026-11-23T09:15:30.5Z"}`, "", "bypassed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := start(t, func(ingest.Request) (ingest.Result, error) { return c.result, nil })
			a := g.post(t)
			require.Equal(t, http.StatusAccepted, a.StatusCode)
			require.Equal(t, "application/json", a.Header.Get("Content-Type"))
			require.Equal(t, c.body, string(a.body), "replays must equal the first to the byte")
			require.Equal(t, c.replayed, a.Header.Get("Idempotent-Replayed"))
			require.Equal(t, c.status, a.Header.Get("Idempotency-Status"))
		})
	}
}

func TestBodyArrivesToTheByte(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"spacing and big numbers": " {\"b\" : 12345678901234567890 ,\r\n\t\"a\":1.0e2 } \n",
		"not even JSON":           "\x00\xff{",
		"percent and plus":        `{"a":"%41+b"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := make(chan string, 1)
			g := start(t, func(r ingest.Request) (ingest.Result, error) {
				got <- string(r.Data)
				return accepting(r)
			})
			a := g.do(t, http.MethodPost, "/v1/events/orders.placed", body, "Content-Type: application/json")
			require.Equal(t, http.StatusAccepted, a.StatusCode)
			require.Equal(t, body, <-got)
		})
	}
}

func TestRequestNamesTypeVersionAndClient(t *testing.T) {
	t.Parallel()
	d, seen := recording()
	a := start(t, d).do(t, http.MethodPost, "/v1/events/payments.captured?version=v2&other=1", "{}")
	require.Equal(t, http.StatusAccepted, a.StatusCode)
	r := <-seen
	require.Equal(t, "payments.captured", r.Type)
	require.Equal(t, "v2", r.Version)
	require.Equal(t, "anonymous", r.Client)
}

func TestVersionsAndUnknownTypes(t *testing.T) {
	t.Parallel()
	g := start(t, accepting)
	for name, c := range map[string]struct {
		path   string
		kind   event.Kind // "": accepted
		detail string
	}{
		"newest":                   {"orders.placed", "", ""},
		"named":                    {"orders.placed?version=v1", "", ""},
		"percent-encoded":          {"orders.placed?version=%761", "", ""},
		"empty":                    {"orders.placed?version=", event.MalformedRequest, "version must be given once"},
		"without a value":          {"orders.placed?version", event.MalformedRequest, "version must be given once"},
		"twice":                    {"orders.placed?version=v1&version=v1", event.MalformedRequest, "version must be given once"},
		"no such version":          {"orders.placed?version=v99", event.UnknownEventType, "v1"},
		"version in another form":  {"orders.placed?version=1", event.UnknownEventType, "v1"},
		"no such type":             {"order.placed", event.UnknownEventType, "orders.placed"},
		"type in another case":     {"Orders.Placed", event.UnknownEventType, "orders.placed"},
		"type percent-encoded":     {"orders%2Eplaced", "", ""},
		"path percent-encoded":     {"%6frders%2eplaced/%76%31", "", ""},
		"encoded twice":            {"orders%252Eplaced", event.UnknownEventType, ""},
		"an encoded slash":         {"orders.placed%2Fv1", event.UnknownEventType, ""},
		"a name that no type has":  {"%3Cscript%3E", event.UnknownEventType, ""},
		"name of a shared schema":  {"_shared", event.UnknownEventType, ""},
		"bad version of bad type":  {"nothing?version=", event.MalformedRequest, ""},
		"unknown wins over others": {"nothing", event.UnknownEventType, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			headers := []string{"Content-Type: text/plain"}
			if c.kind == "" {
				headers = nil
			}
			a := g.do(t, http.MethodPost, "/v1/events/"+c.path, "{}", headers...)
			if c.kind == "" {
				require.Equal(t, http.StatusAccepted, a.StatusCode)
				return
			}
			requireRefused(t, a, c.kind, c.detail)
			require.NotContains(t, string(a.body), "<script>")
			if strings.Contains(c.path, "?") { // the schema's path takes the same parameter
				path, query, _ := strings.Cut(c.path, "?")
				requireRefused(t, g.do(t, http.MethodGet, "/v1/event-types/"+path+"/schema?"+query, ""), c.kind, c.detail)
			}
		})
	}
}

// A type may go away after a keyed event of it was written: its retry must get
// as far as the door.
func TestKeyedRetryOfATypeThatIsGoneReachesTheDoor(t *testing.T) {
	t.Parallel()
	d, seen := recording()
	g := start(t, d)
	a := g.do(t, http.MethodPost, "/v1/events/gone.type", "{}", "Idempotency-Key: k")
	require.Equal(t, http.StatusAccepted, a.StatusCode)
	require.Equal(t, "gone.type", (<-seen).Type)
	requireRefused(t, g.do(t, http.MethodPost, "/v1/events/"+strings.Repeat("x", 201), "{}", "Idempotency-Key: k"), event.UnknownEventType, "")
	require.Empty(t, seen, "a name that no type can have was never published")
}

// anything is a catalog that knows every type.
type anything struct{}

func (anything) Lookup(t, v string) (*event.Definition, error) {
	return &event.Definition{Type: strings.Clone(t), Version: strings.Clone(v)}, nil
}
func (anything) Types() []schema.EventType             { return nil }
func (anything) Set() *schema.Set                      { return nil }
func (anything) Schema(string, string) ([]byte, error) { return []byte("{}"), nil }

// fasthttp reuses a connection's buffers for the next request. The idempotency
// store and the log keep a request's strings beyond that.
func TestStringsOutliveTheirRequest(t *testing.T) {
	t.Parallel()
	request := func(letter string) string {
		long := strings.Repeat(letter, 40)
		return "POST /v1/events/type." + long + "?version=" + long + " HTTP/1.1\r\nHost: gateway\r\n" +
			"Content-Type: application/" + long + "+json\r\n" +
			"Idempotency-Key: key" + long + "\r\nce-id: id" + long + "\r\nce-source: /source/" + long + "\r\n" +
			"ce-subject: subject" + long + "\r\nce-ext" + letter + ": ext" + long + "\r\n" +
			"tracestate: " + letter + "=" + long + "\r\ntraceparent: " + traceID + "\r\n" +
			"Content-Length: 2\r\n\r\n{}"
	}
	var kept, copied []ingest.Request // written by one connection, one after the other
	g := start(t, func(r ingest.Request) (ingest.Result, error) {
		r.Data = nil // may be reused: only strings are kept
		kept, copied = append(kept, r), append(copied, deepCopy(t, r))
		return accepting(r)
	}, withCatalog(anything{}))
	w := g.dial(t)
	for _, letter := range []string{"a", "b", "c"} {
		w.send(t, request(letter))
		require.Equal(t, http.StatusAccepted, w.answer(t).StatusCode)
	}
	require.Len(t, kept, 3)
	require.Equal(t, "type."+strings.Repeat("a", 40), copied[0].Type)
	require.Equal(t, strings.Repeat("a", 40), copied[0].Version)
	require.NotEmpty(t, copied[0].Attributes.Extensions)
	require.NotEmpty(t, copied[0].Attributes.TraceState)
	require.Equal(t, copied, kept, "a string of a request changed when its connection was used again")
}

// deepCopy makes a Request that shares no memory with r.
func deepCopy(t *testing.T, r ingest.Request) ingest.Request {
	raw, err := json.Marshal(r)
	require.NoError(t, err)
	var c ingest.Request
	require.NoError(t, json.Unmarshal(raw, &c))
	require.True(t, reflect.DeepEqual(r, c), "the copy must be complete")
	return c
}
