package webhook

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"
)

// maxPublicSignatures bounds the signatures of one header that are tried with public
// keys, which takes longer than an HMAC. A rotation needs one for each key.
const maxPublicSignatures = 16

// standard verifies Standard Webhooks
// (https://github.com/standard-webhooks/standard-webhooks, spec v1.0.0): v1 is
// HMAC-SHA256, v1a is ed25519, over "{id}.{timestamp}.{body}". Svix uses the same
// with other header names.
type standard struct {
	keys      [][]byte
	public    []ed25519.PublicKey
	sets      []standardHeaders // by preference
	tolerance time.Duration
}

// standardHeaders are the names of one set of headers.
type standardHeaders struct{ id, timestamp, signature string }

var (
	webhookHeaders = standardHeaders{"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"}
	svixHeaders    = standardHeaders{"Svix-Id", "Svix-Timestamp", "Svix-Signature"}
)

func newStandard(cfg Config, f *faults) verifier {
	s := &standard{tolerance: cfg.Tolerance, sets: []standardHeaders{webhookHeaders, svixHeaders}}
	for i, secret := range cfg.Secrets {
		s.add(i, secret, f)
	}
	return s
}

// add takes the i-th secret.
func (s *standard) add(i int, secret string, f *faults) {
	public, isPublic := strings.CutPrefix(secret, "whpk_")
	text := strings.TrimPrefix(public, "whsec_")
	key, err := base64.StdEncoding.DecodeString(text)
	switch {
	case strings.HasPrefix(secret, "whsk_"):
		f.add("secrets", "the %s is a private key (whsk_); the provider keeps that, here goes the public one (whpk_)", ordinal(i))
	case err != nil || len(key) == 0:
		f.add("secrets", "the %s must be whsec_ (or, of a public key, whpk_) and then base64", ordinal(i))
	case isPublic && len(key) != ed25519.PublicKeySize:
		f.add("secrets", "the %s is not an ed25519 public key: it has %d bytes, not %d", ordinal(i), len(key), ed25519.PublicKeySize)
	case isPublic:
		s.public = append(s.public, key)
	default:
		s.keys = append(s.keys, key)
	}
}

// headersOf chooses the first set of which a header is there, so that the id that is
// used later is the signed one.
func (s *standard) headersOf(h http.Header) standardHeaders {
	for _, set := range s.sets {
		for _, name := range []string{set.id, set.timestamp, set.signature} {
			if len(h.Values(name)) > 0 {
				return set
			}
		}
	}
	return s.sets[0]
}

func (s *standard) verify(r Request, now time.Time) *Rejection {
	names := s.headersOf(r.Header)
	id, rejection := single(r.Header, names.id)
	if rejection != nil {
		return rejection
	}
	timestamp, rejection := single(r.Header, names.timestamp)
	if rejection != nil {
		return rejection
	}
	header, rejection := single(r.Header, names.signature)
	if rejection != nil {
		return rejection
	}
	sent, rejection := parseStandard(header, names.signature)
	if rejection != nil {
		return rejection
	}
	if rejection := checkTimestamp(timestamp, unixSeconds, now, s.tolerance, names.timestamp); rejection != nil {
		return rejection
	}
	if !s.match(sent, id, timestamp, r.Body) {
		return mismatch(names.signature)
	}
	return nil
}

// standardSignatures are the signatures of one header, by known version.
type standardSignatures struct{ v1, v1a [][]byte }

// parseStandard reads a list such as "v1,<base64> v1a,<base64>". Other versions are
// ignored, because the specification adds new ones beside the old, and so are ill-formed
// ones: one good signature is enough.
func parseStandard(header, name string) (standardSignatures, *Rejection) {
	var sent standardSignatures
	for rest := header; rest != ""; {
		var one string
		if one, rest, _ = strings.Cut(rest, " "); one == "" {
			continue
		}
		version, text, _ := strings.Cut(one, ",")
		size := sha256.Size
		switch version {
		case "v1":
		case "v1a":
			size = ed25519.SignatureSize
		default:
			continue
		}
		signature, err := base64.StdEncoding.DecodeString(text)
		switch {
		case err != nil || len(signature) != size: // it cannot be good
		case version == "v1":
			sent.v1 = append(sent.v1, signature)
		case len(sent.v1a) < maxPublicSignatures:
			sent.v1a = append(sent.v1a, signature)
		}
	}
	if sent.v1 == nil && sent.v1a == nil {
		return sent, reject(MalformedHeader, "The %s header has no signature of version v1 (%d bytes) or v1a (%d bytes): each is the version, a comma and base64.", name, sha256.Size, ed25519.SignatureSize)
	}
	return sent, nil
}

// match tries every key with every signature.
func (s *standard) match(sent standardSignatures, id, timestamp string, body []byte) bool {
	ok := false
	for _, key := range s.keys {
		want := s.mac(key, id, timestamp, body)
		for _, got := range sent.v1 {
			ok = hmac.Equal(want, got) || ok
		}
	}
	if len(s.public) == 0 || len(sent.v1a) == 0 {
		return ok
	}
	message := make([]byte, 0, len(id)+len(timestamp)+len(body)+2)
	message = append(append(append(append(append(message, id...), '.'), timestamp...), '.'), body...)
	for _, key := range s.public {
		for _, got := range sent.v1a {
			ok = ed25519.Verify(key, message, got) || ok
		}
	}
	return ok
}

func (s *standard) mac(key []byte, id, timestamp string, body []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	return mac.Sum(nil)
}

func (s *standard) sign(r *Request, id string, now time.Time) error {
	if len(s.keys) == 0 {
		return errors.New("the secrets are public keys (whpk_): only the provider, who has the private one, can sign")
	}
	if id == "" {
		return errors.New("an id is needed: it is signed")
	}
	names := s.sets[0]
	timestamp := unixSeconds.write(now)
	r.Header.Set(names.id, id)
	r.Header.Set(names.timestamp, timestamp)
	r.Header.Set(names.signature, "v1,"+base64.StdEncoding.EncodeToString(s.mac(s.keys[0], id, timestamp, r.Body)))
	return nil
}
