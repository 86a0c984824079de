package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"

	"eventgateway/internal/strictjson"
)

var zoomToken = strictjson.Pointer{"payload", "plainToken"}

// zoomValidates recognises the request with which Zoom checks a URL, when it is saved
// and every 72 hours.
func zoomValidates(c content) bool {
	return text(c.data, strictjson.Pointer{"event"}) == "endpoint.url_validation" && text(c.data, zoomToken) != ""
}

// zoomProof proves that the gateway knows the secret. Only a request that is signed gets
// it: for others, the proof of an invented token would be the signature of an invented
// delivery.
func zoomProof(c content, secret string) *Answer {
	token := text(c.data, zoomToken)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(token))
	return jsonAnswer([2]string{"plainToken", token}, [2]string{"encryptedToken", hex.EncodeToString(mac.Sum(nil))})
}
