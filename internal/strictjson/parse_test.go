package strictjson

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
	kilo := strings.Repeat("1", MaxNumberLength)
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
			doc, err := Parse([]byte(tc.data))
			require.NoError(t, err)
			require.Equal(t, tc.want, doc.Root)
			doc.Release()
			require.NoError(t, Check([]byte(tc.data)))
		})
	}
	t.Run("long paths to few values", func(t *testing.T) {
		t.Parallel()
		long := `"` + strings.Repeat("n", 100_000) + `"`
		doc, err := Parse([]byte(`{` + long + `:{` + long + `:[1,2,3]}}`))
		require.NoError(t, err)
		doc.Release()
	})
	t.Run("64 deep", func(t *testing.T) {
		t.Parallel()
		doc, err := Parse([]byte(nested(MaxDepth)))
		require.NoError(t, err)
		doc.Release()
	})
}

// A document that has held one text must not show it in the next.
func TestDocumentIsCleanAfterUse(t *testing.T) {
	t.Parallel()
	for range 3 { // documents come back out of the pool; one that is in it twice would serve two
		used, err := Parse([]byte(`{"a":{"x":1},"b":[1,"2",{"y":[{}]}],"c":"` + strings.Repeat("x", 2000) + `"}`))
		require.NoError(t, err)
		used.Release()
		_, err = Parse([]byte(`{"a":{"x":1},"b":[1,"2",{"y":[{`))
		require.Error(t, err)
		used, err = Parse([]byte(`{"d":[{}]}`))
		require.NoError(t, err)
		require.Equal(t, map[string]any{"d": []any{map[string]any{}}}, used.Root)
		used.Release()
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
			doc, err := Parse(data)
			require.NoError(t, err)
			require.Equal(t, list, doc.Root)
			doc.Release()
		}
	}
}

// FuzzParse: no input panics, what is accepted means to encoding/json what it
// means here, and Check agrees but for the limits that are Parse's alone.
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
		doc, err := Parse(data)
		checked := Check(data)
		require.Equal(t, before, string(data), "the data were changed")
		if err != nil {
			var wrong *Error
			require.ErrorAs(t, err, &wrong)
			require.LessOrEqual(t, wrong.Offset, len(data))
			require.NotEmpty(t, wrong.Error())
			alone := wrong.Kind == LongNumber || wrong.Kind == HugeExponent || wrong.Kind == LongPaths
			require.True(t, alone || checked != nil, "Check accepts what is %v", wrong)
			return
		}
		require.NoError(t, checked)
		dec := json.NewDecoder(strings.NewReader(before))
		dec.UseNumber()
		var want any
		require.NoError(t, dec.Decode(&want))
		require.Equal(t, want, doc.Root)
		doc.Release()
	})
}
