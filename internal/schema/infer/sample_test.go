package infer

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRead(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		data  string
		lines []string
	}{
		"one object":          {`{"a":1}`, []string{"s.json:1"}},
		"over several lines":  {"\n{\n\"a\":1\n}\n", []string{"s.json:2"}},
		"JSON lines":          {"{\"a\":1}\n\n{\"a\":2}\r\n{\"a\":3}", []string{"s.json:1", "s.json:3", "s.json:4"}},
		"a list":              {"[\n{\"a\":1},\n{\"a\":2}]", []string{"s.json:2", "s.json:3"}},
		"lists and objects":   {"[{}] {} [] [{},\n{}]", []string{"s.json:1", "s.json:1", "s.json:1", "s.json:2"}},
		"an object of a list": {`{"a":[1,2]}`, []string{"s.json:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var lines []string
			for _, s := range read(t, tc.data) {
				lines = append(lines, s.Source)
			}
			require.Equal(t, tc.lines, lines)
		})
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ data, want string }{
		"nothing":           {" \n", "s.json: holds no event; put one JSON object into it"},
		"an empty list":     {"[]", "s.json: holds no event"},
		"a byte order mark": {"\xef\xbb\xbf{}", "s.json: starts with a byte order mark"},
		"no JSON":           {"{\"a\":1}\norder", "s.json:2: is not JSON: "},
		"cut off":           {"{\"a\":\n1", "s.json:2: ends inside a JSON value"},
		"a name twice":      {"{\"a\":{\"b\":1,\n\"b\":2}}", "s.json:2: the member /a/b appears twice"},
		"a number":          {"{}\n1", "s.json:2: a sample must be an object, the event as it is posted; this is a number"},
		"a list in a list":  {"[{},\n[]]", "s.json:2: a sample must be an object, the event as it is posted; this is a list"},
		"a string in one":   {`["a"]`, "this is a string"},
		"null":              {`null`, "this is a null"},
		"true":              {`true`, "this is a boolean"},
		"bad UTF-8":         {"{\"a\":\"\xff\"}", "s.json:1: is not JSON: invalid UTF-8"},
		"too deep":          {strings.Repeat(`{"a":`, 100), "nested more than 64 deep"},
		"too many":          {strings.Repeat("{}", maxSamples+1), "more than 10000 samples"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Read("s.json", []byte(tc.data))
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, 1, strings.Count(err.Error(), "s.json"))
		})
	}
}
