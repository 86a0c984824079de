package auth

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

// syncBuffer is a log that several goroutines write.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// authenticator accepts tokens until the test ends.
func authenticator(t *testing.T, cfg Config, logger *slog.Logger) *Authenticator {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	a, err := New(ctx, cfg, logger)
	require.NoError(t, err)
	t.Cleanup(func() {
		cancel()
		a.Wait()
	})
	return a
}

func show(t *testing.T, a *Authenticator, token string) (*Caller, error) {
	t.Helper()
	return a.Authenticate(t.Context(), Credentials{Authorization: []string{"Bearer " + token}}, testNow)
}

func TestExtensionsAreRefused(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	a := authenticator(t, Config{Tokens: []TokenConfig{i.config()}}, quiet)
	for name, c := range map[string]struct {
		header map[string]any
		ok     bool
	}{
		"none":               {nil, true},
		"unknown members":    {map[string]any{"x": 1, "typ": "at+jwt"}, true},
		"unknown extension":  {map[string]any{"crit": []string{"x"}, "x": 1}, false},
		"known elsewhere":    {map[string]any{"crit": []string{"b64"}, "b64": true}, false},
		"registered name":    {map[string]any{"crit": []string{"exp"}, "exp": 1}, false},
		"member is missing":  {map[string]any{"crit": []string{"x"}}, false},
		"empty":              {map[string]any{"crit": []string{}}, false},
		"null":               {map[string]any{"crit": nil}, false},
		"a text":             {map[string]any{"crit": "x"}, false},
		"kid is not a text":  {map[string]any{"kid": 7}, false},
		"kid is another one": {map[string]any{"kid": "none"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := map[string]any{"kid": "rsa"}
			maps.Copy(header, c.header)
			_, err := show(t, a, signed(t, jwt.SigningMethodRS256, i.key, claims(func(jwt.MapClaims) {}), header))
			if c.ok {
				require.NoError(t, err)
				return
			}
			requireRefusal(t, err, BadToken)
		})
	}
}

func TestRequiredClaims(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	cfg := i.config()
	cfg.Audience = "" // as access tokens of Amazon Cognito, which have no aud
	cfg.Required = map[string][]string{"client_id": {"app-1", "app-2"}, "token_use": {"access"}, "/org/ids": {"7"}}
	a := authenticator(t, Config{Tokens: []TokenConfig{cfg}}, quiet)
	good := func(c jwt.MapClaims) {
		delete(c, "aud")
		c["client_id"], c["token_use"], c["org"] = "app-2", "access", map[string]any{"ids": []any{"x", 7}}
	}
	for name, c := range map[string]struct {
		change func(jwt.MapClaims)
		ok     bool
	}{
		"all":                   {func(jwt.MapClaims) {}, true},
		"another audience":      {func(c jwt.MapClaims) { c["aud"] = "x" }, true},
		"the other value":       {func(c jwt.MapClaims) { c["client_id"] = "app-1" }, true},
		"in a list":             {func(c jwt.MapClaims) { c["client_id"] = []string{"x", "app-1"} }, true},
		"no claim":              {func(c jwt.MapClaims) { delete(c, "client_id") }, false},
		"another value":         {func(c jwt.MapClaims) { c["client_id"] = "app-3" }, false},
		"part of the value":     {func(c jwt.MapClaims) { c["client_id"] = "app-" }, false},
		"the values joined":     {func(c jwt.MapClaims) { c["client_id"] = "app-1 app-2" }, false},
		"null":                  {func(c jwt.MapClaims) { c["client_id"] = nil }, false},
		"an object":             {func(c jwt.MapClaims) { c["client_id"] = map[string]any{"app-1": true} }, false},
		"one of them":           {func(c jwt.MapClaims) { c["token_use"] = "id" }, false},
		"nested, another":       {func(c jwt.MapClaims) { c["org"] = map[string]any{"ids": []any{8}} }, false},
		"nested, not an object": {func(c jwt.MapClaims) { c["org"] = "7" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := show(t, a, i.sign(t, claims(func(m jwt.MapClaims) { good(m); c.change(m) })))
			if c.ok {
				require.NoError(t, err)
				return
			}
			requireRefusal(t, err, BadToken)
		})
	}
}

