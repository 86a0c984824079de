package schema

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func nested(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

func TestParseAccepts(t *testing.T) {
	t.Parallel()
	kilo := strings.Repeat("1", maxNumberLength)
	for name, tc := range map[string]struct {
		data string
		want any
	}{
		"null":                  {`null`, nil},
		"scalars":               {`[true,false,"a",null]`, []any{true, false, "a", nil}},
		"white space":           {" \r\n\t{ \"a\" : [ 1 , 2 ] } \n", map[string]any{"a": []any{json.Number("1"), json.Number("2")}}},
		"empty containers":      {`{"a":{},"b":[],"":""}`, map[string]any{"a": map[string]any{}, "b": []any{}, "": ""}},
		"nested arrays":         {`[[1],[2,[3]],[]]`, []any{[]any{json.Number("1")}, []any{json.Number("2"), []any{json.Number("3")}}, []any{}}},
		"escapes":               {`{"\u0061\/":"\ud83d\ude00\n\"\\"}`, map[string]any{"a/": "😀\n\"\\"}},
		"punctuation in text":   {`{"a,:":", :","b":":"}`, map[string]any{"a,:": ", :", "b": ":"}},
		"15 digits":             {`[123456789012345,-12345678901234]`, []any{json.Number("123456789012345"), json.Number("-12345678901234")}},
		"16 digits":             {`1234567890123456`, json.Number("1234567890123456")},
		"minus zero":            {`-0`, json.Number("-0")},
		"zero":                  {`0`, json.Number("0")},
		"fraction":              {`1.0`, json.Number("1.0")},
		"exponent at the limit": {`[1e400,1E-400,1e+0400]`, []any{json.Number("1e400"), json.Number("1E-400"), json.Number("1e+0400")}},
		"longest number":        {kilo, json.Number(kilo)},
		"case differs":          {`{"a":1,"A":2}`, map[string]any{"a": json.Number("1"), "A": json.Number("2")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tree, p, err := parse([]byte(tc.data))
			require.NoError(t, err)
			require.Equal(t, tc.want, tree)
			p.release()
		})
	}
	t.Run("long paths to few values", func(t *testing.T) {
		t.Parallel()
		long := `"` + strings.Repeat("n", 100_000) + `"`
		_, p, err := parse([]byte(`{` + long + `:{` + long + `:[1,2,3]}}`))
		require.NoError(t, err)
		p.release()
	})
	t.Run("64 deep", func(t *testing.T) {
		t.Parallel()
		_, p, err := parse([]byte(nested(maxDepth)))
		require.NoError(t, err)
		p.release()
	})
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		data         string
		line, column int
		offset       int
		what         string
	}{
		"empty":                     {"", 1, 1, 0, "empty"},
		"white space only":          {" \n ", 1, 1, 0, "empty"},
		"byte order mark":           {"\xef\xbb\xbf{}", 1, 1, 0, "byte order mark"},
		"not JSON":                  {"hello", 1, 1, 0, "invalid character 'h'"},
		"NaN":                       {`{"a":NaN}`, 1, 6, 5, "invalid character 'N'"},
		"Infinity":                  {`-Infinity`, 1, 2, 1, "invalid character 'I'"},
		"leading zero":              {`[01]`, 1, 3, 2, "invalid character '1'"},
		"single quotes":             {`{'a':1}`, 1, 2, 1, "invalid character '\\''"},
		"comment":                   {"{\n // x\n}", 2, 2, 3, "invalid character '/'"},
		"trailing comma":            {`{"a":1,}`, 1, 7, 6, "invalid character ','"},
		"missing comma":             {"{\n  \"ä\": \"é\" \"b\": 1}", 2, 12, 15, "after object value"},
		"numeric name":              {`{1:2}`, 1, 2, 1, "member name must be a string"},
		"cut off":                   {`{"a":[1,2`, 1, 10, 9, "ends inside"},
		"cut off in text":           {`{"a":"b`, 1, 8, 7, "ends inside"},
		"trailing data":             {"{}\n {}", 2, 2, 4, "more data follows"},
		"trailing garbage":          {`{}x`, 1, 3, 2, "more data follows"},
		"trailing zero byte":        {"{}\x00", 1, 3, 2, "more data follows"},
		"duplicate name":            {`{"a":1,"b":{"c":1,"c":2}}`, 1, 19, 18, `"c" appears twice`},
		"escaped duplicate":         {`{"a":1,"\u0061":2}`, 1, 8, 7, `"a" appears twice`},
		"invalid UTF-8":             {"[\"\xff\"]", 1, 3, 2, "UTF-8"},
		"invalid UTF-8 in name":     {"{\"\xc3\x28\":1}", 1, 3, 2, "UTF-8"},
		"lone surrogate":            {`["\ud800"]`, 1, 3, 2, "surrogate"},
		"lone low surrogate":        {`["\udc00x"]`, 1, 3, 2, "surrogate"},
		"control character":         {"[\"a\nb\"]", 1, 4, 3, "invalid character"},
		"65 deep":                   {nested(maxDepth + 1), 1, 65, 64, "nested more than 64 deep"},
		"65 objects deep":           {strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65), 1, 321, 320, "nested more than 64 deep"},
		"number too long":           {"[" + strings.Repeat("1", maxNumberLength+1) + "]", 1, 2, 1, "1001 characters"},
		"exponent too large":        {`{"a":1e401}`, 1, 6, 5, "exponent"},
		"exponent too small":        {`1e-401`, 1, 1, 0, "exponent"},
		"hostile exponent":          {`1e9999999`, 1, 1, 0, "exponent"},
		"exponent overflows int":    {`1E+99999999999999999999`, 1, 1, 0, "exponent"},
		"long paths to many values": {`{"` + strings.Repeat("n", 100_000) + `":[` + strings.Repeat("1,", 10_000) + `1]}`, 1, 100_178, 100_177, "names on the way"},
		"million deep":              {strings.Repeat("[", 1_000_000), 1, 65, 64, "nested more than 64 deep"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := parse([]byte(tc.data))
			var syntax *syntaxError
			require.ErrorAs(t, err, &syntax)
			require.Contains(t, syntax.What, tc.what)
			require.LessOrEqual(t, len(syntax.What), maxMessage+3)
			require.Equal(t, []int{tc.line, tc.column, tc.offset}, []int{syntax.Line, syntax.Column, syntax.Offset}, syntax.What)
		})
	}
}

