package strictjson

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
)

func TestErrors(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		data string
		want Error
		not  bool // Check does not mind
	}{
		"empty":           {" \n", Error{Kind: Empty}, false},
		"byte order mark": {"\xef\xbb\xbf{}", Error{Kind: ByteOrderMark}, false},
		"cut off":         {`{"a":[1,2`, Error{Kind: EndsInside, Offset: 9}, false},
		"trailing data":   {"{}\n {}", Error{Kind: TrailingData, Offset: 4}, false},
		"duplicate name":  {`{"b":{"c~":1,"c~":2}}`, Error{Kind: DuplicateName, Offset: 13, Pointer: "/b/c~0"}, false},
		"not JSON":        {`[NaN]`, Error{Kind: NotJSON, Offset: 1, Pointer: "/0", Reason: "invalid character 'N' at start of value"}, false},
		"too deep":        {nested(MaxDepth + 1), Error{Kind: TooDeep, Offset: 64}, false},
		"braces in text":  {`{"` + strings.Repeat(`[\"`, MaxDepth+1) + `":[}]}`, Error{Kind: NotJSON}, false},
		"long number":     {strings.Repeat("1", MaxNumberLength+1), Error{Kind: LongNumber, Length: MaxNumberLength + 1}, true},
		"huge exponent":   {"[1,1e401]", Error{Kind: HugeExponent, Offset: 3, Pointer: "/1"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse([]byte(tc.data))
			errs := []error{err}
			if err := Check([]byte(tc.data)); tc.not {
				require.NoError(t, err)
			} else {
				errs = append(errs, err)
			}
			for _, err := range errs {
				var wrong *Error
				require.ErrorAs(t, err, &wrong)
				require.Equal(t, tc.want.Kind, wrong.Kind)
				require.Contains(t, wrong.Error(), "at byte offset ")
				if tc.want == (Error{}) {
					continue
				}
				if got := *wrong; tc.want.Kind != TooDeep && tc.want.Kind != EndsInside {
					require.Equal(t, tc.want, got)
				}
				require.Equal(t, tc.want.Offset, wrong.Offset)
				require.Equal(t, tc.want.Length, wrong.Length)
			}
		})
	}
	_, err := Parse([]byte(`{1:2}`)) // to Check it is just not JSON
	require.Equal(t, &Error{Kind: BadName, Offset: 1, Reason: "object member name must be a string"}, err)
	require.Equal(t, "c~", (&Error{Pointer: "/b/c~0"}).Name())
}

func TestExplain(t *testing.T) {
	t.Parallel()
	require.Equal(t, &Error{Kind: NotJSON, Reason: "x"}, Explain(errors.New("x"), 7))
	long := Explain(&jsontext.SyntacticError{Err: errors.New(strings.Repeat("é", maxReason))}, 7)
	require.Equal(t, strings.Repeat("é", maxReason/2)+"…", long.Reason)
}

func TestLineOf(t *testing.T) {
	t.Parallel()
	data := []byte("{\n\"a\":\n[1,\n{\"b/\":2}]}")
	for pointer, line := range map[string]int{"": 1, "/a": 2, "/a/0": 3, "/a/1": 4, "/a/1/b~1": 4, "/x": 0} {
		require.Equal(t, line, LineOf(data, pointer), pointer)
	}
}
