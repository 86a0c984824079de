package webhook

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"strings"
)

// signatureList says that a header has several signatures, or more than a signature. The
// zero value is one signature, alone.
type signatureList struct {
	separator string
	// signature and timestamp are names of pairs: "v1" and "t" of "t=1700000000,v1=5257a8…".
	// No signature: the header has signatures only. No timestamp: it is elsewhere.
	signature, timestamp string
}

// write makes a header's value.
func (l signatureList) write(timestamp, signature string) string {
	if l.signature == "" {
		return signature
	}
	signature = l.signature + "=" + signature
	if l.timestamp == "" {
		return signature
	}
	return l.timestamp + "=" + timestamp + l.separator + signature
}

// signatures reads the header. Of several signatures those that are ill-formed are left
// out: they cannot be good, and another one may be. A header has at most 16 KiB.
func (v *hmacVerifier) signatures(r Request) (sent [][]byte, timestamp string, _ *Rejection) {
	header, rejection := single(r.Header, v.header)
	if rejection != nil {
		return nil, "", rejection
	}
	size := ed25519.SignatureSize
	if !v.public {
		size = v.hash().Size()
	}
	if v.list.separator == "" {
		text, ok := strings.CutPrefix(header, v.prefix)
		if !ok {
			return nil, "", reject(MalformedHeader, "The %s header must start with %q.", v.header, v.prefix)
		}
		one, err := v.encoding.decode(text)
		if err != nil || len(one) != size {
			return nil, "", reject(MalformedHeader, "The %s header must have a signature of %d bytes in %s.", v.header, size, v.encoding)
		}
		return [][]byte{one}, "", nil
	}
	for part := range strings.SplitSeq(header, v.list.separator) {
		value := strings.TrimSpace(part)
		if v.list.signature != "" {
			var name string
			name, value, _ = strings.Cut(value, "=")
			if name == v.list.timestamp && name != "" {
				if timestamp != "" {
					return nil, "", reject(MalformedHeader, "The %s header has more than one %s=.", v.header, name)
				}
				timestamp = value
			}
			if name != v.list.signature {
				continue
			}
		}
		text, ok := strings.CutPrefix(value, v.prefix)
		if one, err := v.encoding.decode(text); ok && err == nil && len(one) == size {
			sent = append(sent, one)
		}
	}
	if sent == nil || timestamp == "" && v.list.timestamp != "" {
		return nil, "", reject(MalformedHeader, "The %s header must have %s, with a signature of %d bytes in %s.", v.header, v.list.expected(v.prefix), size, v.encoding)
	}
	return sent, timestamp, nil
}

// expected is the form of the header, for people.
func (l signatureList) expected(prefix string) string {
	return l.write("…", prefix+"…")
}

// keyEncoding is how a secret is written.
type keyEncoding string

const (
	keysText   keyEncoding = "" // its bytes are the key
	keysHex    keyEncoding = "hex"
	keysBase64 keyEncoding = "base64" // with or without padding
)

func (e keyEncoding) decode(secret string) ([]byte, error) {
	switch e {
	case keysHex:
		return hex.DecodeString(strings.TrimSpace(secret))
	case keysBase64:
		return base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(secret), "="))
	}
	return []byte(secret), nil
}

// parseEd25519 reads a public key: 32 bytes, or SubjectPublicKeyInfo (RFC 8410), as the
// encoding says or in PEM. problem says what it must be.
func parseEd25519(text string, e keyEncoding) (key []byte, problem string) {
	data, err := e.decode(text)
	if block, _ := pem.Decode([]byte(text)); block != nil {
		data, err = block.Bytes, nil
	}
	if err == nil && len(data) != ed25519.PublicKeySize {
		var parsed any
		if parsed, err = x509.ParsePKIXPublicKey(data); err == nil {
			data, _ = parsed.(ed25519.PublicKey)
		}
	}
	if err != nil || len(data) != ed25519.PublicKeySize {
		return nil, "the provider's ed25519 public key: 32 bytes in " + string(e) + ", or PEM"
	}
	return data, ""
}
