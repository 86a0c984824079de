package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"time"
)

const (
	// keyPrefix lets people, and scanners for leaked secrets, tell a key.
	keyPrefix = "gwk_"
	keyBytes  = 32
	// hashPrefix begins a hash in the configuration.
	hashPrefix = "sha256:"
	// maxKeyLength bounds what is hashed for a stranger, in bytes.
	maxKeyLength = 512
)

// Hash is the SHA-256 of a key.
type Hash [sha256.Size]byte

// NewKey makes a key of 256 random bits and its hash, as the configuration has it.
func NewKey() (key, hash string) {
	var b [keyBytes]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	key = keyPrefix + base64.RawURLEncoding.EncodeToString(b[:])
	h := sha256.Sum256([]byte(key))
	return key, hashPrefix + hex.EncodeToString(h[:])
}

// ParseHash reads "sha256:" and 64 hexadecimal digits.
func ParseHash(text string) (Hash, bool) {
	digits, ok := strings.CutPrefix(text, hashPrefix)
	if !ok || len(digits) != hex.EncodedLen(sha256.Size) {
		return Hash{}, false
	}
	var h Hash
	_, err := hex.Decode(h[:], []byte(digits))
	return h, err == nil
}

// Key is one key of a client.
type Key struct {
	Hash    Hash
	Expires time.Time // zero: never
}

// Client is somebody who may call.
type Client struct {
	Name string
	Keys []Key
	// Certificates are names (DNS, URI or e-mail, as the certificate's subject
	// alternative names have them) by which a client certificate is this client's.
	Certificates []string
	Events       []string // patterns
}

// book finds clients.
type book struct {
	keys         map[Hash]entry
	certificates map[string]*Caller
}

type entry struct {
	caller  *Caller
	expires time.Time
}

func newBook(clients []Client) *book {
	b := &book{keys: map[Hash]entry{}, certificates: map[string]*Caller{}}
	for _, c := range clients {
		caller := &Caller{Name: c.Name, events: parsePatterns(c.Events)}
		for _, k := range c.Keys {
			b.keys[k.Hash] = entry{caller, k.Expires}
		}
		for _, name := range c.Certificates {
			b.certificates[name] = caller
		}
	}
	return b
}

// byKey finds a key's client. The hash is what is compared, so that the time says
// nothing about keys that there are.
func (b *book) byKey(key string, now time.Time) (*Caller, Reason) {
	e, ok := b.keys[sha256.Sum256([]byte(key))]
	switch {
	case !ok:
		return nil, UnknownKey
	case !e.expires.IsZero() && !now.Before(e.expires):
		return nil, ExpiredKey
	}
	return e.caller, ""
}
