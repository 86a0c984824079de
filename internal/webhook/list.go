package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// listSpec is a scheme whose one header lists a timestamp and HMAC-SHA256 signatures
// in hex by name: Stripe's "t=1,v1=…,v1=…", Paddle's "ts=1;h1=…". The signed text is
// the timestamp, a separator and the body.
type listSpec struct {
	header    string
	between   string // the list's separator
	timestamp string // the timestamp's name; it is Unix seconds
	signature string // the signatures' name; other names are ignored
	separator string // between the timestamp and the body
}

type listVerifier struct {
	listSpec
	keys      [][]byte
	tolerance time.Duration
}

func (spec listSpec) with(cfg Config, _ *faults) verifier {
	v := &listVerifier{listSpec: spec, tolerance: cfg.Tolerance}
	for _, secret := range cfg.Secrets {
		v.keys = append(v.keys, []byte(secret))
	}
	return v
}

func (v *listVerifier) verify(r Request, now time.Time) *Rejection {
	header, rejection := single(r.Header, v.header)
	if rejection != nil {
		return rejection
	}
	timestamp, signatures, rejection := v.parse(header)
	if rejection != nil {
		return rejection
	}
	if rejection := checkTimestamp(timestamp, unixSeconds, now, v.tolerance, v.header); rejection != nil {
		return rejection
	}
	ok := false
	for _, key := range v.keys {
		want := v.mac(key, timestamp, r.Body)
		for _, sent := range signatures {
			ok = hmac.Equal(want, sent) || ok
		}
	}
	if !ok {
		return mismatch(v.header)
	}
	return nil
}

// parse reads the header.
func (spec listSpec) parse(header string) (timestamp string, signatures [][]byte, _ *Rejection) {
	for rest := header; rest != ""; {
		var pair string
		pair, rest, _ = strings.Cut(rest, spec.between)
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		switch name {
		case spec.timestamp:
			if timestamp != "" {
				return "", nil, reject(MalformedHeader, "The %s header has more than one %s=.", spec.header, spec.timestamp)
			}
			timestamp = value
		case spec.signature:
			if sent, err := hex.DecodeString(value); err == nil && len(sent) == sha256.Size { // others cannot be good
				signatures = append(signatures, sent)
			}
		}
	}
	if timestamp == "" || signatures == nil {
		return "", nil, reject(MalformedHeader, "The %s header must have %s= and, after %s=, a signature of %d bytes in hex.", spec.header, spec.timestamp, spec.signature, sha256.Size)
	}
	return timestamp, signatures, nil
}

func (v *listVerifier) mac(key []byte, timestamp string, body []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(timestamp + v.separator))
	mac.Write(body)
	return mac.Sum(nil)
}

func (v *listVerifier) sign(r *Request, _ string, now time.Time) error {
	timestamp := unixSeconds.write(now)
	signature := hex.EncodeToString(v.mac(v.keys[0], timestamp, r.Body))
	r.Header.Set(v.header, v.timestamp+"="+timestamp+v.between+v.signature+"="+signature)
	return nil
}