func TestNestedClaims(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	for name, c := range map[string]struct {
		path   string
		claims string
		may    bool
	}{
		"name":                    {"events", `{"events":["orders.*"]}`, true},
		"name that is a URL":      {"https://example.com/events", `{"https://example.com/events":["orders.*"]}`, true},
		"name with a colon":       {"cognito:groups", `{"cognito:groups":["orders.*"]}`, true},
		"name with dots":          {"a.b", `{"a.b":["orders.*"],"a":{"b":["x"]}}`, true},
		"dots":                    {"realm_access.roles", `{"realm_access":{"roles":["offline_access","orders.*"]}}`, true},
		"pointer":                 {"/realm_access/roles", `{"realm_access":{"roles":["orders.*"]}}`, true},
		"three levels":            {"resource_access.gateway.roles", `{"resource_access":{"gateway":{"roles":["orders.*"]}}}`, true},
		"pointer, name with dots": {"/resource_access/my.gateway/roles", `{"resource_access":{"my.gateway":{"roles":["orders.*"]}}}`, true},
		"pointer, escapes":        {"/a~1b/c~0d/~01", `{"a/b":{"c~d":{"~1":"orders.*"}}}`, true},
		"nothing there":           {"realm_access.roles", `{"realm_access":{}}`, false},
		"no object on the way":    {"realm_access.roles", `{"realm_access":["orders.*"]}`, false},
		"the object itself":       {"realm_access", `{"realm_access":{"roles":["orders.*"]}}`, false},
		"an index":                {"/roles/0", `{"roles":["orders.*"]}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := i.config()
			cfg.EventsClaim = c.path
			a := authenticator(t, Config{Tokens: []TokenConfig{cfg}}, quiet)
			caller, err := show(t, a, i.sign(t, claims(func(m jwt.MapClaims) {
				delete(m, "events")
				require.NoError(t, json.Unmarshal([]byte(c.claims), &m))
			})))
			require.NoError(t, err)
			require.Equal(t, c.may, caller.May("orders.placed"))
		})
	}
	cfg := i.config()
	cfg.ClientClaim = "act.sub"
	a := authenticator(t, Config{Tokens: []TokenConfig{cfg}}, quiet)
	caller, err := show(t, a, i.sign(t, claims(func(m jwt.MapClaims) { m["act"] = map[string]any{"sub": "inner"} })))
	require.NoError(t, err)
	require.Equal(t, "jwt:inner", caller.Name)
}

func TestSeveralIssuers(t *testing.T) {
	t.Parallel()
	one, two := newIssuer(t), newIssuer(t)
	first, second := one.config(), two.config()
	second.Issuer, second.Audience, second.ClientPrefix, second.EventsClaim = "https://two", "", "jwt2:", "roles"
	second.Required = map[string][]string{"azp": {"shop"}}
	other := second // the same issuer, for another kind of token
	other.Audience, other.Required = "gateway", nil
	a := authenticator(t, Config{Tokens: []TokenConfig{first, second, other}}, quiet)
	of := func(issuer *issuer, change func(jwt.MapClaims)) string { return issuer.sign(t, claims(change)) }
	asTwo := func(c jwt.MapClaims) { c["iss"], c["azp"], c["roles"] = "https://two", "shop", []string{"payments.*"} }

	caller, err := show(t, a, of(one, func(jwt.MapClaims) {}))
	require.NoError(t, err)
	require.Equal(t, "jwt:shop", caller.Name)
	require.True(t, caller.May("orders.placed"))

	caller, err = show(t, a, of(two, func(c jwt.MapClaims) { asTwo(c); delete(c, "aud") }))
	require.NoError(t, err)
	require.Equal(t, "jwt2:shop", caller.Name)
	require.True(t, caller.May("payments.captured"))
	require.False(t, caller.May("orders.placed"))

	_, err = show(t, a, of(two, func(c jwt.MapClaims) { asTwo(c); delete(c, "azp") }))
	require.NoError(t, err, "the second entry of that issuer takes it")

	for name, token := range map[string]string{
		"keys of the other issuer":     of(one, asTwo),
		"the other way round":          of(two, func(jwt.MapClaims) {}),
		"unknown issuer":               of(one, func(c jwt.MapClaims) { c["iss"] = "https://three" }),
		"no issuer":                    of(one, func(c jwt.MapClaims) { delete(c, "iss") }),
		"issuers in a list":            of(one, func(c jwt.MapClaims) { c["iss"] = []string{"https://issuer"} }),
		"fits neither entry of two":    of(two, func(c jwt.MapClaims) { asTwo(c); delete(c, "azp"); c["aud"] = "x" }),
		"no token":                     "a.b.c",
		"payload is no object":         "e30." + base64.RawURLEncoding.EncodeToString([]byte(`[]`)) + ".x",
		"audience of the other issuer": of(one, func(c jwt.MapClaims) { delete(c, "aud"); c["azp"] = "shop" }),
	} {
		_, err := show(t, a, token)
		requireRefusal(t, err, BadToken)
		require.Error(t, err, name)
	}
	_, err = show(t, a, of(two, func(c jwt.MapClaims) { asTwo(c); c["exp"] = testNow.Add(-time.Hour).Unix() }))
	requireRefusal(t, err, ExpiredToken)
}

// A token whose claim is a configured client's name is not that client.
func TestTokensAreNotConfiguredClients(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	list, good, _ := clients(t)
	token := func(sub string) string { return i.sign(t, claims(func(c jwt.MapClaims) { c["sub"] = sub })) }
	for name, c := range map[string]struct {
		prefix, sub, want string // want "": refused
	}{
		"prefix":                   {"jwt:", "web", "jwt:web"},
		"no prefix":                {"", "web", ""},
		"no prefix, another name":  {"", "shop", "shop"},
		"no prefix, anonymous":     {"", "anonymous", ""},
		"the claim makes the name": {"w", "eb", ""},
	} {
		cfg := i.config()
		cfg.ClientPrefix = c.prefix
		a := authenticator(t, Config{Clients: list, Tokens: []TokenConfig{cfg}}, quiet)
		caller, err := show(t, a, token(c.sub))
		if c.want == "" {
			requireRefusal(t, err, BadToken)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, c.want, caller.Name, name)
		caller, err = show(t, a, good)
		require.NoError(t, err)
		require.Equal(t, "web", caller.Name)
	}
	cfg := i.config()
	cfg.ClientPrefix = ""
	a := authenticator(t, Config{Tokens: []TokenConfig{cfg}}, quiet)
	_, err := show(t, a, token("web"))
	require.NoError(t, err)
	a.Replace(list) // the name is now a configured client's
	_, err = show(t, a, token("web"))
	requireRefusal(t, err, BadToken)
}

// serve is an issuer whose key set is what handler answers.
func serve(t *testing.T, handler http.HandlerFunc) TokenConfig {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return TokenConfig{Issuer: "https://issuer", Audience: "gateway", KeysURL: server.URL + "/keys?token=s3cret", ClientClaim: "sub", ClientPrefix: "jwt:", EventsClaim: "events", Client: server.Client()}
}

func TestFetchesAreBounded(t *testing.T) {
	t.Parallel()
	const one = `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`
	var asked atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write([]byte(one))
	}))
	t.Cleanup(elsewhere.Close)
	answer := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		log     string // "": it is fetched
	}{
		"good":             {answer(one), ""},
		"largest":          {answer(one + strings.Repeat(" ", maxKeySetBytes-len(one))), ""},
		"too large":        {answer(one + strings.Repeat(" ", maxKeySetBytes-len(one)+1)), "larger than 1048576 bytes"},
		"redirect":         {http.RedirectHandler(elsewhere.URL, http.StatusFound).ServeHTTP, "it redirects"},
		"redirect to self": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusPermanentRedirect) }, "it redirects"},
		"not found":        {http.NotFound, "the answer is 404"},
		"no content":       {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, "the answer is 204"},
		"not JSON":         {answer("<html>"), "not a JSON Web Key Set"},
		"no keys":          {answer(`{}`), `it has no \"keys\"`},
		"keys no list":     {answer(`{"keys":{}}`), "not a JSON Web Key Set"},
		"silent":           {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "deadline exceeded"}, // takes fetchTimeout
		"endless": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(bytes.Repeat([]byte{' '}, 1<<16)); err != nil {
					return
				}
			}
		}, "larger than 1048576 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log syncBuffer
			a := authenticator(t, Config{Tokens: []TokenConfig{serve(t, c.handler)}}, slog.New(slog.NewTextHandler(&log, nil)))
			require.NotContains(t, log.String(), "s3cret")
			if c.log == "" {
				require.NoError(t, a.Ready(t.Context()))
				require.Empty(t, log.String())
				return
			}
			require.Error(t, a.Ready(t.Context()))
			require.Contains(t, log.String(), c.log)
		})
	}
	t.Cleanup(func() { require.Zero(t, asked.Load(), "a redirect was followed") })
}

