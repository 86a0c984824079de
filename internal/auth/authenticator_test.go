package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

var testNow = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// clients are "web" with two keys, the second expired, and "mobile" with
// certificates.
func clients(t testing.TB) (list []Client, good, expired string) {
	t.Helper()
	hashed := func() (string, Hash) {
		key, text := NewKey()
		hash, ok := ParseHash(text)
		require.True(t, ok)
		return key, hash
	}
	good, goodHash := hashed()
	expired, expiredHash := hashed()
	return []Client{
		{
			Name: "web", Events: []string{"orders.*"},
			Keys: []Key{{Hash: goodHash, Expires: testNow.Add(time.Second)}, {Hash: expiredHash, Expires: testNow}},
		},
		{Name: "mobile", Events: []string{"payments.*"}, Certificates: []string{"mobile.example.com", "spiffe://example.com/mobile"}},
	}, good, expired
}

func TestNewKeys(t *testing.T) {
	t.Parallel()
	key, hash := NewKey()
	other, _ := NewKey()
	require.NotEqual(t, key, other)
	require.Regexp(t, `^gwk_[A-Za-z0-9_-]{43}$`, key)
	require.Regexp(t, `^sha256:[0-9a-f]{64}$`, hash)
	for _, bad := range []string{"", "sha256:", hash[7:], "md5:" + hash[7:], hash + "0", hash[:len(hash)-1] + "g"} {
		_, ok := ParseHash(bad)
		require.False(t, ok, bad)
	}
	// echo -n gwk_test | sha256sum
	want, ok := ParseHash("sha256:f59a1139b6c700eaf9c7360823810bed1f8e4e3180f74ada404c6897f39fe3ab")
	require.True(t, ok)
	require.Equal(t, want, Hash(sha256.Sum256([]byte("gwk_test"))))
}

func TestKeys(t *testing.T) {
	t.Parallel()
	list, good, expired := clients(t)
	a, err := New(t.Context(), Config{Clients: list}, nil)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		authorization []string
		reason        Reason // "": web
	}{
		"good":                 {[]string{"Bearer " + good}, ""},
		"scheme in any case":   {[]string{"bEARER " + good}, ""},
		"spaces around":        {[]string{" Bearer  " + good + " "}, ""},
		"none":                 {nil, Missing},
		"expired":              {[]string{"Bearer " + expired}, ExpiredKey},
		"unknown":              {[]string{"Bearer gwk_" + strings.Repeat("A", 43)}, UnknownKey},
		"one character more":   {[]string{"Bearer " + good + "A"}, UnknownKey},
		"one character less":   {[]string{"Bearer " + good[:len(good)-1]}, UnknownKey},
		"its hash":             {[]string{"Bearer sha256:" + strings.Repeat("0", 64)}, UnknownKey},
		"a token, but no keys": {[]string{"Bearer a.b.c"}, UnknownKey},
		"twice":                {[]string{"Bearer " + good, "Bearer " + good}, Malformed},
		"two in one":           {[]string{"Bearer " + good + ", Bearer " + good}, Malformed},
		"basic":                {[]string{"Basic " + good}, Malformed},
		"no scheme":            {[]string{good}, Malformed},
		"empty":                {[]string{""}, Malformed},
		"scheme alone":         {[]string{"Bearer "}, Malformed},
		"far too long":         {[]string{"Bearer " + strings.Repeat("A", 10_000)}, Malformed},
		"a space in it":        {[]string{"Bearer " + good + " x"}, Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			caller, err := a.Authenticate(t.Context(), Credentials{Authorization: c.authorization}, testNow)
			if c.reason == "" {
				require.NoError(t, err)
				require.Equal(t, "web", caller.Name)
				require.True(t, caller.May("orders.placed"))
				require.False(t, caller.May("payments.captured"))
				return
			}
			requireRefusal(t, err, c.reason)
			require.Nil(t, caller)
			require.NotContains(t, err.Error(), good)
		})
	}
}

func requireRefusal(t *testing.T, err error, reason Reason) {
	t.Helper()
	var refusal *Refusal
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, reason, refusal.Reason, err)
}

