package auth

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

const (
	// minRSABits and maxRSABits bound the modulus of an RSA key: shorter ones can be
	// factored (NIST SP 800-131A), longer ones make each verification slow.
	minRSABits, maxRSABits = 2048, 16384
	// maxKeys bounds the keys of a set; issuers have a handful.
	maxKeys = 100
	// maxShown bounds a text of the issuer's in a log line, in bytes.
	maxShown = 250
)

// publicKey is one key of an issuer's set that may verify tokens.
type publicKey struct {
	id         string   // kid; "" if it has none
	algorithms []string // that it may be used with
	key        jwt.VerificationKey
}

// skippedKey is a key of a set that is not used.
type skippedKey struct{ id, reason string }

// parsedSet is an issuer's key set.
type parsedSet struct {
	keys    []publicKey
	skipped []skippedKey
	// fingerprint is equal for sets with the same keys, in any order: an issuer may order
	// them in another way each time.
	fingerprint [sha256.Size]byte
}

// parseKeySet reads a JSON Web Key Set (RFC 7517 §5). A key that cannot be used is
// skipped. The error is a document that is not a key set.
func parseKeySet(document []byte) (parsedSet, error) {
	parsed := parsedSet{fingerprint: sha256.Sum256(nil)}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(document, &set); err != nil {
		return parsed, errors.New("it is not a JSON Web Key Set: not a JSON object with a list of keys")
	}
	if set.Keys == nil {
		return parsed, errors.New(`it is not a JSON Web Key Set: it has no "keys"`)
	}
	for i, raw := range set.Keys {
		hash := sha256.Sum256(raw)
		for j := range hash {
			parsed.fingerprint[j] ^= hash[j]
		}
		if i >= maxKeys {
			continue
		}
		key, err := parseKey(raw)
		if err != nil {
			parsed.skipped = append(parsed.skipped, skippedKey{cmp.Or(idOf(raw), fmt.Sprintf("(number %d)", i+1)), shown(err.Error())})
			continue
		}
		parsed.keys = append(parsed.keys, key)
	}
	if more := len(set.Keys) - maxKeys; more > 0 {
		parsed.skipped = append(parsed.skipped, skippedKey{fmt.Sprintf("(%d more)", more), fmt.Sprintf("only %d keys of a set are read", maxKeys)})
	}
	return parsed, nil
}

// idOf is the key's id as far as it can be read.
func idOf(raw json.RawMessage) string {
	var named struct {
		ID any `json:"kid"`
	}
	_ = json.Unmarshal(raw, &named) // what cannot be read has no id
	id, _ := named.ID.(string)
	return shown(id)
}

// shown is a text of the issuer's as a log line may have it.
func shown(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r <= 0x9f {
			return '?'
		}
		return r
	}, s)
	if len(s) > maxShown {
		s = strings.ToValidUTF8(s[:maxShown], "") + "…"
	}
	return s
}

// parseKey reads one key. The error says why it cannot verify tokens.
func parseKey(raw json.RawMessage) (publicKey, error) {
	var marshal jwkset.JWKMarshal
	if err := json.Unmarshal(raw, &marshal); err != nil {
		return publicKey{}, errors.New("it is not a JSON Web Key: a member has another type than RFC 7517 says")
	}
	if err := permitted(marshal); err != nil {
		return publicKey{}, err
	}
	jwk, err := jwkset.NewJWKFromMarshal(marshal, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{SkipAll: true})
	if err != nil {
		return publicKey{}, err
	}
	algorithms, err := algorithmsOf(jwk.Key())
	if err != nil {
		return publicKey{}, err
	}
	if err := certified(jwk); err != nil {
		return publicKey{}, err
	}
	if alg := marshal.ALG.String(); alg != "" {
		if alg == "Ed25519" { // the name of RFC 9864 for EdDSA with this curve
			alg = "EdDSA"
		}
		if !slices.Contains(algorithms, alg) {
			return publicKey{}, fmt.Errorf("alg %q is not an algorithm that tokens may be signed with by such a key", shown(alg))
		}
		algorithms = []string{alg}
	}
	return publicKey{marshal.KID, algorithms, jwk.Key()}, nil
}

// permitted checks that a key is public, and meant to verify signatures (RFC 7517 §4.2,
// §4.3).
func permitted(m jwkset.JWKMarshal) error {
	switch {
	case m.KTY == jwkset.KtyOct:
		return errors.New("it is a shared secret: whoever can verify with it can sign")
	case m.D != "":
		return errors.New("it is a private key: whoever can read the set can sign")
	case m.USE != "" && m.USE != jwkset.UseSig:
		return fmt.Errorf("use is %q, not %q", shown(m.USE.String()), jwkset.UseSig)
	case m.KEYOPS != nil && !slices.Contains(m.KEYOPS, jwkset.KeyOpsVerify):
		return fmt.Errorf("key_ops does not have %q", jwkset.KeyOpsVerify)
	}
	return nil
}

// algorithmsOf lists the algorithms that fit a key (RFC 7518 §3.1, RFC 8037 §3.1).
func algorithmsOf(key any) ([]string, error) {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return nil, fmt.Errorf("its modulus has %d bits; %d to %d are accepted", bits, minRSABits, maxRSABits)
		}
		if k.E < 3 || k.E > 1<<31-1 || k.E%2 == 0 {
			return nil, errors.New("its exponent is not an odd number from 3 to 2147483647")
		}
		return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, nil
	case *ecdsa.PublicKey:
		if _, err := k.ECDH(); err != nil {
			return nil, errors.New("it is not a point on its curve")
		}
		switch k.Curve.Params().BitSize {
		case 256:
			return []string{"ES256"}, nil
		case 384:
			return []string{"ES384"}, nil
		case 521:
			return []string{"ES512"}, nil
		}
	case ed25519.PublicKey:
		return []string{"EdDSA"}, nil
	}
	return nil, errors.New("it is not of a kind that signs tokens")
}

// certified checks that the first certificate, if the key has any, is this key's
// (RFC 7517 §4.7). Who issued it does not matter: the issuer's URL is trusted.
func certified(jwk jwkset.JWK) error {
	chain := jwk.X509().X5C
	if len(chain) == 0 {
		return nil
	}
	key, ok := jwk.Key().(interface{ Equal(x crypto.PublicKey) bool })
	if !ok || !key.Equal(chain[0].PublicKey) {
		return errors.New("its first certificate (x5c) is that of another key")
	}
	return nil
}