// TestKeysVerifyWhatTheyAreFor: a token is verified with a key of its id that may sign in
// its way, and with no other.
func TestKeysVerifyWhatTheyAreFor(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	type m = map[string]any
	for name, c := range map[string]struct {
		keys   []json.RawMessage
		key    *rsa.PrivateKey
		method jwt.SigningMethod
		ok     bool
	}{
		"one":                             {[]json.RawMessage{jwk(t, &key.PublicKey, nil)}, key, jwt.SigningMethodRS256, true},
		"for its algorithm":               {[]json.RawMessage{jwk(t, &key.PublicKey, m{"alg": "PS256"})}, key, jwt.SigningMethodPS256, true},
		"for another algorithm":           {[]json.RawMessage{jwk(t, &key.PublicKey, m{"alg": "PS256"})}, key, jwt.SigningMethodRS256, false},
		"for encryption":                  {[]json.RawMessage{jwk(t, &key.PublicKey, m{"use": "enc"})}, key, jwt.SigningMethodRS256, false},
		"for encryption by its operation": {[]json.RawMessage{jwk(t, &key.PublicKey, m{"key_ops": []string{"encrypt"}})}, key, jwt.SigningMethodRS256, false},
		"1,024 bits":                      {[]json.RawMessage{jwk(t, &weak.PublicKey, nil)}, weak, jwt.SigningMethodRS256, false},
		"two of one id":                   {[]json.RawMessage{jwk(t, &weak.PublicKey, nil), jwk(t, &key.PublicKey, m{"use": "sig"})}, key, jwt.SigningMethodRS256, true},
		"another id":                      {[]json.RawMessage{jwk(t, &key.PublicKey, m{"kid": "other"})}, key, jwt.SigningMethodRS256, false},
		"a key without an id":             {[]json.RawMessage{jwk(t, &key.PublicKey, m{"kid": nil})}, key, jwt.SigningMethodRS256, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			document, err := json.Marshal(m{"keys": c.keys})
			require.NoError(t, err)
			a := authenticator(t, Config{Tokens: []TokenConfig{serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(document) })}}, quiet)
			_, err = show(t, a, signed(t, c.method, c.key, claims(func(jwt.MapClaims) {}), map[string]any{"kid": "k"}))
			if c.ok {
				require.NoError(t, err)
				return
			}
			requireRefusal(t, err, BadToken)
		})
	}
}

