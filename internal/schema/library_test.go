package schema

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What the schema library gets means what the file says.
func TestLibraryReadsWhatTheFileSays(t *testing.T) {
	t.Parallel()
	const nbsp = "\u00a0"
	for name, c := range map[string]struct {
		schema         string // after x-event
		valid, invalid string
	}{
		"pattern":                         {`"pattern":"^\\s$"`, `"` + nbsp + `"`, `"a"`},
		"pattern below":                   {`"items":{"anyOf":[{"pattern":"^\\s$"}]}`, `["` + nbsp + `"]`, `["a"]`},
		"patternProperties":               {`"patternProperties":{"^\\s$":false}`, `{"a":1}`, `{"` + nbsp + `":1}`},
		"patterns with one translation":   {`"patternProperties":{"^\\s$":{"type":"integer"},"^[\\s]$":{"minimum":5}}`, `{"` + nbsp + `":5}`, `{"` + nbsp + `":4}`},
		"a reference through a pattern":   {`"patternProperties":{"^\\s/~$":{"type":"integer"}},"properties":{"a":{"$ref":"#/patternProperties/%5E%5Cs~1~0$"}}`, `{"a":1}`, `{"a":"x"}`},
		"propertyNames":                   {`"propertyNames":{"pattern":"^\\S$"}`, `{"a":1}`, `{"` + nbsp + `":1}`},
		"a reference to an unknown place": {`"components":{"x":{"pattern":"^\\s$"}},"$ref":"#/components/x"`, `"` + nbsp + `"`, `"a"`},
		"a const is data":                 {`"const":{"pattern":"^\\s$"}`, `{"pattern":"^\\s$"}`, `{"pattern":"x"}`},
		"an empty enum":                   {`"properties":{"a":{"enum":[]}}`, `{}`, `{"a":1}`},
		"an empty enum beside not":        {`"enum":[],"not":{"type":"string"},"allOf":[{"type":"integer"}]`, ``, `1`},
		"a large number":                  {`"const":12345678901234567890.123456789,"pattern":"\\s"`, `12345678901234567890.123456789`, `12345678901234567890.123456788`},
		"a multiple of ten":               {`"multipleOf":1e1,"pattern":"\\s"`, `20`, `21`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := one(t, `{"x-event":{"key":null},`+c.schema+`}`)
			if c.valid != "" {
				_, err := set.Check("t", "", []byte(c.valid))
				require.NoError(t, err)
			}
			_, err := set.Check("t", "", []byte(c.invalid))
			refusal(t, err)
		})
	}
	set := one(t, `{"x-event":{"key":null},"pattern":"^\\s'\"$"}`)
	_, err := set.Check("t", "", []byte(`"a"`))
	require.Equal(t, `does not match pattern '^\\s\'"$'`, refusal(t, err).Violations[0].Message, "as the file has it")
}
