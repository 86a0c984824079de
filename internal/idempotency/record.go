package idempotency

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"eventgateway/internal/event"
)

// A claim record is one line of text that redis-cli shows as it is:
//
//	C <lease end> <fingerprint> <token> <from> <partitions> <owner> <topic>   claimed
//	U …the same…                                                              unknown
//	S <fingerprint> <receipt as JSON>                                         settled
//
// Times are milliseconds of Redis' clock since the epoch; the fingerprint is
// base64url; partitions are comma-separated. Lua writes only the
// state and the lease end, and reads only the token.
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
	fromMs      string // kept by later owners
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
	s := stored{state: f[0], leaseEndMs: leaseEnd, fingerprint: f[2], token: f[3], fromMs: f[4], owner: f[6], topic: f[7]}
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

// settledRecord is the record of an event that is in the log.
func settledRecord(f event.Fingerprint, r event.Receipt) (string, error) {
	receipt, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("encode receipt: %w", err)
	}
	return stateSettled + " " + encodeFingerprint(f) + " " + string(receipt), nil
}

// claimTail is the part of a claim record behind <from>.
func claimTail(p event.Placement, earlier []int32) string {
	partitions := earlier
	if !slices.Contains(earlier, p.Partition) {
		partitions = append(slices.Clone(earlier), p.Partition)
	}
	var b strings.Builder
	for i, n := range partitions {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(int(n)))
	}
	b.WriteString(" " + p.Owner + " " + p.Topic)
	return b.String()
}

func encodeFingerprint(f event.Fingerprint) string {
	return base64.RawURLEncoding.EncodeToString(f[:])
}

// bucketCount is the number of markers. More buckets make a rebuild finer;
// fewer make a start cheaper. It is part of the stored format.
const bucketCount = 256

func bucketOf(id event.ClaimID) byte { return id[0] }

const hexDigits = "0123456789abcdef"

func bucketTag(bucket byte) string {
	return "gw:{" + string([]byte{hexDigits[bucket>>4], hexDigits[bucket&15]}) + "}:"
}

// recordKey and markerKey share a hash tag, so that one script may touch both
// on a Redis Cluster.
func recordKey(id event.ClaimID) string { return bucketTag(bucketOf(id)) + "c:" + id.String() }
func markerKey(bucket byte) string      { return bucketTag(bucket) + "m" }