// A key that is not used is named in the log once for each set, however often it is
// fetched and in whatever order.
func TestSkippedKeysAreLoggedOnce(t *testing.T) {
	t.Parallel()
	const good = `{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	const odd = `{"kty":"OKP","crv":"Ed25519","kid":"odd","use":"enc","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	var set atomic.Value
	serving := func(keys ...string) { set.Store(`{"keys":[` + strings.Join(keys, ",") + `]}`) }
	serving(good, odd)
	var log syncBuffer
	cfg := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(set.Load().(string))) })
	s := newKeySet(cfg.Issuer, cfg.KeysURL, cfg.Client, slog.New(slog.NewTextHandler(&log, nil)))
	lines := func() int {
		return strings.Count(log.String(), `issuer=https://issuer kid=odd reason="use is \"enc\", not \"sig\""`)
	}
	for range 3 {
		require.True(t, s.fetch(t.Context()))
	}
	require.Equal(t, 1, lines(), log.String())
	serving(odd, good)
	require.True(t, s.fetch(t.Context()))
	require.Equal(t, 1, lines())
	serving(odd)
	require.True(t, s.fetch(t.Context()))
	require.Equal(t, 2, lines())
	require.Contains(t, log.String(), "has no key that can be used")
	require.ErrorContains(t, s.ready(), "no key that can be used")
	serving()
	require.True(t, s.fetch(t.Context()))
	require.Equal(t, 2, strings.Count(log.String(), "has no key that can be used"))
	var many []string
	for i := range 3 * maxKeys {
		many = append(many, fmt.Sprintf(`{"kty":"x","kid":"k%d"}`, i))
	}
	serving(many...)
	before := strings.Count(log.String(), "\n")
	require.True(t, s.fetch(t.Context()))
	require.LessOrEqual(t, strings.Count(log.String(), "\n")-before, maxSkippedLines+2)
}
