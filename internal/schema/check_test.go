package schema

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// keyed is a schema that keys on the given JSON and allows everything.
func keyed(key string) string { return `{"x-event":{"key":` + key + `}}` }

func TestEntityKey(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		key, data string
		want      string // the key, or "!" and a piece of the violation's message
	}{
		"string":                   {`"/id"`, `{"id":"o-1"}`, "o-1"},
		"string as it is":          {`"/id"`, `{"id":"a:b%c é"}`, "a:b%c é"},
		"escaped string":           {`"/id"`, `{"id":"\u0061\n"}`, "a\n"},
		"true":                     {`"/id"`, `{"id":true}`, "true"},
		"false":                    {`"/id"`, `{"id":false}`, "false"},
		"integer":                  {`"/id"`, `{"id":42}`, "42"},
		"negative integer":         {`"/id"`, `{"id":-42}`, "-42"},
		"minus zero as written":    {`"/id"`, `{"id":-0}`, "-0"},
		"huge integer as written":  {`"/id"`, `{"id":123456789012345678901234567890}`, "123456789012345678901234567890"},
		"nested":                   {`"/a/b"`, `{"a":{"b":"x"}}`, "x"},
		"array index":              {`"/a/1"`, `{"a":["x","y"]}`, "y"},
		"escaped pointer":          {`"/a~1b/~0/"`, `{"a/b":{"~":{"":"x"}}}`, "x"},
		"name that looks escaped":  {`"/~01"`, `{"~1":"x"}`, "x"},
		"whole document":           {`""`, `"x"`, "x"},
		"list of one":              {`["/id"]`, `{"id":"x"}`, "x"},
		"list":                     {`["/a","/b","/c"]`, `{"a":"x","b":7,"c":true}`, "x:7:true"},
		"list, escaped":            {`["/a","/b"]`, `{"a":"x:y%","b":"%3A"}`, "x%3Ay%25:%253A"},
		"missing":                  {`"/id"`, `{}`, "!is missing"},
		"missing parent":           {`"/a/b"`, `{"a":"text"}`, "!is missing"},
		"missing index":            {`"/a/2"`, `{"a":["x","y"]}`, "!is missing"},
		"index with leading zero":  {`"/a/01"`, `{"a":["x","y"]}`, "!is missing"},
		"index past the end":       {`"/a/-"`, `{"a":["x","y"]}`, "!is missing"},
		"null":                     {`"/id"`, `{"id":null}`, "!is null"},
		"fraction":                 {`"/id"`, `{"id":1.0}`, "!is the number 1.0"},
		"exponent":                 {`"/id"`, `{"id":1e2}`, "!is the number 1e2"},
		"array":                    {`"/id"`, `{"id":["x"]}`, "!is an array"},
		"object":                   {`"/id"`, `{"id":{}}`, "!is an object"},
		"empty string":             {`"/id"`, `{"id":""}`, "!empty string"},
		"longest":                  {`"/id"`, `{"id":"` + strings.Repeat("k", maxKeyPart) + `"}`, strings.Repeat("k", maxKeyPart)},
		"too long":                 {`"/id"`, `{"id":"` + strings.Repeat("k", maxKeyPart+1) + `"}`, "!has 1025 bytes"},
		"empty part":               {`["/a","/b"]`, `{"a":"x","b":""}`, "!empty string"},
		"missing part":             {`["/a","/b"]`, `{"a":"x"}`, "!is missing"},
		"case of the name differs": {`"/id"`, `{"ID":"x"}`, "!is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checked, err := one(t, keyed(tc.key)).Check("t", "", []byte(tc.data))
			require.NotNil(t, checked.Definition)
			if why, missing := strings.CutPrefix(tc.want, "!"); missing {
				refused := refusal(t, err)
				require.Equal(t, event.KeyMissing, refused.Kind)
				require.Len(t, refused.Violations, 1)
				require.Contains(t, checked.Definition.KeyPointers, refused.Violations[0].Pointer)
				require.Contains(t, refused.Violations[0].Message, why)
				require.Contains(t, refused.Detail, why)
				require.Nil(t, checked.Key)
				return
			}
			require.NoError(t, err)
			require.NotNil(t, checked.Key)
			require.Equal(t, tc.want, *checked.Key)
		})
	}
	t.Run("null key means no entity", func(t *testing.T) {
		t.Parallel()
		checked, err := one(t, keyed(`null`)).Check("t", "", []byte(`{"id":"x"}`))
		require.NoError(t, err)
		require.Nil(t, checked.Key)
		require.Empty(t, checked.Definition.KeyPointers)
	})
	t.Run("every missing part is told", func(t *testing.T) {
		t.Parallel()
		_, err := one(t, keyed(`["/a","/b","/c"]`)).Check("t", "", []byte(`{"b":1}`))
		violations := refusal(t, err).Violations
		require.Len(t, violations, 2)
		require.Equal(t, "/a", violations[0].Pointer)
		require.Equal(t, "/c", violations[1].Pointer)
	})
}

