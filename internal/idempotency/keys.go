package idempotency

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"sync/atomic"

	"eventgateway/internal/event"
)

// bucketCount is the number of buckets. With more of them less has to be rebuilt after a
// partial loss; with fewer it costs less to check all markers. It is part of the stored
// format.
const bucketCount = 256

func bucketOf(id event.ClaimID) byte { return id[0] }

// Keys of an installation (docs/adr/0022):
//
//	gw:<installation>{<bucket>}<16 bytes of the claim>   a claim
//	gw:<installation>{<bucket>}:m                        the bucket's marker
//	gw:<installation>{<bucket>}:l                        its lock
//	gw:<installation>{<bucket>}:b                        the beat of its server, or none
//	gw:<installation>{<bucket>}:w                        the lock of who writes that beat
//	gw:<installation>{<bucket>}:d                        how far its rebuild is (scripts_types.go)
//	gw:<installation>{<token>}:s                         how far its reading is (scripts_shared.go)
//	gw:<installation>{<bucket>}:f                        see former_keys.go
//
// All keys of a bucket share a hash tag, so that on a Redis Cluster one script may use
// them. The installation is the beginning of a hash: with 42 bits, a hundred installations
// on one Redis are confused with a probability of one in a billion. A claim is the beginning of
// its id, and its bucket one more byte: with 136 bits, a thousand billion claims have two
// alike with a probability of one in 10^17, and to find a key that has the claim of
// another's takes 2^136 tries. With 30 bytes a key takes no more of Redis' memory than it
// must.
const (
	keyPrefix         = "gw:"
	installationChars = 7
	claimBytes        = 16
	claimKeyBytes     = len(keyPrefix) + installationChars + len("{00}") + claimBytes
)

// InstallationTag is what stands for an installation in keys.
func InstallationTag(name string) string {
	sum := sha256.Sum256([]byte(name))
	return base64.RawURLEncoding.EncodeToString(sum[:])[:installationChars]
}

// keyspace makes the keys of one installation.
type keyspace struct {
	start   string              // of all keys
	buckets [bucketCount]string // what the keys of a bucket begin with
	markers [bucketCount]string
}

func newKeyspace(installation string) *keyspace {
	k := new(keyspace)
	start := keyPrefix + InstallationTag(installation)
	k.start = start
	for _, b := range allBuckets() {
		k.buckets[b] = start + hashTag(b)
		k.markers[b] = k.buckets[b] + ":m"
	}
	return k
}

func hashTag(bucket byte) string { return "{" + hex.EncodeToString([]byte{bucket}) + "}" }

func (k *keyspace) claim(id event.ClaimID) string {
	return string(k.appendClaim(make([]byte, 0, claimKeyBytes), id))
}

func (k *keyspace) appendClaim(b []byte, id event.ClaimID) []byte {
	b = append(b, k.buckets[bucketOf(id)]...)
	return append(b, id[1:1+claimBytes]...)
}

func (k *keyspace) marker(bucket byte) string { return k.markers[bucket] }

// lock is the key of the lock that a gateway holds while it rebuilds a bucket.
func (k *keyspace) lock(bucket byte) string { return k.buckets[bucket] + ":l" }

// beat is the key of the beat of a bucket's server (see marker.go).
func (k *keyspace) beat(bucket byte) string { return k.buckets[bucket] + ":b" }

// beatLock is the key of the lock that the gateway holds that writes the beat.
func (k *keyspace) beatLock(bucket byte) string { return k.buckets[bucket] + ":w" }

// state is the key of what gateways share while they read the log under the token.
func (k *keyspace) state(token string) string { return k.start + "{" + token + "}:s" }

// probeKey is a key of the bucket that never exists, of no installation.
func probeKey(bucket byte) string { return keyPrefix + hashTag(bucket) + ":probe" }

// QuoteKey writes a key, which need not be text, as redis-cli does: its option --quoted-input
// reads it again.
func QuoteKey(key string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(key) {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~' || c == '\'': // the last for the sake of shells
			b.WriteString("\\x" + hex.EncodeToString([]byte{c}))
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// errNoInstallation says that Kafka, whose id names the installation, was not reached
// yet. No claim is asked for before: Kafka's topics are not known either.
var errNoInstallation = errors.New("the installation is not known yet: kafka has not answered")

// keys are those of an installation whose name may not be known yet.
type keys struct {
	installation func() string // empty: not known yet
	known        atomic.Pointer[keyspace]
}

func (k *keys) areKnown() bool {
	_, err := k.get()
	return err == nil
}

func (k *keys) get() (*keyspace, error) {
	if known := k.known.Load(); known != nil {
		return known, nil
	}
	name := k.installation()
	if name == "" {
		return nil, errNoInstallation
	}
	known := newKeyspace(name)
	k.known.Store(known)
	return known, nil
}
