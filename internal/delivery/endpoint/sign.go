package endpoint

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Secrets are 24 to 64 bytes long (Standard Webhooks 1.0.0).
const minSecretBytes, maxSecretBytes = 24, 64

// signer signs by Standard Webhooks 1.0.0: v1 with HMAC-SHA256, v1a with ed25519. With
// several secrets each request has a signature of each, so that a receiver can change from
// one to another.
type signer struct {
	shared  [][]byte
	private []ed25519.PrivateKey
}

var errSecret = errors.New("must be whsec_ and then 24 to 64 bytes in base64, or whsk_ and then an ed25519 private key in base64; openssl rand -base64 32 makes one")

// CheckSecret says what is wrong with a secret, without showing it.
func CheckSecret(secret string) error {
	_, err := newSigner([]string{secret})
	return err
}

func newSigner(secrets []string) (*signer, error) {
	s := &signer{}
	for _, secret := range secrets {
		if text, ok := strings.CutPrefix(secret, "whsk_"); ok {
			key, err := base64.StdEncoding.DecodeString(text)
			switch {
			case err == nil && len(key) == ed25519.SeedSize:
				s.private = append(s.private, ed25519.NewKeyFromSeed(key))
			case err == nil && len(key) == ed25519.PrivateKeySize:
				s.private = append(s.private, key)
			default:
				return nil, errSecret
			}
			continue
		}
		text, ok := strings.CutPrefix(secret, "whsec_")
		key, err := base64.StdEncoding.DecodeString(text)
		if !ok || err != nil || len(key) < minSecretBytes || len(key) > maxSecretBytes {
			return nil, errSecret
		}
		s.shared = append(s.shared, key)
	}
	return s, nil
}

// sign returns the header Webhook-Signature, "" without secrets.
func (s *signer) sign(id string, at time.Time, body []byte) string {
	if len(s.shared)+len(s.private) == 0 {
		return ""
	}
	content := make([]byte, 0, len(id)+len(body)+24)
	content = append(append(content, id...), '.')
	content = append(strconv.AppendInt(content, at.Unix(), 10), '.')
	content = append(content, body...)
	var all strings.Builder
	for _, key := range s.shared {
		mac := hmac.New(sha256.New, key)
		mac.Write(content)
		fmt.Fprintf(&all, " v1,%s", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	for _, key := range s.private {
		fmt.Fprintf(&all, " v1a,%s", base64.StdEncoding.EncodeToString(ed25519.Sign(key, content)))
	}
	return all.String()[1:]
}
