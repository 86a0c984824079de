package event

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"time"
)

// IdentityKind says where an event's identity comes from.
type IdentityKind string

// The kinds of identity that gw_claim distinguishes (design section 6).
const (
	IdentityKey        IdentityKind = "key"        // an Idempotency-Key
	IdentityBatch      IdentityKind = "batch"      // a batch's Idempotency-Key, and the item's index
	IdentityCloudEvent IdentityKind = "cloudevent" // a CloudEvent's (source, id)
	IdentityWebhook    IdentityKind = "webhook"    // a webhook delivery's id; the client is the source
	IdentityOutbox     IdentityKind = "outbox"     // an outbox row's id; the client is the outbox
)

// Identity is what makes two requests the same event. The zero Identity means
// that the event is not deduplicated.
type Identity struct {
	Kind  IdentityKind
	Parts []string // the key, source and id, or the delivery's id
	Index string   // of an item that shares its key with others, in decimal; else empty
}

// IsZero reports whether the event is not deduplicated.
func (i Identity) IsZero() bool { return i.Kind == "" }

// ClaimID is the SHA-256 that names a claim in Redis and, in hexadecimal, the
// gw_claim header of its record.
type ClaimID [sha256.Size]byte

// String returns the 64 lower-case hexadecimal digits of gw_claim.
func (c ClaimID) String() string {
	var text [hexLen]byte // one allocation, where hex.EncodeToString has two
	hex.Encode(text[:], c[:])
	return string(text[:])
}

const hexLen = 2 * sha256.Size

// ClaimID hashes the length-prefixed kind, client, key parts and index. Each
// part is preceded by its length in bytes as a big-endian uint32.
func (i Identity) ClaimID(client string) ClaimID {
	b := make([]byte, 0, 512) // most fit
	b = appendPart(b, string(i.Kind))
	b = appendPart(b, client)
	for _, p := range i.Parts {
		b = appendPart(b, p)
	}
	return sha256.Sum256(appendPart(b, i.Index))
}

// Fingerprint is the SHA-256 over what a request asked to publish. The same
// key with another fingerprint is a reuse of the key.
type Fingerprint [sha256.Size]byte

// NewFingerprint hashes the length-prefixed event type, version as requested,
// media type and data bytes.
func NewFingerprint(eventType, version, mediaType string, data []byte) Fingerprint {
	b := make([]byte, 0, 512)
	b = appendPart(b, eventType)
	b = appendPart(b, version)
	b = appendPart(b, mediaType)
	b = appendLength(b, len(data))
	h := sha256.New()
	h.Write(b)
	h.Write(data)
	var f Fingerprint
	h.Sum(f[:0])
	return f
}

func appendPart(b []byte, s string) []byte { return append(appendLength(b, len(s)), s...) }

func appendLength(b []byte, n int) []byte {
	return binary.BigEndian.AppendUint32(b, uint32(n)) //nolint:gosec // bodies and headers are far below 4 GiB
}

// Claim is one attempt's hold on an identity.
type Claim struct {
	ID          ClaimID
	Fingerprint Fingerprint
	Token       string // fresh for every attempt
	Placement   Placement
	// Type is the event's type. A webhook's delivery may come again as another type, and
	// some go to a dead-letter topic: TypesBegin is what all types of its source begin with.
	Type       string
	Delivery   bool
	TypesBegin string // perhaps nothing
	// Begun is when this process asked for the claim: the lease surely runs
	// until Begun plus the lease time, whatever Redis' clock says.
	Begun time.Time
}

// Settlement is how a claim ended whose event was written.
type Settlement struct {
	Claim   Claim
	Receipt Receipt
}

// hexes returns the ID and the fingerprint in hexadecimal, with one allocation.
func (c *Claim) hexes() (id, fingerprint string) {
	var text [2 * hexLen]byte
	hex.Encode(text[:hexLen], c.ID[:])
	hex.Encode(text[hexLen:], c.Fingerprint[:])
	both := string(text[:])
	return both[:hexLen], both[hexLen:]
}

// Placement is where a record will go. It is stored in the claim before the record
// is produced.
type Placement struct {
	Topic     string
	Partition int32
	Owner     string // the only producer incarnation that may write it
}

