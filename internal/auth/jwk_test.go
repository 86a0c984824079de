package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// jwk is a key as an issuer publishes it, with members changed.
func jwk(t *testing.T, public any, change map[string]any) json.RawMessage {
	t.Helper()
	m := map[string]any{"kid": "k"}
	switch k := public.(type) {
	case *rsa.PublicKey:
		m["kty"], m["n"], m["e"] = "RSA", b64(k.N.Bytes()), b64(big.NewInt(int64(k.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		require.NoError(t, err)
		size := (len(point) - 1) / 2
		m["kty"], m["crv"], m["x"], m["y"] = "EC", k.Params().Name, b64(point[1:1+size]), b64(point[1+size:])
	case ed25519.PublicKey:
		m["kty"], m["crv"], m["x"] = "OKP", "Ed25519", b64(k)
	}
	for name, value := range change {
		m[name] = value
		if value == nil {
			delete(m, name)
		}
	}
	raw, err := json.Marshal(m)
	require.NoError(t, err)
	return raw
}

func selfSigned(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return base64.StdEncoding.EncodeToString(der)
}

// TestKeysOfASet: each key is used or skipped on its own (RFC 7517 §5), by what it says
// it is for.
func TestKeysOfASet(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	weak := &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 1023, 1), E: 65537}
	huge := &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), maxRSABits, 1), E: 65537}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	ec384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	ec224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	rsaAll := []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	type m = map[string]any
	for name, c := range map[string]struct {
		raw        json.RawMessage
		algorithms []string // none: it is skipped
		reason     string
	}{
		"RSA":                       {jwk(t, &rsaKey.PublicKey, nil), rsaAll, ""},
		"RSA for one algorithm":     {jwk(t, &rsaKey.PublicKey, m{"alg": "PS384", "use": "sig", "key_ops": []string{"verify"}}), []string{"PS384"}, ""},
		"padded":                    {jwk(t, &rsaKey.PublicKey, m{"e": "AQAB=="}), rsaAll, ""},
		"unknown members":           {jwk(t, &rsaKey.PublicKey, m{"x": "y", "exp": 1, "nbf": "soon"}), rsaAll, ""},
		"several operations":        {jwk(t, &rsaKey.PublicKey, m{"key_ops": []string{"sign", "verify"}}), rsaAll, ""},
		"P-256":                     {jwk(t, &ec.PublicKey, nil), []string{"ES256"}, ""},
		"P-384":                     {jwk(t, &ec384.PublicKey, nil), []string{"ES384"}, ""},
		"Ed25519":                   {jwk(t, ed, nil), []string{"EdDSA"}, ""},
		"Ed25519 (RFC 9864)":        {jwk(t, ed, m{"alg": "Ed25519"}), []string{"EdDSA"}, ""},
		"with its certificate":      {jwk(t, &ec.PublicKey, m{"x5c": []string{selfSigned(t, ec)}}), []string{"ES256"}, ""},
		"no certificate":            {jwk(t, &ec.PublicKey, m{"x5c": []string{}}), []string{"ES256"}, ""},
		"RSA of 1,024 bits":         {jwk(t, weak, nil), nil, "1024 bits"},
		"RSA of 16,385 bits":        {jwk(t, huge, nil), nil, "16385 bits"},
		"even exponent":             {jwk(t, &rsaKey.PublicKey, m{"e": "BA"}), nil, "exponent"},
		"exponent 1":                {jwk(t, &rsaKey.PublicKey, m{"e": "AQ"}), nil, "exponent"},
		"no exponent":               {jwk(t, &rsaKey.PublicKey, m{"e": nil}), nil, "requires parameters"},
		"modulus not base64url":     {jwk(t, &rsaKey.PublicKey, m{"n": "%%%"}), nil, "decode"},
		"modulus a number":          {jwk(t, &rsaKey.PublicKey, m{"n": 7}), nil, "another type"},
		"use: enc":                  {jwk(t, &rsaKey.PublicKey, m{"use": "enc"}), nil, `use is "enc"`},
		"use: tls":                  {jwk(t, &rsaKey.PublicKey, m{"use": "tls"}), nil, `use is "tls"`},
		"use in capitals":           {jwk(t, &rsaKey.PublicKey, m{"use": "SIG"}), nil, `use is "SIG"`},
		"use a number":              {jwk(t, &rsaKey.PublicKey, m{"use": 1}), nil, "another type"},
		"key_ops without verify":    {jwk(t, &rsaKey.PublicKey, m{"key_ops": []string{"encrypt", "wrapKey"}}), nil, "key_ops"},
		"key_ops empty":             {jwk(t, &rsaKey.PublicKey, m{"key_ops": []string{}}), nil, "key_ops"},
		"use: sig, key_ops: sign":   {jwk(t, &rsaKey.PublicKey, m{"use": "sig", "key_ops": []string{"sign"}}), nil, "key_ops"},
		"alg for encryption":        {jwk(t, &rsaKey.PublicKey, m{"alg": "RSA-OAEP"}), nil, `alg "RSA-OAEP"`},
		"alg of another kind":       {jwk(t, &rsaKey.PublicKey, m{"alg": "ES256"}), nil, `alg "ES256"`},
		"alg of a secret":           {jwk(t, &rsaKey.PublicKey, m{"alg": "HS256"}), nil, `alg "HS256"`},
		"alg none":                  {jwk(t, &rsaKey.PublicKey, m{"alg": "none"}), nil, `alg "none"`},
		"alg of another curve":      {jwk(t, &ec384.PublicKey, m{"alg": "ES256"}), nil, `alg "ES256"`},
		"curve that signs nothing":  {jwk(t, ed, m{"crv": "X25519"}), nil, "not of a kind"},
		"P-224":                     {jwk(t, &ec.PublicKey, m{"crv": ec224.Params().Name}), nil, "unsupported curve"},
		"secp256k1":                 {jwk(t, &ec.PublicKey, m{"crv": "secp256k1"}), nil, "unsupported curve"},
		"not on its curve":          {jwk(t, &ec.PublicKey, m{"x": b64(make([]byte, 32))}), nil, ""},
		"short Ed25519":             {jwk(t, ed[:31], nil), nil, "32 bytes"},
		"a secret":                  {json.RawMessage(`{"kty":"oct","kid":"k","k":"AAAA"}`), nil, "shared secret"},
		"a private key":             {jwk(t, &rsaKey.PublicKey, m{"d": "AAAA"}), nil, "private key"},
		"unknown kty":               {json.RawMessage(`{"kty":"AKP","kid":"k","alg":"ML-DSA-44"}`), nil, "AKP"},
		"no kty":                    {json.RawMessage(`{"kid":"k"}`), nil, "kty"},
		"x5c not base64":            {jwk(t, &rsaKey.PublicKey, m{"x5c": []string{"%"}}), nil, "Base64"},
		"x5c not a certificate":     {jwk(t, &rsaKey.PublicKey, m{"x5c": []string{"AAAA"}}), nil, "certificate"},
		"x5c of another key":        {jwk(t, &ec.PublicKey, m{"x5c": []string{selfSigned(t, ec384)}}), nil, "another key"},
		"x5c: the second is broken": {jwk(t, &ec.PublicKey, m{"x5c": []string{selfSigned(t, ec), "AAAA"}}), nil, "certificate"},
		"x5c a text":                {jwk(t, &ec.PublicKey, m{"x5c": "AAAA"}), nil, "another type"},
		"not an object":             {json.RawMessage(`"key"`), nil, "not a JSON Web Key"},
		"null":                      {json.RawMessage(`null`), nil, "kty"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			good := jwk(t, ed, map[string]any{"kid": "good"})
			for _, list := range [][]json.RawMessage{{c.raw, good}, {good, c.raw}} {
				document, err := json.Marshal(map[string]any{"keys": list})
				require.NoError(t, err)
				set, err := parseKeySet(document)
				require.NoError(t, err)
				if c.algorithms != nil {
					require.Len(t, set.keys, 2, "%+v", set.skipped)
					require.Empty(t, set.skipped)
					require.Contains(t, [][]string{set.keys[0].algorithms, set.keys[1].algorithms}, c.algorithms)
					continue
				}
				require.Len(t, set.keys, 1)
				require.Equal(t, "good", set.keys[0].id)
				require.Len(t, set.skipped, 1)
				require.NotEmpty(t, set.skipped[0].id)
				require.Contains(t, set.skipped[0].reason, c.reason)
			}
		})
	}
}

// TestReportedKeySets: sets with one odd key beside a good one, of which issuers' users
// reported that all tokens were refused.
func TestReportedKeySets(t *testing.T) {
	t.Parallel()
	for file, reason := range map[string]string{"jwks-use-unknown.json": `use is "tls"`, "jwks-x5c-bad.json": "certificate"} {
		document, err := os.ReadFile(filepath.Join("testdata", file))
		require.NoError(t, err)
		set, err := parseKeySet(document)
		require.NoError(t, err)
		require.Len(t, set.keys, 1)
		require.Equal(t, "sig", set.keys[0].id)
		require.Len(t, set.skipped, 1)
		require.Equal(t, "odd", set.skipped[0].id)
		require.Contains(t, set.skipped[0].reason, reason)
	}
}

func FuzzParseKeySet(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","x5c":["AAAA"]},{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},7]}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		set, err := parseKeySet(document)
		if err == nil {
			require.LessOrEqual(t, len(set.keys)+len(set.skipped), maxKeys+1)
		}
		for _, key := range set.keys {
			require.NotEmpty(t, key.algorithms)
		}
	})
}
