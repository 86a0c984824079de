package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"

	"eventgateway/internal/strictjson"
)

// adyen verifies the standard webhooks of payments: every item has an HMAC-SHA256
// over eight of its members, joined by ":". The rest of an item (additionalData,
// operations, the payment method) is not signed. The keys are hex.
type adyen struct{ keys [][]byte }

const adyenItem = "NotificationRequestItem"

// adyenPointers are the signed members, in order, and the signature. A missing member
// is signed as the empty string.
var adyenPointers = []strictjson.Pointer{
	{adyenItem, "pspReference"},
	{adyenItem, "originalReference"},
	{adyenItem, "merchantAccountCode"},
	{adyenItem, "merchantReference"},
	{adyenItem, "amount", "value"},
	{adyenItem, "amount", "currency"},
	{adyenItem, "eventCode"},
	{adyenItem, "success"},
	adyenSignature,
}

var (
	adyenItems     = strictjson.Pointer{"notificationItems"}
	adyenSignature = strictjson.Pointer{adyenItem, "additionalData", "hmacSignature"}
)

func newAdyen(cfg Config, f *faults) verifier {
	v := &adyen{}
	for i, secret := range cfg.Secrets {
		key, err := hex.DecodeString(secret)
		if err != nil || len(key) == 0 {
			f.add("secrets", "the %s must be hexadecimal, as Adyen shows its HMAC keys", ordinal(i))
			continue
		}
		v.keys = append(v.keys, key)
	}
	return v
}

func (v *adyen) verify(r Request, _ time.Time) *Rejection {
	all, rejection := adyenItemsOf(r.Body)
	if rejection != nil {
		return rejection
	}
	for i, item := range all { // one bad item rejects all
		if rejection := v.verifyItem(i, item); rejection != nil {
			return rejection
		}
	}
	return nil
}

// adyenItemsOf returns the items of a strict body: if a member were there twice, one
// of them could be the signed one and the other one published.
func adyenItemsOf(body []byte) ([][]byte, *Rejection) {
	if fault := checkJSON(body); fault != nil {
		return nil, unreadable(fault.Detail)
	}
	all, found, over := adyenItems.Items(body, maxItems)
	switch {
	case !found:
		return nil, reject(MalformedBody, "The body has no array at %s, whose items have the signatures.", adyenItems)
	case over:
		return nil, reject(MalformedBody, "The body has more than %d items.", maxItems)
	case len(all) == 0:
		return nil, reject(MalformedBody, "The array at %s is empty: there is no signature.", adyenItems)
	}
	return all, nil
}

func (v *adyen) verifyItem(i int, item []byte) *Rejection {
	signed, signature := adyenParts(item)
	sent, err := base64.StdEncoding.DecodeString(signature)
	if err != nil || len(sent) != sha256.Size {
		return reject(MalformedBody, "Item %d has no signature of %d bytes in base64 at %s. Is HMAC switched on for this webhook at Adyen?", i, sha256.Size, adyenSignature)
	}
	ok := false
	for _, key := range v.keys {
		ok = hmac.Equal(adyenMAC(key, signed), sent) || ok
	}
	if !ok {
		return mismatch("item " + strconv.Itoa(i) + " of the body")
	}
	return nil
}

// adyenParts returns what is signed in an item, and its signature.
func adyenParts(item []byte) (signed, signature string) {
	values := strictjson.FindAll(item, adyenPointers)
	texts := make([]string, len(values))
	for i, value := range values {
		texts[i] = written(value)
	}
	last := len(texts) - 1
	return strings.Join(texts[:last], ":"), texts[last]
}

func adyenMAC(key []byte, signed string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(signed))
	return mac.Sum(nil)
}

func (v *adyen) sign(r *Request, _ string, _ time.Time) error {
	all, rejection := adyenItemsOf(r.Body)
	if rejection != nil {
		return errors.New(rejection.Detail)
	}
	for i, item := range all {
		signed, _ := adyenParts(item)
		signature := base64.StdEncoding.EncodeToString(adyenMAC(v.keys[0], signed))
		at := append(strictjson.Pointer{adyenItems[0], strconv.Itoa(i)}, adyenSignature...)
		body, err := put(r.Body, at, []byte(`"`+signature+`"`))
		if err != nil {
			return err
		}
		r.Body = body
	}
	return nil
}
