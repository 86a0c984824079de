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
	// keyPrefix lets people, and scanners for leaked secrets, recognise a key.
	keyPrefix = "gwk_"
	keyBytes  = 32
	// hashPrefix begins a hash in the configuration.
	hashPrefix = "sha256:"
	// maxKeyLength bounds what is hashed for an unknown caller, in bytes.
	maxKeyLength = 512
)

// Hash is the SHA-256 of a key.
type Hash [sha256.Size]byte

// NewKey returns a key of 256 random bits, and its hash as the configuration has it.
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

// Client may call with one of its keys or certificates.
type Client struct {
	Name string
	Keys []Key
	// Certificates are subject alternative names (DNS, URI or e-mail): a client
	// certificate with one of them is this client's.
	Certificates []string
	Events       []string // patterns
}

// clientIndex finds clients by what they show.
type clientIndex struct {
	keys         map[Hash]keyOwner
	certificates map[string]*Caller // by name
	names        map[string]bool
}

type keyOwner struct {
	caller  *Caller
	expires time.Time
}

func newClientIndex(clients []Client) *clientIndex {
	index := &clientIndex{keys: map[Hash]keyOwner{}, certificates: map[string]*Caller{}, names: map[string]bool{}}
	for _, c := range clients {
		caller := &Caller{Name: c.Name, events: parsePatterns(c.Events)}
		index.names[c.Name] = true
		for _, k := range c.Keys {
			index.keys[k.Hash] = keyOwner{caller, k.Expires}
		}
		for _, name := range c.Certificates {
			index.certificates[name] = caller
		}
	}
	return index
}

// byKey finds a key's client. Hashes are compared, so the time that it takes reveals
// nothing about existing keys.
func (i *clientIndex) byKey(key string, now time.Time) (*Caller, Reason) {
	owner, ok := i.keys[sha256.Sum256([]byte(key))]
	switch {
	case !ok:
		return nil, UnknownKey
	case !owner.expires.IsZero() && !now.Before(owner.expires):
		return nil, ExpiredKey
	}
	return owner.caller, ""
}
