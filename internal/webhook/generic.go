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

// newGeneric makes the verifier of the scheme "hmac". A configuration that leaves the
// body, or the timestamp that is checked, unsigned is a fault.
func newGeneric(cfg Config, f *faults) verifier {
	if cfg.HMAC == nil {
		f.add("hmac", "is missing; the scheme \"hmac\" needs at least hmac.header")
		return nil
	}
	c := *cfg.HMAC
	spec := hmacSpec{header: http.CanonicalHeaderKey(c.Header), prefix: c.Prefix, encoding: encoding(c.Encoding), hash: algorithms[c.Algorithm], format: anyTimestamp}
	if !validHeaderName(c.Header) {
		f.add("hmac.header", "%q must be a header's name, as in \"X-Signature\"", c.Header)
	}
	switch spec.encoding {
	case "":
		spec.encoding = encodingHex
	case encodingHex, encodingBase64, encodingBase64URL:
	default:
		f.add("hmac.encoding", "%q must be \"hex\", \"base64\" or \"base64url\"", c.Encoding)
	}
	if spec.hash == nil {
		f.add("hmac.algorithm", "%q must be \"sha256\", \"sha512\" or \"sha1\"", c.Algorithm)
	}
	if c.Timestamp != "" {
		spec.timestamp = http.CanonicalHeaderKey(c.Timestamp)
		if !validHeaderName(c.Timestamp) {
			f.add("hmac.timestamp", "%q must be a header's name, as in \"X-Timestamp\"", c.Timestamp)
		}
	}
	if c.Signed == "" {
		c.Signed = "{body}"
	}
	id, _ := strings.CutPrefix(cfg.ID, headerPlace)
	if id == cfg.ID || !validHeaderName(id) {
		id = ""
	}
	var err error
	if spec.signed, err = parseTemplate(c.Signed, http.CanonicalHeaderKey(id)); err != nil {
		f.add("hmac.signed", "%v", err)
		return nil
	}
	checkSigned(spec, cfg, f)
	return spec.with(cfg, f)
}

func checkSigned(spec hmacSpec, cfg Config, f *faults) {
	if !spec.signed.has(fieldBody) {
		f.add("hmac.signed", "must have {body}; without it anybody could change the body")
	}
	switch hasTimestamp := spec.signed.has(fieldTimestamp); {
	case hasTimestamp && spec.timestamp == "":
		f.add("hmac.timestamp", "is missing; it is the header of the {timestamp} in hmac.signed")
	case !hasTimestamp && spec.timestamp != "":
		f.add("hmac.signed", "must have {timestamp}; without it anybody could change the header %s", spec.timestamp)
	}
	if spec.signed.has(fieldURL) && cfg.PublicURL == "" {
		f.add("public_url", "is missing; it is the {url} in hmac.signed")
	}
}