func TestReplacedClients(t *testing.T) {
	t.Parallel()
	list, good, _ := clients(t)
	a, err := New(t.Context(), Config{Clients: list}, nil)
	require.NoError(t, err)
	credentials := Credentials{Authorization: []string{"Bearer " + good}}
	_, err = a.Authenticate(t.Context(), credentials, testNow)
	require.NoError(t, err)
	a.Replace(list[1:])
	_, err = a.Authenticate(t.Context(), credentials, testNow)
	requireRefusal(t, err, UnknownKey)
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	list, good, _ := clients(t)
	a, err := New(t.Context(), Config{Clients: list, CertificateNames: []string{CertificateDNS, CertificateURI}}, nil)
	require.NoError(t, err)
	id, err := url.Parse("spiffe://example.com/mobile")
	require.NoError(t, err)
	for name, cert := range map[string]*x509.Certificate{
		"DNS name": {DNSNames: []string{"other.example.com", "mobile.example.com"}}, "URI": {URIs: []*url.URL{id}},
	} {
		caller, err := a.Authenticate(t.Context(), Credentials{Certificate: cert}, testNow)
		require.NoError(t, err, name)
		require.Equal(t, "mobile", caller.Name, name)
	}
	for name, cert := range map[string]*x509.Certificate{"nobody's": {DNSNames: []string{"x.example.com"}}, "without names": {}} {
		_, err := a.Authenticate(t.Context(), Credentials{Certificate: cert}, testNow)
		requireRefusal(t, err, UnknownCertificate)
		require.Error(t, err, name)
	}
	both := Credentials{Certificate: &x509.Certificate{DNSNames: []string{"mobile.example.com"}}, Authorization: []string{"Bearer " + good}}
	caller, err := a.Authenticate(t.Context(), both, testNow)
	require.NoError(t, err)
	require.Equal(t, "web", caller.Name, "the request's credential counts before the connection's certificate")
	both.Authorization = []string{"Bearer gwk_wrong"}
	_, err = a.Authenticate(t.Context(), both, testNow)
	requireRefusal(t, err, UnknownKey)
}

// issuer serves a key set and signs tokens.
type issuer struct {
	*httptest.Server
	key   *rsa.PrivateKey
	other *ecdsa.PrivateKey
	kids  atomic.Value // []string that are served
	asked atomic.Int64
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	i := &issuer{}
	var err error
	i.key, err = rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	i.other, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	i.kids.Store([]string{"rsa"})
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.asked.Add(1)
		var set jwkset.JWKSMarshal
		for _, kid := range i.kids.Load().([]string) {
			var public any = &i.key.PublicKey
			if kid == "ec" {
				public = &i.other.PublicKey
			}
			jwk, err := jwkset.NewJWKFromKey(public, jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: kid}})
			if err != nil {
				panic(err)
			}
			set.Keys = append(set.Keys, jwk.Marshal())
		}
		_ = json.NewEncoder(w).Encode(set)
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) config() TokenConfig {
	return TokenConfig{
		Issuer: "https://issuer", Audience: "gateway", KeysURL: i.URL, ClientClaim: "sub", ClientPrefix: "jwt:", EventsClaim: "events", Client: i.Client(),
	}
}

func claims(change func(jwt.MapClaims)) jwt.MapClaims {
	c := jwt.MapClaims{
		"iss": "https://issuer", "aud": "gateway", "sub": "shop", "exp": testNow.Add(time.Minute).Unix(), "events": []string{"orders.*"},
	}
	change(c)
	return c
}

func (i *issuer) sign(t testing.TB, c jwt.MapClaims) string {
	t.Helper()
	return signed(t, jwt.SigningMethodRS256, i.key, c, map[string]any{"kid": "rsa"})
}

// signed is a token with more members of its header than the method gives it.
func signed(t testing.TB, method jwt.SigningMethod, key any, c jwt.MapClaims, header map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(method, c)
	maps.Copy(token.Header, header)
	text, err := token.SignedString(key)
	require.NoError(t, err)
	return text
}