func TestCheckMalformed(t *testing.T) {
	t.Parallel()
	set := one(t, keyed(`"/id"`))
	checked, err := set.Check("t", "", []byte("{\n  \"id\": \"x\",\n  \"id\": \"y\"}"))
	refused := refusal(t, err)
	require.Equal(t, event.MalformedJSON, refused.Kind)
	require.Equal(t, `line 3, column 3 (byte offset 17): the member name "id" appears twice in one object, at /id`, refused.Detail)
	require.Equal(t, "t", checked.Definition.Type)
}

func TestUnknownEventType(t *testing.T) {
	t.Parallel()
	f := files{"orders.placed/v1.json": keyed(`null`), "orders.placed/v10.json": keyed(`null`), "orders.placed/v9.json": keyed(`null`)}
	for i := range 12 {
		f[fmt.Sprintf("zz%02d/v1.json", i)] = keyed(`null`)
	}
	set, err := f.load(t)
	require.NoError(t, err)
	for name, tc := range map[string]struct{ eventType, version, want string }{
		"typo":           {"orders.plased", "", `no event type "orders.plased"`},
		"empty":          {"", "", `no event type ""`},
		"overlong":       {strings.Repeat("x", 5000), "", "…"},
		"version":        {"orders.placed", "v2", `orders.placed has no version "v2"; there is v1, v9, v10`},
		"bare number":    {"orders.placed", "1", `has no version "1"`},
		"case of v":      {"orders.placed", "V1", `has no version "V1"`},
		"shared folders": {"_shared", "", `no event type "_shared"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checked, err := set.Check(tc.eventType, tc.version, []byte(`{}`))
			refused := refusal(t, err)
			require.Equal(t, event.UnknownEventType, refused.Kind)
			require.Contains(t, refused.Detail, tc.want)
			require.Less(t, len(refused.Detail), 1000)
			require.Nil(t, checked.Definition)
			_, err = set.Lookup(tc.eventType, tc.version)
			require.Equal(t, event.UnknownEventType, refusal(t, err).Kind)
			_, err = set.Schema(tc.eventType, tc.version)
			require.Equal(t, event.UnknownEventType, refusal(t, err).Kind)
		})
	}
	for name, tc := range map[string]struct{ eventType, want string }{
		"typo":         {"orders.plased", `; did you mean orders.placed?`},
		"case":         {"Orders.Placed", `; did you mean orders.placed?`},
		"start":        {"orders", `; did you mean orders.placed?`},
		"nothing near": {"completely.else", `; there are orders.placed, zz00, zz01`},
		"many":         {"completely.else", ` and 3 more`},
		"overlong":     {strings.Repeat("x", 5000), "; there are"},
	} {
		t.Run("suggested for "+name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, set.Suggest(tc.eventType), tc.want)
			_, err := set.Lookup(tc.eventType, "")
			require.NotContains(t, refusal(t, err).Detail, "zz0", "an error names no other types: a caller may not know of them")
		})
	}
	require.Empty(t, new(Set).Suggest("x"))
	t.Run("newest", func(t *testing.T) {
		t.Parallel()
		def, err := set.Lookup("orders.placed", "")
		require.NoError(t, err)
		require.Equal(t, "v10", def.Version)
	})
}

// A name is compared with few others, however many there are.
func TestSuggestionsAreBounded(t *testing.T) {
	t.Parallel()
	f := files{}
	for i := range 3 * maxCompared {
		f[fmt.Sprintf("type-%03d/v1.json", i)] = keyed(`null`)
	}
	set, err := f.load(t)
	require.NoError(t, err)
	for _, name := range []string{"", "a", "type-0001", "type-1000", "type-1910", "zzz", strings.Repeat("type-", 12)} {
		require.Len(t, set.near(name), maxCompared, name)
	}
	require.Contains(t, set.Suggest("type-1911"), "did you mean type-191 ")
}

// A panic in the library, or in a format, becomes an error of the caller's.
func TestCheckSurvivesPanic(t *testing.T) {
	t.Parallel()
	v := &version{
		def:    &event.Definition{Type: "t", Version: "v1"},
		accept: &acceptor{types: anyType, format: &boundedFormat{check: func(any) bool { panic("a conversion") }}},
	}
	checked, err := v.check([]byte(`"a"`), bounds{}, nil)
	refused := refusal(t, err)
	require.Equal(t, event.Internal, refused.Kind)
	require.ErrorContains(t, refused.Err, "panic: a conversion")
	require.NotContains(t, refused.Detail, "conversion", "the cause is for the log only")
	require.NotNil(t, checked.Definition)
}

func TestCheckDoesNotKeepData(t *testing.T) {
	t.Parallel()
	data := []byte(`{"id":"o-1"}`)
	checked, err := one(t, keyed(`"/id"`)).Check("t", "", data)
	require.NoError(t, err)
	clear(data)
	require.Equal(t, "o-1", *checked.Key)
}

// Numbers are exact: no float64 on the way to the library, nor in it.
func TestNumbersKeepTheirMeaning(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		schema string
		valid  []string
		bad    []string
	}{
		"integer": {
			`"type":"integer"`,
			[]string{`1`, `-0`, `0`, `1.0`, `1e2`, `-5`, `123456789012345`, `1234567890123456`, `12345678901234567890123`, `1.5e1`},
			[]string{`1.5`, `1e-1`, `"1"`, `true`, `null`},
		},
		"number":       {`"type":"number"`, []string{`1`, `1.5`, `1e400`, `12345678901234567890`}, []string{`"1"`, `null`}},
		"minimum":      {`"minimum":9007199254740993`, []string{`9007199254740993`, `9007199254740993.0`}, []string{`9007199254740992`, `1`, `9007199254740992.9`}},
		"exclusive":    {`"exclusiveMaximum":10`, []string{`9`, `9.99`, `-1e400`}, []string{`10`, `10.0`, `1e1`, `1e400`}},
		"multiple":     {`"multipleOf":0.1`, []string{`1`, `1.1`, `0.3`, `123456789012345`}, []string{`0.15`, `1e-2`}},
		"const":        {`"const":1`, []string{`1`, `1.0`, `1e0`, `10e-1`}, []string{`2`, `"1"`, `true`}},
		"enum":         {`"enum":[1.0,123456789012345678]`, []string{`1`, `1.0`, `123456789012345678`}, []string{`123456789012345679`, `2`}},
		"unique items": {`"uniqueItems":true`, []string{`[1,2]`, `[1,-1]`}, []string{`[1,1.0]`, `[1,2,1e0]`, `[0,-0]`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := one(t, `{"x-event":{"key":null},`+tc.schema+`}`)
			for _, data := range tc.valid {
				_, err := set.Check("t", "", []byte(data))
				require.NoError(t, err, data)
			}
			for _, data := range tc.bad {
				_, err := set.Check("t", "", []byte(data))
				require.Error(t, err, data)
				require.Equal(t, event.SchemaViolation, refusal(t, err).Kind, data)
			}
		})
	}
}

func TestTypesDescribesTheNewest(t *testing.T) {
	t.Parallel()
	v1 := `{"title":"old","x-event":{"key":null,"topic":"first"}}`
	v2 := `{"$id":"https://example.com/b.json","title":"new","description":"d","x-event":{"key":["/a","/b"],"idempotency":"required",
	  "on_store_failure":"publish","body_limit":"64KiB"},"examples":[{"a": 1, "b":1234567890123456789012}]}`
	set, err := files{"b/v2.json": v2, "b/v1.json": v1, "a/v1.json": keyed(`"/id"`)}.load(t)
	require.NoError(t, err)
	require.Equal(t, []EventType{
		{Name: "a", Newest: &event.Definition{Type: "a", Version: "v1", Topic: "a", KeyPointers: []string{"/id"}}, Versions: []string{"v1"}},
		{
			Name: "b", Title: "new", Description: "d", Versions: []string{"v1", "v2"},
			Newest: &event.Definition{
				Type: "b", Version: "v2", Topic: "b", KeyPointers: []string{"/a", "/b"}, IdempotencyRequired: true,
				OnStoreFailure: event.PublishOnStoreFailure, BodyLimit: 64 << 10, SchemaID: "https://example.com/b.json",
			},
			Examples: []json.RawMessage{[]byte(`{"a":1,"b":1234567890123456789012}`)},
		},
	}, set.Types())
	require.Equal(t, []string{"a", "b", "first"}, set.Topics())
	raw, err := set.Schema("b", "v1")
	require.NoError(t, err)
	require.Equal(t, v1, string(raw))
}
