package idempotency

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"eventgateway/internal/event"
)

// The record of a claim that is not settled is one line of text, which redis-cli shows as
// it is:
//
//	C <lease end> <from> <fingerprint> <token> <partitions> <owner> <topic> <order>   claimed
//	U …the same…                                                                      unknown
//
// Times are milliseconds since the epoch. The lease ends by Redis' clock, which
// all gateways share. <from> is by the clock of the gateway that claimed first, which also
// gave its records their timestamps: a read of the log from there cannot miss them,
// however clocks differ. The order, @<generation>.<Redis' clock in µs> at the claim or
// take-over, says which of two claims of a key is the later one. The fingerprint is base64url; partitions are comma-separated. Lua
// writes the state, the times and the order, and reads only the order, the token and the
// fingerprint.
//
// Nearly all records are settled, and are kept for the whole window. Theirs is at most 44
// bytes, up to which Redis keeps a value in one piece (docs/adr/0022):
//
//	offset  bytes
//	0       1     S
//	1       16    beginning of the fingerprint
//	17      6     hash of the receipt
//	23      4     hash of the topic's name
//	27      8     ce_time, nanoseconds since the epoch, big-endian; 0: not kept
//	35      1-5   partition, as a varint (encoding/binary)
//	…       1-9   offset, as a varint
const (
	stateClaimed = "C"
	stateUnknown = "U"
	stateSettled = "S"
)

// stored is a parsed claim record.
type stored struct {
	state       string
	fingerprint string // in base64url; of a settled record, its first bytes
	leaseEndMs  int64
	token       string
	fromMs      int64 // kept by later owners
	partitions  []int32
	owner       string
	topic       string
	order       string // "" in records of former versions
	kept        event.KeptReceipt
}

var errBadRecord = errors.New("claim record is not one of this gateway's")

func parseRecord(text string) (stored, error) {
	if strings.HasPrefix(text, stateSettled) {
		return parseSettled(text)
	}
	f := strings.Split(text, " ")
	if len(f) < 8 || len(f) > 9 || (f[0] != stateClaimed && f[0] != stateUnknown) {
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
	if len(f) == 9 {
		if s.order = f[8]; !strings.HasPrefix(s.order, "@") {
			return stored{}, errBadRecord
		}
	}
	for p := range strings.SplitSeq(f[5], ",") {
		n, err := strconv.ParseInt(p, 10, 32)
		if err != nil {
			return stored{}, fmt.Errorf("read partitions: %w", errBadRecord)
		}
		s.partitions = append(s.partitions, int32(n))
	}
	return s, nil
}

// The layout of a settled record.
const (
	fingerprintAt = 1
	receiptHashAt = fingerprintAt + shortFingerprint
	topicHashAt   = receiptHashAt + len(event.ReceiptHash{})
	timeAt        = topicHashAt + len(event.TopicHash{})
	partitionAt   = timeAt + 8
	// shortFingerprint is how much of a fingerprint is kept: to make two payloads with the
	// same 128 bits takes 2^64 tries, and to fit one to a given payload 2^128.
	shortFingerprint = 16
)

// settledRecord is the record of an event that is in the log.
func settledRecord(f event.Fingerprint, k event.KeptReceipt) string {
	var room [partitionAt + 2*binary.MaxVarintLen64]byte
	return string(appendSettled(room[:0], f, k))
}

func appendSettled(b []byte, f event.Fingerprint, k event.KeptReceipt) []byte {
	b = append(b, stateSettled...)
	b = append(b, f[:shortFingerprint]...)
	b = append(b, k.Receipt[:]...)
	b = append(b, k.Topic[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(k.TimeNs))   //nolint:gosec // all bits are kept
	b = binary.AppendUvarint(b, uint64(uint32(k.Partition))) //nolint:gosec // never negative
	return binary.AppendUvarint(b, uint64(k.Offset))         //nolint:gosec // never negative
}

func parseSettled(text string) (stored, error) {
	if len(text) < partitionAt {
		return stored{}, fmt.Errorf("read settled record of %d bytes: %w", len(text), errBadRecord)
	}
	b := []byte(text)
	s := stored{state: stateSettled, fingerprint: text[fingerprintAt:receiptHashAt]}
	copy(s.kept.Receipt[:], b[receiptHashAt:])
	copy(s.kept.Topic[:], b[topicHashAt:])
	s.kept.TimeNs = int64(binary.BigEndian.Uint64(b[timeAt:])) //nolint:gosec // all bits are kept
	partition, n := binary.Uvarint(b[partitionAt:])
	if n <= 0 || partition > math.MaxInt32 {
		return stored{}, fmt.Errorf("read partition: %w", errBadRecord)
	}
	offset, m := binary.Uvarint(b[partitionAt+n:])
	if m <= 0 || offset > math.MaxInt64 || partitionAt+n+m != len(b) {
		return stored{}, fmt.Errorf("read offset: %w", errBadRecord)
	}
	s.kept.Partition, s.kept.Offset = int32(partition), int64(offset)
	return s, nil
}

// isOf reports whether the record is of a request with this fingerprint.
func (s stored) isOf(f event.Fingerprint) bool {
	if s.state == stateSettled {
		return s.fingerprint == string(f[:shortFingerprint])
	}
	return s.fingerprint == encodeFingerprint(f)
}

// claimBodyBytes is enough for most claim bodies.
const claimBodyBytes = 160

// appendClaimBody appends the part of a claim record between <from> and <order>. earlier are
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