func TestTokens(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	list, _, _ := clients(t)
	a, err := New(ctx, Config{Clients: list, Tokens: []TokenConfig{i.config()}}, quiet)
	require.NoError(t, err)
	require.NoError(t, a.Ready(ctx))

	by := func(method jwt.SigningMethod, key any, kid string) string {
		header := map[string]any{}
		if kid != "" {
			header["kid"] = kid
		}
		return signed(t, method, key, claims(func(jwt.MapClaims) {}), header)
	}
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(&i.key.PublicKey)
	require.NoError(t, err)
	good := i.sign(t, claims(func(jwt.MapClaims) {}))
	parts := strings.Split(good, ".")

	for name, c := range map[string]struct {
		token  string
		reason Reason // "": a caller
	}{
		"good":                   {good, ""},
		"audience in a list":     {i.sign(t, claims(func(c jwt.MapClaims) { c["aud"] = []string{"x", "gateway"} })), ""},
		"events as a text":       {i.sign(t, claims(func(c jwt.MapClaims) { c["events"] = "orders.* x" })), ""},
		"just expired":           {i.sign(t, claims(func(c jwt.MapClaims) { c["exp"] = testNow.Add(-leeway + time.Second).Unix() })), ""},
		"without a key's name":   {by(jwt.SigningMethodRS256, i.key, ""), ""},
		"expired":                {i.sign(t, claims(func(c jwt.MapClaims) { c["exp"] = testNow.Add(-leeway - time.Second).Unix() })), ExpiredToken},
		"never expires":          {i.sign(t, claims(func(c jwt.MapClaims) { delete(c, "exp") })), BadToken},
		"not yet valid":          {i.sign(t, claims(func(c jwt.MapClaims) { c["nbf"] = testNow.Add(time.Hour).Unix() })), BadToken},
		"another issuer":         {i.sign(t, claims(func(c jwt.MapClaims) { c["iss"] = "https://other" })), BadToken},
		"no issuer":              {i.sign(t, claims(func(c jwt.MapClaims) { delete(c, "iss") })), BadToken},
		"another audience":       {i.sign(t, claims(func(c jwt.MapClaims) { c["aud"] = "other" })), BadToken},
		"no audience":            {i.sign(t, claims(func(c jwt.MapClaims) { delete(c, "aud") })), BadToken},
		"no client":              {i.sign(t, claims(func(c jwt.MapClaims) { delete(c, "sub") })), BadToken},
		"empty client":           {i.sign(t, claims(func(c jwt.MapClaims) { c["sub"] = "" })), BadToken},
		"client a number":        {i.sign(t, claims(func(c jwt.MapClaims) { c["sub"] = 7 })), BadToken},
		"client with a new line": {i.sign(t, claims(func(c jwt.MapClaims) { c["sub"] = "a\nb" })), BadToken},
		"not signed":             {by(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "rsa"), BadToken},
		"signed by a stranger":   {by(jwt.SigningMethodRS256, stranger, "rsa"), BadToken},
		"public key as a secret": {by(jwt.SigningMethodHS256, public, "rsa"), BadToken},
		"unknown key":            {by(jwt.SigningMethodRS256, stranger, "other"), BadToken},
		"other payload":          {parts[0] + "." + parts[1] + "A." + parts[2], BadToken},
		"no signature":           {parts[0] + "." + parts[1] + ".", BadToken},
		"no base64":              {"a.b.c", BadToken},
		"far too long":           {parts[0] + "." + strings.Repeat("A", 10_000) + "." + parts[2], Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			caller, err := a.Authenticate(t.Context(), Credentials{Authorization: []string{"Bearer " + c.token}}, testNow)
			if c.reason != "" {
				requireRefusal(t, err, c.reason)
				return
			}
			require.NoError(t, err)
			require.Equal(t, "jwt:shop", caller.Name)
			require.True(t, caller.May("orders.placed"))
			require.False(t, caller.May("payments.captured"))
		})
	}
	t.Run("without events nothing may be published", func(t *testing.T) {
		t.Parallel()
		for _, events := range []any{nil, 7, []any{7}, []string{}, map[string]any{"*": 1}} {
			caller, err := a.Authenticate(t.Context(), Credentials{Authorization: []string{
				"Bearer " + i.sign(t, claims(func(c jwt.MapClaims) { c["events"] = events })),
			}}, testNow)
			require.NoError(t, err)
			require.False(t, caller.May("orders.placed"))
		}
	})
}

// After the issuer changes its keys, a token with the new one makes the gateway fetch them.
func TestKeysRotate(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	a, err := New(ctx, Config{Tokens: []TokenConfig{i.config()}}, quiet)
	require.NoError(t, err)
	text := signed(t, jwt.SigningMethodES256, i.other, claims(func(jwt.MapClaims) {}), map[string]any{"kid": "ec"})
	i.kids.Store([]string{"rsa", "ec"})
	caller, err := a.Authenticate(ctx, Credentials{Authorization: []string{"Bearer " + text}}, testNow)
	require.NoError(t, err)
	require.Equal(t, "jwt:shop", caller.Name)

	// Strangers with made-up keys cannot have them fetched again and again.
	before := i.asked.Load()
	for range 50 {
		text := signed(t, jwt.SigningMethodES256, i.other, claims(func(jwt.MapClaims) {}), map[string]any{"kid": "made-up"})
		_, err := a.Authenticate(ctx, Credentials{Authorization: []string{"Bearer " + text}}, testNow)
		requireRefusal(t, err, BadToken)
	}
	require.LessOrEqual(t, i.asked.Load()-before, int64(1))
}

