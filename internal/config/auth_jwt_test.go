package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIssuers(t *testing.T) {
	t.Parallel()
	cfg := loadText(t, `
auth:
  jwt:
    - { issuer: a, audience: x, jwks_url: "https://a.example/k" }
    - { issuer: b, required: { client_id: [one, two], "/org/id": 7, verified: true }, jwks_url: "http://127.0.0.1:8/k", events_claim: realm_access.roles, rate: 5/s }
    - { issuer: b, audience: y, jwks_url: "http://localhost:8/k" }
    - { issuer: c, audience: y, jwks_url: "https://c.example/k", client_prefix: "c/" }
`)
	list := cfg.Auth.JWT
	require.Len(t, list, 4)
	require.Equal(t, RequiredClaims{"client_id": {"one", "two"}, "/org/id": {"7"}, "verified": {"true"}}, list[1].Required)
	var prefixes []string
	for i := range list {
		prefixes = append(prefixes, list.Prefix(i))
	}
	require.Equal(t, []string{"jwt:", "jwt2:", "jwt2:", "c/"}, prefixes)

	cfg = loadText(t, `auth: { jwt: { issuer: a, audience: x, jwks_url: "https://a.example/k", client_prefix: "" } }`)
	require.Len(t, cfg.Auth.JWT, 1)
	require.Empty(t, cfg.Auth.JWT.Prefix(0))
}

// TestIssuersAreApart: no claim of one issuer can make the name of another's client, or
// of a configured one.
func TestIssuersAreApart(t *testing.T) {
	t.Parallel()
	const one, two = `{ issuer: a, audience: x, jwks_url: "https://a.example/k"`, `{ issuer: b, audience: x, jwks_url: "https://b.example/k"`
	client := func(name string) string {
		return `clients: [ { name: "` + name + `", events: ["*"], keys: [ { hash: "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" } ] } ], `
	}
	for name, c := range map[string]struct{ auth, wrong string }{
		"defaults":              {`jwt: [` + one + ` }, ` + two + ` }]`, ""},
		"the same":              {`jwt: [` + one + ` }, ` + two + `, client_prefix: "jwt:" }]`, "auth.jwt[1].client_prefix: begins like that of another issuer"},
		"one begins the other":  {`jwt: [` + one + `, client_prefix: "j" }, ` + two + `, client_prefix: "jk" }]`, "auth.jwt[1].client_prefix"},
		"the other way":         {`jwt: [` + one + `, client_prefix: "jk" }, ` + two + `, client_prefix: "j" }]`, "auth.jwt[1].client_prefix"},
		"none beside another":   {`jwt: [` + one + `, client_prefix: "" }, ` + two + ` }]`, "auth.jwt[1].client_prefix"},
		"a space":               {`jwt: ` + one + `, client_prefix: "a b" }`, "auth.jwt.client_prefix: is longer than 50 bytes or has a space"},
		"client of that prefix": {client("jwt:shop") + `jwt: ` + one + ` }`, `auth.clients[0].name: begins as the names of clients of tokens do, "jwt:"`},
		"another client":        {client("shop") + `jwt: ` + one + ` }`, ""},
		"no prefix":             {client("shop") + `jwt: ` + one + `, client_prefix: "" }`, ""},
		"nothing required":      {`jwt: { issuer: a, required: {}, jwks_url: "https://a.example/k" }`, "auth.jwt.audience: is missing"},
		"empty value":           {`jwt: { issuer: a, required: { x: "" }, jwks_url: "https://a.example/k" }`, "auth.jwt.required.x: has no value"},
		"no value in a list":    {`jwt: { issuer: a, required: { x: [] }, jwks_url: "https://a.example/k" }`, "auth.jwt.required.x: has no value"},
		"plain http":            {`jwt: [{ issuer: a, audience: x, jwks_url: "http://a.example/k" }]`, "auth.jwt[0].jwks_url: is not an https URL"},
		"password in the URL":   {`jwt: { issuer: a, audience: x, jwks_url: "https://u:p@a.example/k" }`, "auth.jwt.jwks_url"},
		"empty list":            {`jwt: []`, "auth: names no clients"},
		"a text":                {`jwt: x`, "auth.jwt: is a single value, not a mapping"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load("gateway.yaml", []byte("auth: { "+c.auth+" }\n"), nil)
			if c.wrong == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.wrong)
		})
	}
}