// ClaimResult is what a claim attempt found.
type ClaimResult struct {
	State ClaimState
	// Until is when the last record may be in flight under the claim, if State is Claimed: a
	// zero time sets no limit beside the lease.
	Until time.Time
	// Receipt is that of the event if State is Settled, unless Kept has only a part of it.
	Receipt Receipt
	Kept    *KeptReceipt
	// LeaseLeft is how long the holder's lease still runs, if State is InProgress or
	// LeftUnknown.
	LeaseLeft time.Duration
	// Abandoned is the claim that was found, if State is Abandoned.
	Abandoned AbandonedClaim
}

// AbandonedClaim is an abandoned claim as it was read: where its attempt may have
// written, and what a take-over compares against.
type AbandonedClaim struct {
	Text        string // the stored record
	Token       string // of the attempt that made it
	Fingerprint Fingerprint
	Owner       string // the only producer incarnation that may have written
	Topic       string
	Partitions  []int32
	// From is when the first attempt asked for the claim, by that gateway's
	// clock: no record of the claim carries an earlier timestamp.
	From time.Time
	// LeaseEnded is when the lease was surely over, by this process' clock.
	LeaseEnded time.Time
}

// LogEntry is a deduplicated record that was read back from the log.
type LogEntry struct {
	Claim       ClaimID
	Fingerprint Fingerprint
	Receipt     Receipt
	Timestamp   time.Time // of the record
	Outbox      bool      // it was a row of an outbox
}

// AnyType stands for every event type, of a dead-letter topic for example.
const AnyType = "*"

// OutboxFence is how long the claim of a row of an outbox lives on when the row is deleted.
// It bounds what these claims take of Redis: two minutes of rows. Exactly once does not rest
// on it while the database keeps what it has committed (docs/adr/0026); after a failover that
// loses the last deletions, it spares a look into Kafka.
const OutboxFence = 2 * time.Minute

// TopicReplay is how far a replay has read one topic of the log.
type TopicReplay struct {
	Topic string
	// Types are the event types whose records may be in the topic. A replay that names any
	// type names all topics that may have records of it.
	Types []string
	// Read and Total are numbers of offsets: records, and what lies between them. Total is
	// 0 until it is known.
	Read, Total int64
	// Done says that each of the topic's records was visited, and each visit has returned.
	Done bool
	// Waiting says what the topic waits for, partition by partition, for example
	// "orders.placed[3]: no leader".
	Waiting []string
	// Spans are what is read of each partition.
	Spans []SpanReplay
}

// SpanReplay is the part of a partition that is read: from the offset From up to, but
// without, To. Everything before At was visited.
type SpanReplay struct {
	Partition    int32
	From, To, At int64
}

// ReplayShare lets several processes share a replay, and one go on where another ended.
// It waits for nobody but its store, and its errors end the replay.
type ReplayShare interface {
	// Fixed are the spans of a topic, if they were fixed before.
	Fixed(topic string) (spans []SpanReplay, ok bool)
	// Fix fixes the topic's spans, unless somebody else was first, and returns those that count.
	Fix(ctx context.Context, topic TopicReplay) ([]SpanReplay, error)
	// Take asks for the right to read a span, which lasts as long as the replay reports
	// the span.
	Take(ctx context.Context, topic string, partition int32) (Turn, error)
}

// Turn is the answer to who wants to read a span.
type Turn struct {
	At   int64 // everything before is read and kept, by whoever
	Mine bool  // the caller reads on; else ask again, unless it is at the end
	// Waiting says why the reader cannot go on at present, if it is somebody else.
	Waiting string
}

// ClaimState is the row of the protocol's table that applies.
type ClaimState int

// The states that an attempt can find (design section 7).
const (
	Claimed     ClaimState = iota + 1 // the claim is ours
	Settled                           // the event is written; here is its receipt
	InProgress                        // another attempt holds the claim and its lease runs
	LeftUnknown                       // an attempt ended in an unknown outcome and its lease runs
	Abandoned                         // the holder's lease is over: take over
	Reused                            // the key was used for another payload
	Absent                            // only from a look: there is no claim
)

// String names the state for logs and metrics.
func (s ClaimState) String() string {
	names := [...]string{"", "claimed", "settled", "in-progress", "unknown", "abandoned", "reused", "absent"}
	if s <= 0 || int(s) >= len(names) {
		return "state-" + strconv.Itoa(int(s))
	}
	return names[s]
}
