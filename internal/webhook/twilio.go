package webhook

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what Twilio signs with; as an HMAC it is not known to be forgeable
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"eventgateway/internal/strictjson"
)

const (
	twilioSignature = "X-Twilio-Signature"
	twilioBodyHash  = "bodySHA256" // query parameter
)

// twilio verifies an HMAC over the URL. The names and values of a form follow the
// URL, in the order of the names; the SHA-256 of any other body is part of the URL.
// It is HMAC-SHA1 with the auth token, or HMAC-SHA256 with the key of a webhooks
// rule: the length of the signature says which.
//
// Names and values are joined without a separator. So somebody who has seen a form
// can move a character from the end of a name to the start of its value without
// breaking the signature.
type twilio struct {
	keys      [][]byte
	publicURL string
}

func newTwilio(cfg Config, _ *faults) verifier {
	v := &twilio{publicURL: cfg.PublicURL}
	for _, secret := range cfg.Secrets {
		v.keys = append(v.keys, []byte(secret))
	}
	return v
}

func (v *twilio) verify(r Request, _ time.Time) *Rejection {
	header, rejection := single(r.Header, twilioSignature)
	if rejection != nil {
		return rejection
	}
	sent, err := base64.StdEncoding.DecodeString(header)
	algorithm := sha1.New
	switch {
	case err == nil && len(sent) == sha1.Size:
	case err == nil && len(sent) == sha256.Size:
		algorithm = sha256.New
	default:
		return reject(MalformedHeader, "The %s header must have a signature of %d or %d bytes in base64.", twilioSignature, sha1.Size, sha256.Size)
	}
	full := signedURL(v.publicURL, r.URL)
	fields, rejection := v.fields(full, r)
	if rejection != nil {
		return rejection
	}
	ok := false
	for _, u := range withAndWithoutPort(full) {
		for _, key := range v.keys {
			ok = hmac.Equal(twilioMAC(algorithm, key, u, fields), sent) || ok
		}
	}
	if !ok {
		return reject(SignatureMismatch, "The signature in %s is not that of this request under any configured secret: the secret is another one, "+
			"public_url is not the URL that the provider was given, or the request was changed on its way.", twilioSignature)
	}
	return nil
}

// fields returns the form's fields to sign, sorted. Of any other body it compares the
// hash with the one in the URL, and returns none.
func (v *twilio) fields(full string, r Request) ([]formField, *Rejection) {
	u, err := url.Parse(full)
	if err != nil {
		return nil, reject(SignatureMismatch, "The request's URL is ill-formed.")
	}
	if hashes := u.Query()[twilioBodyHash]; len(hashes) > 0 {
		sum := sha256.Sum256(r.Body)
		if len(hashes) > 1 || subtle.ConstantTimeCompare([]byte(strings.ToLower(hashes[0])), []byte(hex.EncodeToString(sum[:]))) == 0 {
			return nil, reject(SignatureMismatch, "The body is not the one whose SHA-256 the URL has in %s.", twilioBodyHash)
		}
		return nil, nil
	}
	if mediaType(r.Header.Get("Content-Type")) != mediaForm && len(r.Body) > 0 {
		return nil, reject(SignatureMismatch, "The body is not signed: it is not a form, and the URL has no %s.", twilioBodyHash)
	}
	fields, fault, tooMany := parseForm(string(r.Body))
	if tooMany != nil || fault != nil && len(r.Body) > 0 {
		return nil, reject(MalformedBody, "The form is ill-formed or has more than %d fields, so its signature cannot be checked.", maxFields)
	}
	slices.SortFunc(fields, func(a, b formField) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.value, b.value))
	})
	return slices.CompactFunc(fields, func(a, b formField) bool { return a.name == b.name && a.value == b.value }), nil // a repeated value is signed once
}

func twilioMAC(algorithm func() hash.Hash, key []byte, u string, fields []formField) []byte {
	mac := hmac.New(algorithm, key)
	mac.Write([]byte(u))
	for _, f := range fields {
		mac.Write([]byte(f.name + f.value))
	}
	return mac.Sum(nil)
}

// withAndWithoutPort returns the URL as it is, and without its port or with the
// default one: Twilio signs either, depending on the product.
func withAndWithoutPort(full string) []string {
	u, err := url.Parse(full)
	if err != nil {
		return []string{full}
	}
	host := u.Hostname()
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	other := host
	if u.Port() == "" {
		other = net.JoinHostPort(u.Hostname(), map[string]string{"https": "443", "http": "80"}[u.Scheme])
	}
	before, after, _ := strings.Cut(full, u.Host)
	return []string{full, before + other + after}
}

func (v *twilio) sign(r *Request, _ string, _ time.Time) error {
	if mediaType(r.Header.Get("Content-Type")) != mediaForm && len(r.Body) > 0 {
		sum := sha256.Sum256(r.Body)
		path, query, _ := strings.Cut(r.URL, "?")
		values := slices.DeleteFunc(strings.Split(query, "&"), func(s string) bool {
			return s == "" || strings.HasPrefix(s, twilioBodyHash+"=")
		})
		r.URL = path + "?" + strings.Join(append(values, twilioBodyHash+"="+hex.EncodeToString(sum[:])), "&")
	}
	full := signedURL(v.publicURL, r.URL)
	fields, rejection := v.fields(full, *r)
	if rejection != nil {
		return rejection
	}
	r.Header.Set(twilioSignature, base64.StdEncoding.EncodeToString(twilioMAC(sha1.New, v.keys[0], full, fields)))
	return nil
}

// twilioType names the status of a message or a call, whose words are the same.
func twilioType(data []byte) string {
	for _, of := range []struct{ kind, member string }{{"message", "MessageStatus"}, {"message", "SmsStatus"}, {"call", "CallStatus"}} {
		if status := text(data, strictjson.Pointer{of.member}); status != "" {
			return of.kind + "." + status
		}
	}
	return ""
}
