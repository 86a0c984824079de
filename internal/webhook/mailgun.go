package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"time"

	"eventgateway/internal/strictjson"
)

// mailgun verifies HMAC-SHA256 in hex over a timestamp and a random token, all three
// of which are in the body. The event itself is not signed: somebody who has seen a
// delivery can send another event under its signature while the timestamp is fresh.
// Only TLS and a small tolerance protect against that.
type mailgun struct {
	keys      [][]byte
	tolerance time.Duration
}

func newMailgun(cfg Config, _ *faults) verifier {
	v := &mailgun{tolerance: cfg.Tolerance}
	for _, secret := range cfg.Secrets {
		v.keys = append(v.keys, []byte(secret))
	}
	return v
}

// mailgunParts are the members of "signature"; parent is the main account's
// signature, sent beside a subaccount's.
type mailgunParts struct{ timestamp, token, signature, parent string }

func (v *mailgun) verify(r Request, now time.Time) *Rejection {
	parts, rejection := mailgunPartsOf(r.Header, r.Body)
	if rejection != nil {
		return rejection
	}
	var sent [][]byte
	for _, text := range []string{parts.signature, parts.parent} {
		one, err := hex.DecodeString(text)
		if err == nil && len(one) == sha256.Size {
			sent = append(sent, one)
		}
	}
	switch {
	case parts.token == "" || parts.signature == "":
		return reject(MalformedBody, "The body has no signature: /signature must have timestamp, token and signature; in a form they are fields.")
	case sent == nil:
		return reject(MalformedBody, "The signature in the body must be %d bytes in hex.", sha256.Size)
	}
	if rejection := checkBodyTimestamp(parts.timestamp, unixSeconds, now, v.tolerance, strictjson.Pointer{"signature", "timestamp"}); rejection != nil {
		return rejection
	}
	ok := false
	for _, key := range v.keys {
		want := mailgunMAC(key, parts)
		for _, one := range sent {
			ok = hmac.Equal(want, one) || ok
		}
	}
	if !ok {
		return mismatch("the body")
	}
	return nil
}

// mailgunPartsOf reads the parts from JSON, or from a form, where they are at the top.
func mailgunPartsOf(h http.Header, body []byte) (mailgunParts, *Rejection) {
	contentType := h.Get("Content-Type")
	if media := mediaType(contentType); media == mediaForm || media == mediaMultipart {
		fields, fault, tooMany := parseForm(string(body))
		if media == mediaMultipart {
			fields, fault, tooMany = parseMultipart(contentType, body)
		}
		if fault != nil || tooMany != nil {
			return mailgunParts{}, reject(MalformedBody, "The form is ill-formed or has more than %d fields, so its signature cannot be checked.", maxFields)
		}
		value := func(name string) string { v, _ := formValue(fields, name); return v }
		return mailgunParts{value("timestamp"), value("token"), value("signature"), ""}, nil
	}
	if fault := checkJSON(body); fault != nil {
		return mailgunParts{}, unreadable(fault.Detail)
	}
	signature, _ := strictjson.Pointer{"signature"}.Find(body)
	value := func(name string) string { return text(signature, strictjson.Pointer{name}) }
	return mailgunParts{value("timestamp"), value("token"), value("signature"), value("parent-signature")}, nil
}

// mailgunType names what a route forwards, which has no type: an e-mail that was received.
func mailgunType(data []byte) string {
	if text(data, strictjson.Pointer{"recipient"}) != "" {
		return "inbound"
	}
	return ""
}

// unreadable rejects a body that should contain the signature.
func unreadable(why string) *Rejection {
	return reject(MalformedBody, "The signature is in the body, which cannot be read. %s", why)
}

func mailgunMAC(key []byte, parts mailgunParts) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(parts.timestamp + parts.token))
	return mac.Sum(nil)
}

func (v *mailgun) sign(r *Request, id string, now time.Time) error {
	if media := mediaType(r.Header.Get("Content-Type")); media == mediaForm || media == mediaMultipart {
		return errors.New("only JSON can be signed, not a form")
	}
	if fault := checkJSON(r.Body); fault != nil {
		return fault
	}
	sum := sha256.Sum256(append([]byte(id+"\n"), r.Body...)) // as random as the body is
	parts := mailgunParts{timestamp: unixSeconds.write(now), token: hex.EncodeToString(sum[:25])}
	parts.signature = hex.EncodeToString(mailgunMAC(v.keys[0], parts))
	value := `{"token":"` + parts.token + `","timestamp":"` + parts.timestamp + `","signature":"` + parts.signature + `"}`
	body, err := put(r.Body, strictjson.Pointer{"signature"}, []byte(value))
	if err != nil {
		return err
	}
	r.Body = body
	return nil
}
