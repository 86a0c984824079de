package schema

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

func TestCheckTombstone(t *testing.T) {
	t.Parallel()
	set, err := files{
		"one/v1.json": `{"x-event":{"key":"/id"}}`,
		"one/v2.json": `{"x-event":{"key":"/id","tombstones":true,"topic":"ones"}}`,
		"two/v1.json": `{"x-event":{"key":["/a","/b"],"tombstones":true}}`,
		"off/v1.json": `{"x-event":{"key":"/id","tombstones":false}}`,
	}.load(t)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		eventType, version, key string
		kind                    event.Kind // "": allowed
		detail                  string
	}{
		"newest":                      {"one", "", "o-1", "", ""},
		"named":                       {"one", "v2", "o-1", "", ""},
		"a key with anything in it":   {"one", "", "a:b/c%%25 ü", "", ""},
		"the longest":                 {"one", "", strings.Repeat("k", 1024), "", ""},
		"two parts":                   {"two", "", "a:b", "", ""},
		"two parts, escaped":          {"two", "", "a%3A%25:b", "", ""},
		"a version without":           {"one", "v1", "o-1", event.MethodNotAllowed, `"tombstones": true`},
		"a type without":              {"off", "", "o-1", event.MethodNotAllowed, "off cannot be deleted by key"},
		"no such type":                {"on", "", "o-1", event.UnknownEventType, "no event type"},
		"no such version":             {"one", "v3", "o-1", event.UnknownEventType, "v2"},
		"empty":                       {"one", "", "", event.KeyMissing, "is empty"},
		"not UTF-8":                   {"one", "", "\xff", event.KeyMissing, "not UTF-8"},
		"too long":                    {"one", "", strings.Repeat("k", 1025), event.KeyMissing, "1024"},
		"one part of two":             {"two", "", "a", event.KeyMissing, `joined with ":"`},
		"three parts of two":          {"two", "", "a:b:c", event.KeyMissing, `joined with ":"`},
		"an empty part":               {"two", "", "a:", event.KeyMissing, "has a part that is empty"},
		"a part with a bare percent":  {"two", "", "50%:b", event.KeyMissing, "%25"},
		"a part escaped another way":  {"two", "", "a%3ab:c", event.KeyMissing, "%3A"},
		"a part with other escapes":   {"two", "", "a%41:c", event.KeyMissing, "%25"},
		"a part that is far too long": {"two", "", "a:" + strings.Repeat("k", 1025), event.KeyMissing, "1024"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, err := set.CheckTombstone(c.eventType, c.version, c.key)
			if c.kind == "" {
				require.NoError(t, err)
				require.Equal(t, c.key, *found.Key)
				require.Equal(t, c.eventType, found.Definition.Type)
				return
			}
			refused := refusal(t, err)
			require.Equal(t, c.kind, refused.Kind)
			require.Contains(t, refused.Detail, c.detail)
			require.Nil(t, found.Key)
		})
	}
}

// A key that an event of the type has may be deleted, and no other text becomes it.
func FuzzTombstoneKeys(f *testing.F) {
	f.Add("a", "b")
	f.Add("a:b", "50%")
	f.Add("%3A", "%253A")
	set, err := files{"two/v1.json": `{"x-event":{"key":["/a","/b"],"tombstones":true}}`}.load(f)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, a, b string) {
		data := []byte(`{"a":` + jsonText(a) + `,"b":` + jsonText(b) + `}`)
		checked, err := set.Check("two", "", data)
		if err != nil {
			t.Skip()
		}
		found, err := set.CheckTombstone("two", "", *checked.Key)
		require.NoError(t, err)
		require.Equal(t, *checked.Key, *found.Key)
	})
}

