package webhook

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"time"
)

const (
	sendgridSignature = "X-Twilio-Email-Event-Webhook-Signature"
	sendgridTimestamp = "X-Twilio-Email-Event-Webhook-Timestamp"
)

// sendgrid verifies an ECDSA signature on P-256 over the timestamp and the body. The
// secrets are public keys, as the provider shows them (base64 of DER) or in PEM.
type sendgrid struct {
	keys      []*ecdsa.PublicKey
	tolerance time.Duration
}

func newSendGrid(cfg Config, f *faults) verifier {
	s := &sendgrid{tolerance: cfg.Tolerance}
	for i, secret := range cfg.Secrets {
		key, err := parseP256(secret)
		if err != nil {
			f.add("secrets", "the %s must be the provider's verification key: an ECDSA public key on P-256, as base64 or PEM", ordinal(i))
			continue
		}
		s.keys = append(s.keys, key)
	}
	return s
}

func parseP256(text string) (*ecdsa.PublicKey, error) {
	der, err := base64.StdEncoding.DecodeString(text)
	if block, _ := pem.Decode([]byte(text)); block != nil {
		der, err = block.Bytes, nil
	}
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("another kind of key")
	}
	return key, nil
}

func (s *sendgrid) verify(r Request, now time.Time) *Rejection {
	header, rejection := single(r.Header, sendgridSignature)
	if rejection != nil {
		return rejection
	}
	timestamp, rejection := single(r.Header, sendgridTimestamp)
	if rejection != nil {
		return rejection
	}
	// Two numbers of 32 bytes have 72 bytes at most in ASN.1.
	signature, err := base64.StdEncoding.DecodeString(header)
	if err != nil || len(signature) == 0 || len(signature) > 72 {
		return reject(MalformedHeader, "The %s header must have an ECDSA signature in base64.", sendgridSignature)
	}
	if rejection := checkTimestamp(timestamp, unixSeconds, now, s.tolerance, sendgridTimestamp); rejection != nil {
		return rejection
	}
	hash := sha256.New()
	hash.Write([]byte(timestamp))
	hash.Write(r.Body)
	sum, ok := hash.Sum(nil), false
	for _, key := range s.keys {
		ok = ecdsa.VerifyASN1(key, sum, signature) || ok
	}
	if !ok {
		return mismatch(sendgridSignature)
	}
	return nil
}

func (s *sendgrid) sign(*Request, string, time.Time) error {
	return errors.New("the secrets are public keys: only the provider, who has the private one, can sign")
}
