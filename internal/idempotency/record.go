package idempotency

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"eventgateway/internal/event"
)

// A claim record is one line of text, which redis-cli shows as it is:
//
//	C <lease end> <from> <fingerprint> <token> <partitions> <owner> <topic>   claimed
//	U …the same…                                                              unknown
//	S <fingerprint> <receipt as JSON>                                         settled
//
// Times are milliseconds since the epoch. The lease ends by Redis' clock, which
// all gateways share. <from> is by the clock of the gateway that claimed first, which also
// gave its records their timestamps: a read of the log from there cannot miss them,
// however clocks differ. The fingerprint is base64url; partitions are comma-separated. Lua
// writes the state and the two times, and reads only the token and the fingerprint.
const (
	stateClaimed = "C"
	stateUnknown = "U"
	stateSettled = "S"
)

// stored is a parsed claim record.
type stored struct {
	state       string
	fingerprint string
	leaseEndMs  int64
	token       string
	fromMs      int64 // kept by later owners
	partitions  []int32
	owner       string
	topic       string
	receipt     event.Receipt
}

var errBadRecord = errors.New("claim record is not one of this gateway's")

func parseRecord(text string) (stored, error) {
	if rest, ok := strings.CutPrefix(text, stateSettled+" "); ok {
		return parseSettled(rest)
	}
	f := strings.Split(text, " ")
	if len(f) != 8 || (f[0] != stateClaimed && f[0] != stateUnknown) {
		return stored{}, errBadRecord
	}
	leaseEnd, err := strconv.ParseInt(f[1], 10, 64)
	if err != nil {
		return stored{}, fmt.Errorf("read lease end: %w", errBadRecord)
	}
	from, err := strconv.ParseInt(f[2], 10, 64)
	if err != nil {
		return stored{}, fmt.Errorf("read time of first claim: %w", errBadRecord)
	}
	s := stored{state: f[0], leaseEndMs: leaseEnd, fromMs: from, fingerprint: f[3], token: f[4], owner: f[6], topic: f[7]}
	for p := range strings.SplitSeq(f[5], ",") {
		n, err := strconv.ParseInt(p, 10, 32)
		if err != nil {
			return stored{}, fmt.Errorf("read partitions: %w", errBadRecord)
		}
		s.partitions = append(s.partitions, int32(n))
	}
	return s, nil
}

func parseSettled(rest string) (stored, error) {
	fp, receipt, ok := strings.Cut(rest, " ")
	s := stored{state: stateSettled, fingerprint: fp}
	if !ok || json.Unmarshal([]byte(receipt), &s.receipt) != nil {
		return stored{}, fmt.Errorf("read receipt: %w", errBadRecord)
	}
	return s, nil
}

// settledRecord is the record of an event that is in the log. It ends with the receipt's
// JSON, from receiptAt on.
func settledRecord(f event.Fingerprint, r event.Receipt) string {
	var room [512]byte // enough for most records
	b := append(room[:0], stateSettled+" "...)
	b = base64.RawURLEncoding.AppendEncode(b, f[:])
	return string(r.AppendJSON(append(b, ' ')))
}

var receiptAt = len(stateSettled) + 1 + base64.RawURLEncoding.EncodedLen(len(event.Fingerprint{})) + 1

// claimBodyBytes is enough for most claim bodies.
const claimBodyBytes = 160

// appendClaimBody appends the part of a claim record that follows <from>. earlier are
// the partitions that an abandoned claim named.
func appendClaimBody(b []byte, c event.Claim, earlier []int32) []byte {
	b = base64.RawURLEncoding.AppendEncode(b, c.Fingerprint[:])
	b = append(append(b, ' '), c.Token...)
	b = append(b, ' ')
	for _, n := range earlier {
		b = append(strconv.AppendInt(b, int64(n), 10), ',')
	}
	if slices.Contains(earlier, c.Placement.Partition) {
		b = b[:len(b)-1]
	} else {
		b = strconv.AppendInt(b, int64(c.Placement.Partition), 10)
	}
	b = append(append(b, ' '), c.Placement.Owner...)
	return append(append(b, ' '), c.Placement.Topic...)
}

func encodeFingerprint(f event.Fingerprint) string {
	return base64.RawURLEncoding.EncodeToString(f[:])
}

// decodeFingerprint returns the zero fingerprint for a text that is not a fingerprint.
func decodeFingerprint(text string) event.Fingerprint {
	var f event.Fingerprint
	if b, err := base64.RawURLEncoding.DecodeString(text); err == nil && len(b) == len(f) {
		copy(f[:], b)
	}
	return f
}

// bucketCount is the number of buckets. With more of them less has to be rebuilt after a
// partial loss; with fewer it costs less to check all markers. It is part of the stored
// format.
const bucketCount = 256

func bucketOf(id event.ClaimID) byte { return id[0] }

const keyPrefix = "gw:{"

// recordKey and markerKey share a hash tag, so that on a Redis Cluster one script may use
// both.
func recordKey(id event.ClaimID) string {
	return string(appendRecordKey(make([]byte, 0, recordKeyBytes), id))
}

const recordKeyBytes = len(keyPrefix) + 2 + len("}:c:") + 2*len(event.ClaimID{})

func appendRecordKey(b []byte, id event.ClaimID) []byte {
	b = hex.AppendEncode(append(b, keyPrefix...), id[:1])
	return hex.AppendEncode(append(b, "}:c:"...), id[:])
}

// appendTexts appends n strings, of about size bytes each, to a list. All of them share
// one allocation; add appends the text of one.
func appendTexts(list []string, n, size int, add func(b []byte, i int) []byte) []string {
	b, ends := make([]byte, 0, n*size), make([]int, n)
	for i := range n {
		b = add(b, i)
		ends[i] = len(b)
	}
	all, start := string(b), 0
	for _, end := range ends {
		list = append(list, all[start:end])
		start = end
	}
	return list
}

func markerKey(bucket byte) string { return markerKeys[bucket] }

var markerKeys = func() (keys [bucketCount]string) {
	for b := range keys {
		keys[b] = string(hex.AppendEncode([]byte(keyPrefix), []byte{byte(b)})) + "}:m"
	}
	return keys
}()

// probeKey is a key of the bucket that never exists.
func probeKey(bucket byte) string {
	return string(hex.AppendEncode([]byte(keyPrefix), []byte{bucket})) + "}:probe"
}

// lockKey is the key of the lock that a gateway holds while it rebuilds a bucket.
func lockKey(bucket byte) string {
	return string(hex.AppendEncode([]byte(keyPrefix), []byte{bucket})) + "}:l"
}