func TestTombstonesAndHeadersOfXEvent(t *testing.T) {
	t.Parallel()
	for xevent, want := range map[string]string{
		`{"key":null,"tombstones":true}`:                      `/x-event/tombstones: needs a key`,
		`{"key":"/id","tombstones":"yes"}`:                    `/x-event/tombstones: must be true or false`,
		`{"key":"/id","headers":"X-Tenant"}`:                  `/x-event/headers: must be an object with the record header for each request header`,
		`{"key":"/id","headers":{"X-Tenant":7}}`:              `/x-event/headers/X-Tenant: must be the name of the record header`,
		`{"key":"/id","headers":[7]}`:                         `/x-event/headers/0: must be the name of a request header`,
		`{"key":"/id","headers":{"X Tenant":"t"}}`:            `/x-event/headers/X Tenant: "X Tenant" is not the name of a request header`,
		`{"key":"/id","headers":{"":"t"}}`:                    `is not the name of a request header`,
		`{"key":"/id","headers":{"X-Tenant":""}}`:             `"" is not a name for a record header`,
		`{"key":"/id","headers":{"X-Tenant":"tenant id"}}`:    `"tenant id" is not a name for a record header`,
		`{"key":"/id","headers":{"X-Tenant":"ce_id"}}`:        `the record header "ce_id" is the gateway's own`,
		`{"key":"/id","headers":{"X-Tenant":"CE_tenant"}}`:    `is the gateway's own`,
		`{"key":"/id","headers":{"X-Tenant":"gw_claim"}}`:     `is the gateway's own`,
		`{"key":"/id","headers":{"X-Tenant":"Content-Type"}}`: `is the gateway's own`,
		`{"key":"/id","headers":{"X-Tenant":"traceparent"}}`:  `is the gateway's own`,
		`{"key":"/id","headers":["Authorization"]}`:           `/x-event/headers/0: the request header "Authorization" may hold a credential`,
		`{"key":"/id","headers":{"X-API-Key":"k"}}`:           `may hold a credential`,
		`{"key":"/id","headers":{"cookie":"k"}}`:              `may hold a credential`,
		`{"key":"/id","headers":{"X-Auth-Token":"k"}}`:        `may hold a credential`,
		`{"key":"/id","headers":{"ce-tenant":"t"}}`:           `is in the record anyway`,
		`{"key":"/id","headers":["traceparent"]}`:             `is in the record anyway`,
		`{"key":"/id","headers":{"Content-Length":"n"}}`:      `concerns the connection`,
		`{"key":"/id","headers":["X-Tenant","x-tenant"]}`:     `/x-event/headers/1: the request header "x-tenant" is there twice`,
		`{"key":"/id","headers":{"X-A":"t","X-B":"t"}}`:       `/x-event/headers/X-B: the record header "t" is there twice`,
		`{"key":"/id","headers":[` + manyHeaders(17) + `]}`:   `/x-event/headers: keeps 17 headers; at most 16 are allowed`,
		`{"key":"/id","header":["x"]}`:                        `/x-event/header: is not known; did you mean headers?`,
	} {
		t.Run(xevent, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, strings.Join(files{"t/v1.json": `{"x-event":` + xevent + `}`}.problems(t), "\n"), want)
		})
	}
	def, err := one(t, `{"x-event":{"key":"/id","headers":{"X-Tenant-Id":"tenant-id","Baggage":"baggage"}}}`).Lookup("t", "")
	require.NoError(t, err)
	require.Equal(t, []event.HeaderRule{{Request: "Baggage", Record: "baggage"}, {Request: "X-Tenant-Id", Record: "tenant-id"}}, def.Headers)
	def, err = one(t, `{"x-event":{"key":"/id","headers":["X-Tenant-Id"]}}`).Lookup("t", "")
	require.NoError(t, err)
	require.Equal(t, []event.HeaderRule{{Request: "X-Tenant-Id", Record: "X-Tenant-Id"}}, def.Headers)
	require.False(t, def.Tombstones)
}

func manyHeaders(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf(`"X-%d"`, i)
	}
	return strings.Join(names, ",")
}

// jsonText is a text as a JSON string.
func jsonText(s string) string {
	text, _ := json.Marshal(s) // a string cannot fail
	return string(text)
}
