package webhook

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"strings"
	"time"

	"eventgateway/internal/strictjson"
)

// hmacSpec is a scheme that signs with an HMAC, or a private key, and sends the signature
// in a header: most of the table.
type hmacSpec struct {
	header    string
	prefix    string
	encoding  encoding
	hash      func() hash.Hash // nil: SHA-256
	secrets   keyEncoding      // how the secrets are written
	public    bool             // the secrets are ed25519 public keys; no hash
	list      signatureList
	signed    template
	timestamp string // header; "" if there is none
	format    timestampFormat
	// inBody is where the timestamp is, if it is in the body.
	inBody strictjson.Pointer
	// url rewrites the URL before it is signed; nil leaves it as it is.
	url func(string) string
}

// hmacVerifier is an hmacSpec with a source's keys.
type hmacVerifier struct {
	hmacSpec
	keys      [][]byte
	publicURL string
	tolerance time.Duration
}

// with makes a source's verifier.
func (spec hmacSpec) with(cfg Config, f *faults) verifier {
	v := &hmacVerifier{hmacSpec: spec, publicURL: cfg.PublicURL, tolerance: cfg.Tolerance}
	if v.hash == nil {
		v.hash = sha256.New
	}
	for i, secret := range cfg.Secrets {
		key, problem := spec.key(secret)
		if problem != "" {
			f.add("secrets", "the %s must be %s", ordinal(i), problem)
			continue
		}
		v.keys = append(v.keys, key)
	}
	return v
}

// key reads a secret; problem says what it must be.
func (spec hmacSpec) key(secret string) (key []byte, problem string) {
	if spec.public {
		return parseEd25519(secret, spec.secrets)
	}
	key, err := spec.secrets.decode(secret)
	if err != nil || len(key) == 0 {
		return nil, "in " + string(spec.secrets) + ", as the provider shows it or hmac.secret_encoding says"
	}
	return key, ""
}

func (v *hmacVerifier) verify(r Request, now time.Time) *Rejection {
	sent, listed, rejection := v.signatures(r)
	if rejection != nil {
		return rejection
	}
	vars, rejection := v.variables(r, listed)
	if rejection != nil {
		return rejection
	}
	if v.hasTimestamp() {
		if rejection := checkTimestamp(vars.timestamp, v.format, now, v.tolerance, cmp.Or(v.timestamp, v.header)); rejection != nil {
			return rejection
		}
	}
	if !v.match(sent, vars) {
		return mismatch(v.header)
	}
	if v.inBody != nil {
		return checkBodyTimestamp(text(r.Body, v.inBody), v.format, now, v.tolerance, v.inBody)
	}
	return nil
}

// match tries every key with every signature.
func (v *hmacVerifier) match(sent [][]byte, vars variables) bool {
	ok := false
	if v.public {
		var message bytes.Buffer
		v.signed.write(&message, vars)
		for _, key := range v.keys {
			for _, one := range sent[:min(len(sent), maxPublicSignatures)] {
				ok = ed25519.Verify(key, message.Bytes(), one) || ok
			}
		}
		return ok
	}
	for _, key := range v.keys {
		want := v.mac(key, vars)
		for _, one := range sent {
			ok = hmac.Equal(want, one) || ok
		}
	}
	return ok
}

func (v *hmacVerifier) hasTimestamp() bool { return v.timestamp != "" || v.list.timestamp != "" }

// variables collects the values that the template may use. The timestamp is the listed
// one if there is one in the signature's header.
func (v *hmacVerifier) variables(r Request, listed string) (variables, *Rejection) {
	vars := variables{method: r.Method, body: r.Body, url: signedURL(v.publicURL, r.URL), timestamp: listed}
	if v.url != nil {
		vars.url = v.url(vars.url)
	}
	var rejection *Rejection
	if v.timestamp != "" {
		if vars.timestamp, rejection = single(r.Header, v.timestamp); rejection != nil {
			return vars, rejection
		}
	}
	for _, part := range v.signed {
		if part.field != fieldHeader {
			continue
		}
		text, rejection := single(r.Header, part.text)
		if rejection != nil {
			return vars, rejection
		}
		vars.headers = append(vars.headers, text)
	}
	return vars, nil
}

func (v *hmacVerifier) mac(key []byte, vars variables) []byte {
	mac := hmac.New(v.hash, key)
	v.signed.write(mac, vars)
	return mac.Sum(nil)
}

func (v *hmacVerifier) sign(r *Request, id string, now time.Time) error {
	if v.public {
		return errors.New("the secrets are public keys: only the provider, who has the private one, can sign")
	}
	if v.timestamp != "" {
		r.Header.Set(v.timestamp, v.format.write(now))
	}
	if v.inBody != nil {
		body, err := stamped(r.Body, v.inBody, v.format, now)
		if err != nil {
			return err
		}
		r.Body = body
	}
	if name := v.signed.idHeader(); name != "" && id != "" {
		r.Header.Set(name, id)
	}
	vars, rejection := v.variables(*r, v.format.write(now))
	if rejection != nil {
		return rejection
	}
	r.Header.Set(v.header, v.list.write(vars.timestamp, v.prefix+v.encoding.encode(v.mac(v.keys[0], vars))))
	return nil
}

// stamped writes the time into a body.
func stamped(body []byte, p strictjson.Pointer, format timestampFormat, now time.Time) ([]byte, error) {
	if fault := checkJSON(body); fault != nil {
		return nil, fault
	}
	return put(body, p, []byte(format.write(now)))
}

// signedURL is the URL that the provider called: the configured one, with the query
// as it arrived, because providers add to it (Twilio's bodySHA256).
func signedURL(publicURL, received string) string {
	base, _, _ := strings.Cut(publicURL, "#")
	base, _, _ = strings.Cut(base, "?")
	if _, query, ok := strings.Cut(received, "?"); ok {
		return base + "?" + query
	}
	return base
}

// hubspotDecodes undoes the escapes that HubSpot's documentation says to undo in the
// URL before it is signed, and no others.
var hubspotDecodes = strings.NewReplacer(
	"%3A", ":", "%2F", "/", "%3F", "?", "%40", "@", "%21", "!", "%24", "$", "%27", "'", "%28", "(", "%29", ")", "%2A", "*", "%2C", ",", "%3B", ";",
	"%3a", ":", "%2f", "/", "%3f", "?", "%2a", "*", "%2c", ",", "%3b", ";",
)

// hubspotSpec is signature v3.
var hubspotSpec = hmacSpec{
	header: "X-Hubspot-Signature-V3", encoding: encodingBase64, signed: mustTemplate("{method}{url}{body}{timestamp}"),
	timestamp: "X-Hubspot-Request-Timestamp", format: unixMilliseconds, url: hubspotDecodes.Replace,
}

// encoding is how a signature is written.
type encoding string

const (
	encodingHex       encoding = "hex"
	encodingBase64    encoding = "base64"
	encodingBase64URL encoding = "base64url" // read with or without padding
)

func (e encoding) decode(s string) ([]byte, error) {
	switch e {
	case encodingBase64:
		return base64.StdEncoding.DecodeString(s)
	case encodingBase64URL:
		return base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
	}
	return hex.DecodeString(s)
}

func (e encoding) encode(b []byte) string {
	switch e {
	case encodingBase64:
		return base64.StdEncoding.EncodeToString(b)
	case encodingBase64URL:
		return base64.URLEncoding.EncodeToString(b)
	}
	return hex.EncodeToString(b)
}
