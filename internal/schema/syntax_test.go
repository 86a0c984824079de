package schema

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/strictjson"
)

func nested(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

func TestSyntaxErrors(t *testing.T) {
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
		"65 deep":                   {nested(strictjson.MaxDepth + 1), 1, 65, 64, "nested more than 64 deep"},
		"65 objects deep":           {strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65), 1, 321, 320, "nested more than 64 deep"},
		"number too long":           {"[" + strings.Repeat("1", strictjson.MaxNumberLength+1) + "]", 1, 2, 1, "1001 characters"},
		"exponent too large":        {`{"a":1e401}`, 1, 6, 5, "exponent"},
		"exponent too small":        {`1e-401`, 1, 1, 0, "exponent"},
		"hostile exponent":          {`1e9999999`, 1, 1, 0, "exponent"},
		"exponent overflows int":    {`1E+99999999999999999999`, 1, 1, 0, "exponent"},
		"long paths to many values": {`{"` + strings.Repeat("n", 100_000) + `":[` + strings.Repeat("1,", 10_000) + `1]}`, 1, 100_178, 100_177, "names on the way"},
		"million deep":              {strings.Repeat("[", 1_000_000), 1, 65, 64, "nested more than 64 deep"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parse([]byte(tc.data))
			var syntax *syntaxError
			require.ErrorAs(t, err, &syntax)
			require.Contains(t, syntax.What, tc.what)
			require.LessOrEqual(t, len(syntax.What), maxMessage+3)
			require.Equal(t, []int{tc.line, tc.column, tc.offset}, []int{syntax.Line, syntax.Column, syntax.Offset}, syntax.What)
		})
	}
}
