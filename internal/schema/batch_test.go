package schema

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// A refused event still belongs to its entity: in a batch, other events wait for it.
func TestInvalidDataMayHaveAKey(t *testing.T) {
	t.Parallel()
	set := one(t, `{"x-event":{"key":"/id"},"type":"object","properties":{"n":{"type":"integer"}}}`)
	for name, c := range map[string]struct {
		data string
		kind event.Kind
		key  string // "": none
	}{
		"breaks the schema":            {`{"id":"o-1","n":"x"}`, event.SchemaViolation, "o-1"},
		"breaks the schema, no key":    {`{"n":"x"}`, event.SchemaViolation, ""},
		"no key":                       {`{}`, event.KeyMissing, ""},
		"no JSON":                      {`{"id":"o-1"`, event.MalformedJSON, ""},
		"no object":                    {`[]`, event.SchemaViolation, ""},
		"breaks the schema, no string": {`{"id":{},"n":"x"}`, event.SchemaViolation, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checked, err := set.Check("t", "", []byte(c.data))
			require.Equal(t, c.kind, refusal(t, err).Kind)
			if c.key == "" {
				require.Nil(t, checked.Key)
				return
			}
			require.Equal(t, c.key, *checked.Key)
		})
	}
}

func TestDataLimitOfTheType(t *testing.T) {
	t.Parallel()
	set := one(t, `{"x-event":{"key":null,"body_limit":10}}`)
	_, err := set.Check("t", "", []byte(`"12345678"`))
	require.NoError(t, err)
	checked, err := set.Check("t", "", []byte(`"123456789"`))
	refused := refusal(t, err)
	require.Equal(t, event.EventTooLarge, refused.Kind)
	require.Equal(t, "The data has 11 bytes; events of type t may have 10.", refused.Detail)
	require.NotNil(t, checked.Definition)
}

func TestKeyByOtherPointers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pointers []string
		data     string
		want     string
		kind     event.Kind
	}{
		"one":        {[]string{"/data/object/id"}, `{"data":{"object":{"id":"ch_1"}}}`, "ch_1", ""},
		"two":        {[]string{"/a", "/b"}, `{"a":"x:","b":2}`, "x%3A:2", ""},
		"missing":    {[]string{"/a"}, `{}`, "", event.KeyMissing},
		"no JSON":    {[]string{"/a"}, `{`, "", event.MalformedJSON},
		"no pointer": {[]string{"a"}, `{}`, "", event.KeyMissing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key, err := EntityKey(c.pointers, []byte(c.data))
			if c.kind != "" {
				require.Equal(t, c.kind, refusal(t, err).Kind)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, *key)
		})
	}
	key, err := EntityKey(nil, []byte(`{"id":"x"}`))
	require.NoError(t, err)
	require.Nil(t, key, "no pointers, no entity")
}

func TestContentMode(t *testing.T) {
	t.Parallel()
	for mode, structured := range map[string]bool{`"structured"`: true, `"binary"`: false} {
		def, err := one(t, `{"x-event":{"key":null,"content_mode":`+mode+`}}`).Lookup("t", "")
		require.NoError(t, err)
		require.Equal(t, structured, def.Structured, mode)
	}
	lines := files{"t/v1.json": `{"x-event":{"key":null,"content_mode":"batch"}}`}.problems(t)
	require.Contains(t, strings.Join(lines, "\n"), `/x-event/content_mode: must be "binary"`)
}

func TestVersionOfSchema(t *testing.T) {
	t.Parallel()
	set, err := files{
		"t/v1.json": `{"$id":"https://example.com/t/1","x-event":{"key":null}}`,
		"t/v2.json": `{"$id":"https://example.com/t/2","x-event":{"key":null}}`,
		"u/v1.json": `{"x-event":{"key":null}}`,
	}.load(t)
	require.NoError(t, err)
	version, ok := set.VersionOfSchema("t", "https://example.com/t/1")
	require.True(t, ok)
	require.Equal(t, "v1", version)
	for eventType, id := range map[string]string{"t": "https://example.com/t/3", "u": "", "x": "https://example.com/t/1"} {
		_, ok := set.VersionOfSchema(eventType, id)
		require.False(t, ok, eventType)
	}
}
