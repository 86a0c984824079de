package webhook

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNewSaysAllThatIsWrong(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*Config)
		want   []string // all of them, in order; each is the start of a line
	}{
		{name: "nothing", change: func(c *Config) { *c = Config{} }, want: []string{
			"name: must be 1 to 100 letters", "scheme: is missing; it is one of", "event_type: is missing", "secrets: there is none",
		}},
		{name: "no secret", change: func(c *Config) { c.Secrets = nil }, want: []string{"secrets: there is none; without one anybody could send"}},
		{name: "empty secret", change: func(c *Config) { c.Secrets = []string{"a", "", " \t"} }, want: []string{"secrets: the second is empty", "secrets: the third is empty"}},
		{name: "unknown scheme", change: func(c *Config) { c.Scheme = "strype" }, want: []string{`scheme: "strype" is unknown; it is one of `}},
		{name: "upper-case scheme", change: func(c *Config) { c.Scheme = "Stripe" }, want: []string{`scheme: "Stripe" is unknown`}},
		{name: "slash in name", change: func(c *Config) { c.Name = "a/b" }, want: []string{"name: must be"}},
		{name: "dots as name", change: func(c *Config) { c.Name = ".." }, want: []string{"name: must be"}},
		{name: "long name", change: func(c *Config) { c.Name = strings.Repeat("n", 101) }, want: []string{"name: must be"}},
		{name: "negative tolerance", change: func(c *Config) { c.Tolerance = -1 }, want: []string{"tolerance: is negative"}},
		{name: "event type with two placeholders", change: func(c *Config) { c.EventType = "{type}.{type}" }, want: []string{`event_type: "{type}.{type}" may have the placeholder {type} once`}},
		{name: "event type with another placeholder", change: func(c *Config) { c.EventType = "a.{id}" }, want: []string{`event_type: "a.{id}" may have`}},
		{name: "event type with a slash", change: func(c *Config) { c.EventType = "a/{type}" }, want: []string{`event_type: "a/{type}" is not an event type`}},
		{name: "relative URL", change: func(c *Config) { c.PublicURL = "/hook" }, want: []string{"public_url: must be a full URL"}},
		{name: "ftp URL", change: func(c *Config) { c.PublicURL = "ftp://example.com/hook" }, want: []string{"public_url: must be a full URL"}},
		{name: "id", change: func(c *Config) { c.ID = "id" }, want: []string{`id: "id" is neither "header:Name" nor a JSON Pointer such as "/id", nor "body-hash"`}},
		{name: "id in a bad header", change: func(c *Config) { c.ID = "header:a b" }, want: []string{`id: "header:a b" names no header`}},
		{name: "type by hash", change: func(c *Config) { c.Type = "body-hash" }, want: []string{"type: a hash names no type"}},
		{name: "type at a bad pointer", change: func(c *Config) { c.Type = "/a~2" }, want: []string{`type: "/a~2" is not a JSON Pointer`}},
		{name: "type at a pointer that is not UTF-8", change: func(c *Config) { c.Type = "/\xff" }, want: []string{`type: "/\xff" is not a JSON Pointer`}},
		{name: "items at a bad pointer", change: func(c *Config) { c.Items = "data" }, want: []string{`items: "data" is not a JSON Pointer`}},
		{name: "no type for the template", change: func(c *Config) { c.Scheme = "bearer" }, want: []string{`type: is missing; {type} in event_type needs it with the scheme "bearer"`}},
		{name: "hmac elsewhere", change: func(c *Config) { c.HMAC = &HMAC{Header: "X"} }, want: []string{`hmac: is for the scheme "hmac" only`}},
		{name: "hmac missing", change: func(c *Config) { c.Scheme, c.Type = "hmac", "/type" }, want: []string{"hmac: is missing"}},
		{name: "hmac all wrong", change: func(c *Config) {
			c.Scheme, c.Type = "hmac", "/type"
			c.HMAC = &HMAC{Header: "X Y", Encoding: "base32", Algorithm: "md5", Timestamp: "a:b", Signed: "{url}"}
		}, want: []string{
			`hmac.header: "X Y"`, `hmac.encoding: "base32"`, `hmac.algorithm: "md5"`, `hmac.timestamp: "a:b"`,
			"hmac.signed: must have {body}", "hmac.signed: must have {timestamp}", "public_url: is missing",
		}},
		{name: "hmac {timestamp} without header", change: generic("{timestamp}{body}"), want: []string{"hmac.timestamp: is missing"}},
		{name: "hmac {id} without header", change: generic("{id}{body}"), want: []string{"hmac.signed: {id} needs a header"}},
		{name: "hmac unknown field", change: generic("{host}{body}"), want: []string{"hmac.signed: {host} is unknown"}},
		{name: "hmac bad header field", change: generic("{header:}{body}"), want: []string{"hmac.signed: {header:} is unknown"}},
		{name: "hmac open brace", change: generic("{body"), want: []string{`hmac.signed: "{body" has a "{"`}},
		{name: "hmac closing brace", change: generic("}{body}"), want: []string{`hmac.signed: "}{body}" has a "}"`}},
		{name: "hmac trailing brace", change: generic("{body}}"), want: []string{`hmac.signed: "{body}}" has a "}"`}},
		{name: "basic without password", change: func(c *Config) { c.Scheme, c.Type, c.Secrets = "basic", "/type", []string{"user:p", "user:"} }, want: []string{`secrets: the second must be a user, ":" and a password`}},
		{name: "standard not base64", change: func(c *Config) { c.Scheme, c.Secrets = "standard", []string{"whsec_$"} }, want: []string{"secrets: the first must be whsec_"}},
		{name: "standard short public key", change: func(c *Config) { c.Scheme, c.Secrets = "standard", []string{"whpk_AAAA"} }, want: []string{"secrets: the first is not an ed25519 public key: it has 3 bytes, not 32"}},
		{name: "standard private key", change: func(c *Config) { c.Scheme, c.Secrets = "standard", []string{"whsk_AAAA"} }, want: []string{"secrets: the first is a private key (whsk_)"}},
		{name: "standard nothing in it", change: func(c *Config) { c.Scheme, c.Secrets = "standard", []string{"whsec_"} }, want: []string{"secrets: the first must be whsec_"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg := Config{Name: "shop", Scheme: "stripe", Secrets: []string{"whsec_top_secret"}, EventType: "shop.{type}"}
			tc.change(&cfg)
			s, err := New(cfg)
			require.Error(t, err)
			require.Nil(t, s)
			lines := strings.Split(err.Error(), "\n")
			require.Len(t, lines, len(tc.want), err.Error())
			for i, want := range tc.want {
				require.True(t, strings.HasPrefix(lines[i], want), "%q does not start with %q", lines[i], want)
			}
			for _, secret := range cfg.Secrets {
				if len(secret) > len("whsec_") {
					require.NotContains(t, err.Error(), secret)
				}
			}
		})
	}
}

// generic changes a configuration to the scheme "hmac" with a template.
func generic(signed string) func(*Config) {
	return func(c *Config) {
		c.Scheme, c.Type, c.HMAC = "hmac", "/type", &HMAC{Header: "X-Sig", Signed: signed}
	}
}

func TestSchemesAreSorted(t *testing.T) {
	t.Parallel()
	names := Schemes()
	require.True(t, slices.IsSorted(names))
	require.Len(t, names, len(schemes))
	require.Len(t, slices.Compact(slices.Clone(names)), len(names))
	for _, name := range names {
		require.Equal(t, strings.ToLower(name), name)
	}
}

func TestNewTakesTheTablesOwnPlaces(t *testing.T) {
	t.Parallel()
	for _, row := range schemes {
		if !slices.Equal(row.id, []string{noID}) {
			require.NotPanics(t, func() { alternatives(row.id...) }, row.name)
		}
		require.NotPanics(t, func() { alternatives(row.typ...) }, row.name)
		require.NotEmpty(t, row.id, row.name)
		if row.items != never {
			_, err := parsePointer(row.items)
			require.NoError(t, err, row.name)
		}
	}
}
