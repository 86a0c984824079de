package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"strings"
	"time"

	"eventgateway/internal/strictjson"
)

// hmacSpec is a scheme that sends one HMAC in a header: most of the table.
type hmacSpec struct {
	header    string
	prefix    string
	encoding  encoding
	hash      func() hash.Hash // nil: SHA-256
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

// with makes a source's verifier; the bytes of the secrets are the keys.
func (spec hmacSpec) with(cfg Config, _ *faults) verifier {
	v := &hmacVerifier{hmacSpec: spec, publicURL: cfg.PublicURL, tolerance: cfg.Tolerance}
	if v.hash == nil {
		v.hash = sha256.New
	}
	for _, secret := range cfg.Secrets {
		v.keys = append(v.keys, []byte(secret))
	}
	return v
}

func (v *hmacVerifier) verify(r Request, now time.Time) *Rejection {
	sent, rejection := v.signature(r)
	if rejection != nil {
		return rejection
	}
	vars, rejection := v.variables(r)
	if rejection != nil {
		return rejection
	}
	if v.timestamp != "" {
		if rejection := checkTimestamp(vars.timestamp, v.format, now, v.tolerance, v.timestamp); rejection != nil {
			return rejection
		}
	}
	ok := false
	for _, key := range v.keys {
		ok = hmac.Equal(v.mac(key, vars), sent) || ok
	}
	if !ok {
		return mismatch(v.header)
	}
	if v.inBody != nil {
		return checkBodyTimestamp(text(r.Body, v.inBody), v.format, now, v.tolerance, v.inBody)
	}
	return nil
}

// signature reads the header with the signature.
func (v *hmacVerifier) signature(r Request) ([]byte, *Rejection) {
	header, rejection := single(r.Header, v.header)
	if rejection != nil {
		return nil, rejection
	}
	text, ok := strings.CutPrefix(header, v.prefix)
	if !ok {
		return nil, reject(MalformedHeader, "The %s header must start with %q.", v.header, v.prefix)
	}
	sent, err := v.encoding.decode(text)
	if size := v.hash().Size(); err != nil || len(sent) != size {
		return nil, reject(MalformedHeader, "The %s header must have a signature of %d bytes in %s.", v.header, size, v.encoding)
	}
	return sent, nil
}

// variables collects the values that the template may use.
func (v *hmacVerifier) variables(r Request) (variables, *Rejection) {
	vars := variables{method: r.Method, body: r.Body, url: signedURL(v.publicURL, r.URL)}
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
	vars, rejection := v.variables(*r)
	if rejection != nil {
		return rejection
	}
	r.Header.Set(v.header, v.prefix+v.encoding.encode(v.mac(v.keys[0], vars)))
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