func TestIssuerIsAway(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	cfg := i.config()
	i.Close()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	var log syncBuffer
	a, err := New(ctx, Config{Tokens: []TokenConfig{cfg}}, slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, err, "a gateway starts without it")
	require.Contains(t, log.String(), "fetching the keys of tokens failed")
	require.NotContains(t, log.String(), cfg.KeysURL)
	require.Error(t, a.Ready(ctx), "but is not ready")
	_, err = a.Authenticate(ctx, Credentials{Authorization: []string{"Bearer " + i.sign(t, claims(func(jwt.MapClaims) {}))}}, testNow)
	requireRefusal(t, err, BadToken)
}

func TestTokenConfigIsWhole(t *testing.T) {
	t.Parallel()
	for name, forget := range map[string]func(*TokenConfig){
		"issuer": func(c *TokenConfig) { c.Issuer = "" }, "audience": func(c *TokenConfig) { c.Audience = "" },
		"keys": func(c *TokenConfig) { c.KeysURL = "" }, "client": func(c *TokenConfig) { c.ClientClaim = "" }, "events": func(c *TokenConfig) { c.EventsClaim = "" },
	} {
		cfg := TokenConfig{Issuer: "i", Audience: "a", KeysURL: "http://127.0.0.1:1", ClientClaim: "sub", EventsClaim: "events"}
		forget(&cfg)
		_, err := New(t.Context(), Config{Tokens: []TokenConfig{cfg}}, quiet)
		require.Error(t, err, name)
	}
}

func FuzzAuthenticate(f *testing.F) {
	i := newIssuer(f)
	list, good, _ := clients(f)
	ctx, cancel := context.WithCancel(context.Background())
	f.Cleanup(cancel)
	a, err := New(ctx, Config{Clients: list, Tokens: []TokenConfig{i.config()}}, quiet)
	require.NoError(f, err)
	token := i.sign(f, claims(func(jwt.MapClaims) {}))
	for _, seed := range []string{"Bearer " + good, "Bearer " + token, "Bearer a.b.c", "Basic eA==", "", "Bearer", "bearer  \t" + token[:40]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		caller, err := a.Authenticate(ctx, Credentials{Authorization: []string{header}}, testNow)
		var refusal *Refusal
		switch {
		case err == nil:
			require.True(t, strings.Contains(header, good) || strings.Contains(header, token), "a stranger got in: %q", header)
			require.NotEmpty(t, caller.Name)
		case !errors.As(err, &refusal):
			t.Fatalf("%T is no refusal", err)
		default:
			require.Nil(t, caller)
		}
	})
}

// Only the kinds of names that are configured name a client: an authority that verifies
// domains may let anybody write an e-mail address.
func TestCertificateNames(t *testing.T) {
	t.Parallel()
	const name = "mobile@example.com"
	id, err := url.Parse("spiffe://example.com/mobile")
	require.NoError(t, err)
	certs := map[string]*x509.Certificate{
		CertificateDNS: {DNSNames: []string{"mobile.example.com"}}, CertificateURI: {URIs: []*url.URL{id}}, CertificateEmail: {EmailAddresses: []string{name}},
	}
	for _, c := range []struct{ configured, count []string }{
		{nil, []string{CertificateDNS}},
		{[]string{CertificateURI}, []string{CertificateURI}},
		{[]string{CertificateEmail, CertificateDNS}, []string{CertificateDNS, CertificateEmail}},
	} {
		list := []Client{{Name: "mobile", Certificates: []string{"mobile.example.com", id.String(), name}}}
		a, err := New(t.Context(), Config{Clients: list, CertificateNames: c.configured}, nil)
		require.NoError(t, err)
		for kind, cert := range certs {
			_, err := a.Authenticate(t.Context(), Credentials{Certificate: cert}, testNow)
			if slices.Contains(c.count, kind) {
				require.NoError(t, err, "%s of %v", kind, c.configured)
			} else {
				requireRefusal(t, err, UnknownCertificate)
			}
		}
		_, err = a.Authenticate(t.Context(), Credentials{Lapsed: true}, testNow)
		requireRefusal(t, err, LapsedCertificate)
	}
}