// A parser that has seen one document must not show it in the next.
func TestParserIsCleanAfterUse(t *testing.T) {
	t.Parallel()
	for range 3 { // parsers come back out of the pool; one that is in it twice would serve two
		_, used, err := parse([]byte(`{"a":{"x":1},"b":[1,"2",{"y":[{}]}],"c":"` + strings.Repeat("x", 2000) + `"}`))
		require.NoError(t, err)
		used.release()
		_, _, err = parse([]byte(`{"a":{"x":1},"b":[1,"2",{"y":[{`))
		require.Error(t, err)
		tree, used, err := parse([]byte(`{"d":[{}]}`))
		require.NoError(t, err)
		require.Equal(t, map[string]any{"d": []any{map[string]any{}}}, tree)
		used.release()
	}
}

func TestParseKeepsManyItems(t *testing.T) {
	t.Parallel()
	for _, n := range []int{keptItems - 1, keptItems, keptItems + 1, 10 * keptItems} {
		list := make([]any, n)
		for i := range list {
			list[i] = []any{json.Number(strconv.Itoa(i)), map[string]any{"i": json.Number(strconv.Itoa(i))}}
		}
		data, err := json.Marshal(list)
		require.NoError(t, err)
		for range 2 {
			tree, p, err := parse(data)
			require.NoError(t, err)
			require.Equal(t, list, tree)
			p.release()
		}
	}
}

// FuzzParse: no input panics, and what is accepted means to encoding/json what
// it means here.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		``, ` `, `null`, `-0`, `1e9999999`, `-1e-9999999`, `[1e400]`, `1.0`, `123456789012345`, `1234567890123456`,
		strings.TrimSuffix(strings.Repeat("9e999999,", 114), ","), "[" + strings.TrimSuffix(strings.Repeat("9e999999,", 114), ",") + "]",
		strings.Repeat("9", 1001), nested(64), nested(65), strings.Repeat("[", 100_000), strings.Repeat(`{"a":`, 70),
		`{"\u0061":1,"a":2}`, `{"a":1,"a":2}`, `{"a":{"a":1},"b":[{"a":1},{"a":2}]}`, `{"A":1,"a":2}`,
		`"\ud800"`, `"\ud83d\ude00"`, "\"\xff\"", "\xef\xbb\xbf{}", `{} {}`, "{}\x00", `NaN`, `[1,]`, `{"a":1,}`,
		"{\"a\" \n:\t[1 ,2, \"x\\\\\"],\"\":{}}", `{"a,":":","\"":"\\"}`, `"\u2028\u0000"`, `[[],[[]],{}]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := string(data)
		tree, p, err := parse(data)
		require.Equal(t, before, string(data), "the data were changed")
		if err != nil {
			var syntax *syntaxError
			require.ErrorAs(t, err, &syntax)
			require.LessOrEqual(t, syntax.Offset, len(data))
			return
		}
		dec := json.NewDecoder(strings.NewReader(before))
		dec.UseNumber()
		var want any
		require.NoError(t, dec.Decode(&want))
		require.Equal(t, want, tree)
		p.release()
	})
}
