package webhook

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"
	"time"
)

const authorization = "Authorization"

// credentials verifies that the sender knows a secret, which is sent along. Nothing
// is signed, so whoever terminates TLS must be trusted.
type credentials struct {
	header string
	kind   string // of an Authorization header; "" if the whole value is the secret
	prefix string // of the value, before the secret
	base64 bool
	hashes [][sha256.Size]byte // of the secrets: of equal length, compared in constant time
	secret string              // the first, to sign with
}

// newBasic checks user and password (RFC 7617).
func newBasic(cfg Config, f *faults) verifier {
	for i, secret := range cfg.Secrets {
		if user, password, ok := strings.Cut(secret, ":"); !ok || user == "" || password == "" {
			f.add("secrets", "the %s must be a user, \":\" and a password", ordinal(i))
		}
	}
	return newCredentials(cfg, credentials{header: authorization, kind: "Basic", base64: true})
}

// newBearer checks a token (RFC 6750 §2.1).
func newBearer(cfg Config, _ *faults) verifier {
	return newCredentials(cfg, credentials{header: authorization, kind: "Bearer"})
}

func newCredentials(cfg Config, c credentials) *credentials {
	for _, secret := range cfg.Secrets {
		c.hashes = append(c.hashes, sha256.Sum256([]byte(secret)))
	}
	c.secret = cfg.Secrets[0]
	return &c
}

func (c *credentials) verify(r Request, _ time.Time) *Rejection {
	header, rejection := single(r.Header, c.header)
	if rejection != nil {
		return rejection
	}
	sent, rejection := c.read(header)
	if rejection != nil {
		return rejection
	}
	hash, ok := sha256.Sum256(sent), 0
	for _, want := range c.hashes {
		ok |= subtle.ConstantTimeCompare(hash[:], want[:])
	}
	if ok == 0 {
		return reject(WrongCredentials, "The %s header does not have any of the configured secrets.", c.header)
	}
	return nil
}

// read takes the secret out of the header's value.
func (c *credentials) read(header string) ([]byte, *Rejection) {
	if c.kind == "" {
		text, ok := strings.CutPrefix(header, c.prefix)
		if !ok {
			return nil, reject(MalformedHeader, "The %s header must start with %q.", c.header, c.prefix)
		}
		return []byte(text), nil
	}
	kind, text, _ := strings.Cut(header, " ")
	if !strings.EqualFold(kind, c.kind) { // RFC 9110 §11.1
		return nil, reject(MalformedHeader, "The %s header must be of the kind %s.", c.header, c.kind)
	}
	text = strings.Trim(text, " ")
	if !c.base64 {
		return []byte(text), nil
	}
	sent, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, reject(MalformedHeader, "The %s header must have the user, \":\" and the password in base64.", c.header)
	}
	return sent, nil
}

func (c *credentials) sign(r *Request, _ string, _ time.Time) error {
	value := c.secret
	if c.base64 {
		value = base64.StdEncoding.EncodeToString([]byte(value))
	}
	if c.kind != "" {
		value = c.kind + " " + value
	}
	r.Header.Set(c.header, c.prefix+value)
	return nil
}
