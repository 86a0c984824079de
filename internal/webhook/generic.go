package webhook

import (
	"crypto/sha1" //nolint:gosec // senders that offer nothing better; as an HMAC it is not known to be forgeable
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"net/http"
	"strings"
)

var algorithms = map[string]func() hash.Hash{"": sha256.New, "sha256": sha256.New, "sha1": sha1.New, "sha512": sha512.New}

// Algorithms of the scheme "hmac" that are not an HMAC.
const (
	algorithmEd25519 = "ed25519"
	algorithmToken   = "token" // the header has the secret itself
)

// newGeneric makes the verifier of the scheme "hmac". A configuration that leaves the
// body, or the timestamp that is checked, unsigned is a fault.
func newGeneric(cfg Config, f *faults) verifier {
	if cfg.HMAC == nil {
		f.add("hmac", "is missing; the scheme \"hmac\" needs at least hmac.header")
		return nil
	}
	c := *cfg.HMAC
	if !validHeaderName(c.Header) {
		f.add("hmac.header", "%q must be a header's name, as in \"X-Signature\"", c.Header)
	}
	if c.Algorithm == algorithmToken {
		return newToken(cfg, f)
	}
	spec := hmacSpec{
		header: http.CanonicalHeaderKey(c.Header), prefix: c.Prefix, format: anyTimestamp, public: c.Algorithm == algorithmEd25519,
		encoding: encoding(c.Encoding), secrets: keyEncoding(c.SecretEncoding),
		list: signatureList{separator: c.Separator, signature: c.SignatureField, timestamp: c.TimestampField},
	}
	spec.readEncodings(c, f)
	spec.readList(f)
	if c.Timestamp != "" {
		spec.timestamp = http.CanonicalHeaderKey(c.Timestamp)
		if !validHeaderName(c.Timestamp) {
			f.add("hmac.timestamp", "%q must be a header's name, as in \"X-Timestamp\"", c.Timestamp)
		}
	}
	if c.Signed == "" {
		c.Signed = "{body}"
	}
	id := ""
	if len(cfg.IDs) == 1 && len(cfg.IDs[0]) == 1 {
		id = cfg.IDs[0][0]
	}
	if cfg.ID != "" {
		id = cfg.ID
	}
	name, isHeader := strings.CutPrefix(id, headerPlace)
	if !isHeader || !validHeaderName(name) {
		name = ""
	}
	var err error
	if spec.signed, err = parseTemplate(c.Signed, http.CanonicalHeaderKey(name)); err != nil {
		f.add("hmac.signed", "%v", err)
		return nil
	}
	checkSigned(spec, cfg, f)
	return spec.with(cfg, f)
}

// readEncodings sets the defaults, and the hash.
func (spec *hmacSpec) readEncodings(c HMAC, f *faults) {
	switch spec.encoding {
	case "":
		spec.encoding = encodingHex
	case encodingHex, encodingBase64, encodingBase64URL:
	default:
		f.add("hmac.encoding", "%q must be \"hex\", \"base64\" or \"base64url\"", c.Encoding)
	}
	switch c.SecretEncoding {
	case "":
		if spec.public {
			spec.secrets = keysHex
		}
	case "text":
		spec.secrets = keysText
		if spec.public {
			f.add("hmac.secret_encoding", "must be \"hex\" or \"base64\" for public keys; PEM is recognised")
		}
	case string(keysHex), string(keysBase64):
	default:
		f.add("hmac.secret_encoding", "%q must be \"text\", \"hex\" or \"base64\"", c.SecretEncoding)
		spec.secrets = keysText
	}
	if spec.hash = algorithms[c.Algorithm]; spec.hash == nil && !spec.public {
		f.add("hmac.algorithm", "%q must be \"sha256\", \"sha512\", \"sha1\", \"ed25519\" or \"token\"", c.Algorithm)
	}
}

// readList checks how a header with several signatures, or pairs, is read.
func (spec *hmacSpec) readList(f *faults) {
	l := &spec.list
	for _, field := range []struct{ name, value string }{{"signature", l.signature}, {"timestamp", l.timestamp}} {
		if strings.ContainsAny(field.value, "=, ;") {
			f.add("hmac."+field.name+"_field", "%q must be the name before \"=\", as in \"v1\"", field.value)
		}
	}
	if l.timestamp != "" && l.signature == "" {
		f.add("hmac.signature_field", "is missing; beside %s=, the signature has a name too, as in \"v1\"", l.timestamp)
	}
	if l.timestamp != "" && l.timestamp == l.signature {
		f.add("hmac.timestamp_field", "is the name of the signature; they must differ")
	}
	if l.signature != "" && l.separator == "" {
		l.separator = ","
	}
}

// newToken checks a secret that is sent along in any header.
func newToken(cfg Config, f *faults) verifier {
	c := cfg.HMAC
	for _, unused := range []struct{ field, value string }{
		{"encoding", c.Encoding},
		{"signed", c.Signed},
		{"timestamp", c.Timestamp},
		{"separator", c.Separator},
		{"signature_field", c.SignatureField},
		{"timestamp_field", c.TimestampField},
		{"secret_encoding", c.SecretEncoding},
	} {
		if unused.value != "" {
			f.add("hmac."+unused.field, "is not for the algorithm \"token\", which signs nothing")
		}
	}
	return newCredentials(cfg, credentials{header: http.CanonicalHeaderKey(c.Header), prefix: c.Prefix})
}

func checkSigned(spec hmacSpec, cfg Config, f *faults) {
	if !spec.signed.has(fieldBody) {
		f.add("hmac.signed", "must have {body}; without it anybody could change the body")
	}
	if spec.timestamp != "" && spec.list.timestamp != "" {
		f.add("hmac.timestamp", "is given beside hmac.timestamp_field; the timestamp is in one place")
	}
	hasTimestamp := spec.signed.has(fieldTimestamp)
	switch {
	case hasTimestamp && spec.timestamp == "" && spec.list.timestamp == "":
		f.add("hmac.timestamp", "is missing; it is the header of the {timestamp} in hmac.signed (or hmac.timestamp_field, its name in %s)", spec.header)
	case !hasTimestamp && spec.timestamp != "":
		f.add("hmac.signed", "must have {timestamp}; without it anybody could change the header %s", spec.timestamp)
	case !hasTimestamp && spec.list.timestamp != "":
		f.add("hmac.signed", "must have {timestamp}; without it anybody could change %s= in the header %s", spec.list.timestamp, spec.header)
	}
	if spec.signed.has(fieldURL) && cfg.PublicURL == "" {
		f.add("public_url", "is missing; it is the {url} in hmac.signed")
	}
}
