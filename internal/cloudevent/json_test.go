package cloudevent

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

const required = `"specversion":"1.0","id":"1","source":"/s","type":"t"`

// with is a CloudEvent with these additional members.
func with(members string) string { return "{" + required + "," + members + "}" }

func TestParse(t *testing.T) {
	t.Parallel()
	least := func(change func(*Event)) Event {
		e := Event{SpecVersion: "1.0", Type: "t", Data: []byte("{}")}
		e.ID, e.Source = "1", "/s"
		change(&e)
		return e
	}
	for name, c := range map[string]struct {
		text string
		want Event
	}{
		"least":                {with(`"data":{}`), least(func(*Event) {})},
		"members in any order": {`{"data":{},"type":"t","source":"/s","id":"1","specversion":"1.0"}`, least(func(*Event) {})},
		"white space":          {" \n{ " + required + ` , "data" : {} } ` + "\n", least(func(*Event) {})},
		"all": {
			with(`"time":"2026-01-31T12:00:00.5+01:00","subject":"s","dataschema":"https://example.com/s","datacontenttype":"application/json","data":{}`),
			least(func(e *Event) {
				e.Time, e.Subject, e.DataSchema, e.DataContentType = "2026-01-31T12:00:00.5+01:00", "s", "https://example.com/s", "application/json"
			}),
		},
		"data to the byte": {with(`"data": { "a":12345678901234567890.10,"b":"\u0041" } `), least(func(e *Event) {
			e.Data = []byte(`{ "a":12345678901234567890.10,"b":"\u0041" }`)
		})},
		"data is a string": {with(`"data":"x"`), least(func(e *Event) { e.Data = []byte(`"x"`) })},
		"data in base64":   {with(`"data_base64":"eyJhIjoxfQ=="`), least(func(e *Event) { e.Data = []byte(`{"a":1}`) })},
		"null is unset": {
			with(`"subject":null,"time":null,"tenant":null,"data_base64":null,"data":{}`), least(func(*Event) {}),
		},
		"extensions": {with(`"a":"x","b":7,"c":-2147483648,"d":true,"e":false,"f":"7","g":-0,"data":{}`), least(func(e *Event) {
			e.Extensions = []event.Extension{
				{Name: "a", Value: "x"},
				{Name: "b", Value: "7", Literal: true},
				{Name: "c", Value: "-2147483648", Literal: true},
				{Name: "d", Value: "true", Literal: true},
				{Name: "e", Value: "false", Literal: true},
				{Name: "f", Value: "7"},
				{Name: "g", Value: "0", Literal: true},
			}
		})},
		"empty extensions": {with(`"tracestate":"","tenant":"","data":{}`), least(func(e *Event) {
			e.Extensions = []event.Extension{{Name: "tracestate"}, {Name: "tenant"}}
		})},
		"escaped member name": {with(`"d\u0061ta":{}`), least(func(*Event) {})},
		"text beyond ASCII":   {with(`"subject":"Euro \u20ac 😀","data":{}`), least(func(e *Event) { e.Subject = "Euro € 😀" })},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Parse([]byte(c.text))
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text   string
		kind   event.Kind
		detail string
	}{
		"nothing":                {"", event.MalformedJSON, "ends inside"},
		"no object":              {`[]`, event.MalformedJSON, "is a JSON object"},
		"cut short":              {`{"id":"1`, event.MalformedJSON, "ends inside"},
		"no JSON":                {`{"id":1x}`, event.MalformedJSON, "byte offset 7"},
		"member twice":           {with(`"id":"2","data":{}`), event.MalformedJSON, "same member name twice"},
		"escaped member twice":   {with(`"data":{},"d\u0061ta":{}`), event.MalformedJSON, "same member name twice"},
		"null twice":             {with(`"data":{},"a":null,"a":null`), event.MalformedJSON, "same member name twice"},
		"too many members":       {with(`"data":{}` + manyNulls(maxMembers)), event.MalformedRequest, "more than 74 members"},
		"not UTF-8":              {with("\"subject\":\"\xff\",\"data\":{}"), event.MalformedJSON, "not JSON"},
		"lone surrogate":         {with(`"subject":"\ud800","data":{}`), event.MalformedJSON, "not JSON"},
		"trailing data":          {with(`"data":{}`) + "{}", event.MalformedJSON, "More data follows"},
		"byte order mark":        {"\xef\xbb\xbf" + with(`"data":{}`), event.MalformedJSON, "not JSON"},
		"no specversion":         {`{"id":"1","source":"/s","type":"t","data":{}}`, event.MalformedRequest, "lacks the attribute specversion"},
		"no id":                  {`{"specversion":"1.0","source":"/s","type":"t","data":{}}`, event.MalformedRequest, "lacks the attribute id"},
		"id is null":             {`{"specversion":"1.0","id":null,"source":"/s","type":"t","data":{}}`, event.MalformedRequest, "lacks the attribute id"},
		"no source":              {`{"specversion":"1.0","id":"1","type":"t","data":{}}`, event.MalformedRequest, "lacks the attribute source"},
		"no type":                {`{"specversion":"1.0","id":"1","source":"/s","data":{}}`, event.MalformedRequest, "lacks the attribute type"},
		"the past":               {`{"specversion":"0.3","id":"1","source":"/s","type":"t","data":{}}`, event.MalformedRequest, "The attribute specversion must be 1.0"},
		"specversion a number":   {`{"specversion":1.0,"id":"1","source":"/s","type":"t","data":{}}`, event.MalformedRequest, "The attribute specversion is a number"},
		"id a number":            {`{"specversion":"1.0","id":1,"source":"/s","type":"t","data":{}}`, event.MalformedRequest, "The attribute id must be a string"},
		"empty id":               {`{"specversion":"1.0","id":"","source":"/s","type":"t","data":{}}`, event.MalformedRequest, "The attribute id must not be empty"},
		"long subject":           {with(`"subject":"` + strings.Repeat("s", 2049) + `","data":{}`), event.MalformedRequest, "longer than 2048"},
		"control character":      {with(`"subject":"a\nb","data":{}`), event.MalformedRequest, "without control characters"},
		"no time":                {with(`"time":"now","data":{}`), event.MalformedRequest, "RFC 3339"},
		"source no URI":          {`{"specversion":"1.0","id":"1","source":":no","type":"t","data":{}}`, event.MalformedRequest, "URI reference"},
		"no data":                {"{" + required + "}", event.MalformedJSON, "has no data"},
		"data is null":           {with(`"data":null`), event.MalformedJSON, "has no data"},
		"both data":              {with(`"data":{},"data_base64":"e30="`), event.MalformedRequest, "one of them"},
		"both data, reversed":    {with(`"data_base64":"e30=","data":{}`), event.MalformedRequest, "one of them"},
		"no base64":              {with(`"data_base64":"{}"`), event.MalformedRequest, "The attribute data_base64 must be base64"},
		"base64 no string":       {with(`"data_base64":7`), event.MalformedRequest, "must be a string"},
		"extension an object":    {with(`"x":{},"data":{}`), event.MalformedRequest, "The attribute x is an object"},
		"extension of 33 bits":   {with(`"x":2147483648,"data":{}`), event.MalformedRequest, "more than 32 bits; send it as a string"},
		"extension a fraction":   {with(`"x":1.5,"data":{}`), event.MalformedRequest, "fraction"},
		"extension in camelCase": {with(`"myExt":"x","data":{}`), event.MalformedRequest, `The member "myExt" of the CloudEvent is not a name for an extension`},
		"empty, in camelCase":    {with(`"myExt":"","data":{}`), event.MalformedRequest, `"myExt"`},
		"name with a line break": {with(`"my\next":"x","data":{}`), event.MalformedRequest, `"my\next"`},
		"name beyond ASCII":      {with(`"ä":"x","data":{}`), event.MalformedRequest, `"\u00e4"`},
		"name without end":       {with(`"` + strings.Repeat("ab-", 99) + `":"x","data":{}`), event.MalformedRequest, `-a"…`},
		"extension twice":        {with(`"tenant":"x","tenant":"x","data":{}`), event.MalformedJSON, `the same member name twice in one object: "tenant"`},
		"empty subject":          {with(`"subject":"","data":{}`), event.MalformedRequest, "The attribute subject must not be empty"},
		"empty time":             {with(`"time":"","data":{}`), event.MalformedRequest, "The attribute time must not be empty"},
		"empty content type":     {with(`"datacontenttype":"","data":{}`), event.MalformedRequest, "The attribute datacontenttype must not be empty"},
		"empty dataschema":       {with(`"dataschema":"","data":{}`), event.MalformedRequest, "The attribute dataschema must not be empty"},
		"extension with a dash":  {with(`"my-ext":"x","data":{}`), event.MalformedRequest, `"my-ext" of the CloudEvent is not a name for an extension`},
		"33 extensions":          {with(many(33) + `"data":{}`), event.MalformedRequest, "more than 32"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse([]byte(c.text))
			requireRefusal(t, err, c.kind, c.detail)
		})
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"x%d":"v",`, i)
	}
	return b.String()
}

func requireRefusal(t *testing.T, err error, kind event.Kind, detail string) {
	t.Helper()
	var e *event.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, event.NotWritten, e.Outcome)
	require.Equal(t, kind, e.Kind, e.Detail)
	require.Contains(t, e.Detail, detail)
}

// In a batch, the entity of a refused event is still known.
func TestFaultyEventsKeepTheirData(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		with(`"time":"now","data":{"a":1}`),
		with(`"data":{"a":1},"time":"now"`),
		`{"type":"t","data":{"a":1}}`,
	} {
		e, err := Parse([]byte(text))
		require.Error(t, err)
		require.Equal(t, "t", e.Type)
		require.Equal(t, `{"a":1}`, string(e.Data), text)
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"empty":                   {"[]", []string{}},
		"white space":             {" [ {} ,\n[1] ] ", []string{"{}", "[1]"}},
		"bad items are items":     {`[{"a":1,"a":2},7,null,"x"]`, []string{`{"a":1,"a":2}`, "7", "null", `"x"`}},
		"bad UTF-8 in an item":    {"[\"\xff\",{}]", []string{"\"\xff\"", "{}"}},
		"as many as there may be": {"[" + strings.Repeat("{},", MaxBatch-1) + "{}]", strings.Split(strings.Repeat("{},", MaxBatch-1)+"{}", ",")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			items, err := split([]byte(c.text))
			require.NoError(t, err)
			got := []string{}
			for _, item := range items {
				got = append(got, string(item))
			}
			require.Equal(t, c.want, got)
		})
	}
	for name, c := range map[string]struct {
		text   string
		kind   event.Kind
		detail string
	}{
		"nothing":        {"", event.MalformedJSON, "ends inside"},
		"an event":       {"{}", event.MalformedJSON, "is a JSON array"},
		"cut short":      {"[{}", event.MalformedJSON, "ends inside"},
		"cut in an item": {`[{"a"`, event.MalformedJSON, "ends inside"},
		"no JSON":        {"[x]", event.MalformedJSON, "byte offset 1"},
		"comma at end":   {"[{},]", event.MalformedJSON, "not JSON"},
		"trailing data":  {"[{}] x", event.MalformedJSON, "at byte offset 5"},
		"too many":       {"[" + strings.Repeat("0,", MaxBatch) + "0]", event.EventTooLarge, "more than 1000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := split([]byte(c.text))
			requireRefusal(t, err, c.kind, c.detail)
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		with(`"data":{}`), with(`"data_base64":"e30="`), with(`"x":1,"y":true,"subject":null,"data":[1,2]`),
		with(`"d\u0061ta":"\ud83d\ude00"`), `{"a":1,"a":2}`, `[`, `{"data":` + strings.Repeat("[", 100), "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := Parse(text)
		if err != nil {
			var refused *event.Error
			require.ErrorAs(t, err, &refused)
			require.LessOrEqual(t, len(refused.Detail), 400)
			return
		}
		require.Empty(t, e.Missing())
		require.NotNil(t, e.Data)
		require.LessOrEqual(t, len(e.Extensions), maxExtensions)
		for _, x := range append(e.Extensions, event.Extension{Value: e.ID}, event.Extension{Value: e.Source}, event.Extension{Value: e.Subject}) {
			require.True(t, Plain(x.Value))
			require.LessOrEqual(t, len(x.Value), MaxAttributeBytes)
		}
	})
}

func FuzzParseBatch(f *testing.F) {
	for _, seed := range []string{"[]", "[{},{}]", "[" + with(`"data":{}`) + "]", `[{"a":1,"a":2}]`, "[\xff]", "[[[[", "[1,2,]", ""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		items, err := split(text)
		if err != nil {
			var refused *event.Error
			require.ErrorAs(t, err, &refused)
			return
		}
		require.LessOrEqual(t, len(items), MaxBatch)
		size := 0
		for _, item := range items {
			size += len(item)
			_, _ = Parse(item)
		}
		require.LessOrEqual(t, size, len(text))
		if good, ok := parseGood(text); ok {
			requireAsAlone(t, items, good)
		}
	})
}

func requireAsAlone(t *testing.T, texts [][]byte, items []Item) {
	t.Helper()
	require.Len(t, items, len(texts))
	for i, text := range texts {
		e, err := Parse(text)
		require.Equal(t, err, items[i].Err)
		require.Equal(t, e, items[i].Event)
	}
}

// Each item is read as if it had been sent alone, in one pass or not.
func TestParseBatch(t *testing.T) {
	t.Parallel()
	good := with(`"time":"2026-01-31T12:00:00Z","x":7,"data":{"a":[1,{"b":"\u0041"}]}`)
	for name, c := range map[string]struct {
		items []string
		good  bool
	}{
		"empty":             {nil, true},
		"good":              {[]string{good, " " + with(`"d\u0061ta":"x"`) + "\n", with(`"data_base64":"e30="`)}, true},
		"as many as may be": {slices.Repeat([]string{good}, MaxBatch), true},
		"other sources": {[]string{
			good, strings.Replace(good, `"/s"`, `"\u002fs"`, 1), strings.Replace(good, `"/s"`, `"/r"`, 1), good, good,
			strings.Replace(good, `"t"`, `"u"`, 1), good,
		}, true},
		"a bad source twice":     {slices.Repeat([]string{strings.Replace(good, `"/s"`, `":no"`, 1)}, 2), false},
		"a fault":                {[]string{good, with(`"time":"now","data":{"a":1}`), good}, false},
		"something missing":      {[]string{`{"type":"t","data":{}}`, good}, false},
		"no data":                {[]string{good, "{" + required + "}"}, false},
		"no object":              {[]string{good, "7", "null", `["x"]`, good}, false},
		"a member twice":         {[]string{with(`"id":"2","data":{}`), good}, false},
		"a member in all":        {[]string{with(`"subject":"a","data":{}`), with(`"subject":"b","data":{}`)}, true},
		"not UTF-8":              {[]string{good, with("\"subject\":\"\xff\",\"data\":{}"), good}, false},
		"data that is not UTF-8": {[]string{with("\"data\":\"\xff\""), good}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := []byte(" [" + strings.Join(c.items, ",") + "] ")
			_, ok := parseGood(text)
			require.Equal(t, c.good, ok)
			texts, err := split(text)
			require.NoError(t, err)
			items, err := ParseBatch(text)
			require.NoError(t, err)
			requireAsAlone(t, texts, items)
		})
	}
	for name, text := range map[string]string{
		"behind it": "[" + good + "] x", "cut short": "[" + good, "comma at end": "[" + good + ",]",
		"too many": "[" + strings.Repeat(good+",", MaxBatch) + good + "]",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, want := split([]byte(text))
			_, err := ParseBatch([]byte(text))
			require.Error(t, err)
			require.Equal(t, want, err)
		})
	}
}

// manyNulls are members that set nothing.
func manyNulls(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"x%d":null`, i)
	}
	return b.String()
}
