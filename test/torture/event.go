package torture

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
)

// via is how an event is posted.
type via uint8

const (
	single     via = iota // plain data with an Idempotency-Key
	keyedBatch            // in a batch of CloudEvents that has one
	eventBatch            // in a batch without: its own source and id count
	stripe                // a webhook delivery that is one event
	fanOut                // a webhook delivery whose body is an array of events
)

// String names it in tallies.
func (v via) String() string {
	return [...]string{"single", "keyed batch", "batch", "stripe", "fan-out"}[v]
}

func (v via) batch() bool { return v == keyedBatch || v == eventBatch }

func (v via) webhook() bool { return v == stripe || v == fanOut }

// source is the CloudEvents source of all batches' events.
const source = "/torture"

// Key is one event's identity, and every answer about it.
type Key struct {
	Name   string // Idempotency-Key, or the id of the event or delivery
	Entity string
	Seq    int  // place in the order of the entity's events
	Valid  bool // false: the data breaks the schema, on purpose
	Via    via
	Type   string // of a single event; "": orderType
	Pad    int    // bytes that its data has besides
	// TooLarge says that its topic takes no record of this size, on purpose.
	TooLarge bool
	// Batch and Index are its identity in a keyed batch.
	Batch string
	Index int
	// Hopeless says that it is behind an invalid event of its entity in a keyed
	// batch, where it can never be accepted.
	Hopeless bool
	// Unreadable says that the delivery is not even JSON.
	Unreadable bool
	// Attempts are in the order in which they were sent. Only the key's owner, one
	// goroutine at a time, appends to them.
	Attempts []Attempt
	// Questions are those for its receipt, in the order in which they were sent.
	Questions []Question
}

// Topic is where the event belongs.
func (k *Key) Topic() string {
	if k.Via.webhook() && !k.Valid {
		return deadTopic
	}
	return k.eventType().topic
}

// eventType is the type of an event that fits its schema. All types of batches and
// webhooks have the topic and the entity of orders.
func (k *Key) eventType() eventType { return eventTypes()[cmp.Or(k.Type, orderType)] }

// RecordKey is what its record must have: dead letters have no entity, nor have events
// of some types.
func (k *Key) RecordKey() string {
	if k.Topic() == deadTopic || k.eventType().key == "" {
		return ""
	}
	return k.Entity
}

// Body is the event's data in its n-th attempt. The data of a webhook changes, because
// providers count their attempts in it.
func (k *Key) Body(n int) string {
	seq := strconv.Itoa(k.Seq)
	if !k.Valid {
		seq = `"not a number"`
	}
	switch {
	case k.Unreadable: // identified by its hash, so it must not change
		return fmt.Sprintf(`{"id":%q,"entity":%q,`, k.Name, k.Entity)
	case k.Via == stripe:
		return fmt.Sprintf(`{"id":%q,"object":"event","type":"paid","pending_webhooks":%d,"data":{"object":{"entity":%q,"seq":%s}}}`, k.Name, n, k.Entity, seq)
	case k.Via == fanOut:
		return fmt.Sprintf(`{"id":%q,"entity":%q,"seq":%s,"attempt":%d}`, k.Name, k.Entity, seq, n)
	case k.Pad > 0:
		return fmt.Sprintf(`{"entity":%q,"seq":%s,"key":%q,"pad":%q}`, k.Entity, seq, k.Name, padding(k.Name, k.Pad))
	default:
		return fmt.Sprintf(`{"entity":%q,"seq":%s,"key":%q}`, k.Entity, seq, k.Name)
	}
}

// Claim is the gw_claim of the key: SHA-256 of the length-prefixed kind, client,
// key parts and index.
func (k *Key) Claim() string {
	parts := []string{"key", "anonymous", k.Name, ""}
	switch {
	case k.Unreadable:
		sum := sha256.Sum256([]byte(k.Body(0)))
		parts = []string{"webhook", k.Via.sourceName(), hex.EncodeToString(sum[:]), ""}
	case k.Via == keyedBatch:
		parts = []string{"batch", "anonymous", k.Batch, strconv.Itoa(k.Index)}
	case k.Via == eventBatch:
		parts = []string{"cloudevent", "anonymous", source, k.Name, ""}
	case k.Via.webhook():
		parts = []string{"webhook", k.Via.sourceName(), k.Name, ""}
	}
	h := sha256.New()
	for _, part := range parts {
		_ = binary.Write(h, binary.BigEndian, uint32(len(part))) // a hash takes everything
		h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Accepted returns the first receipt, or nil.
func (k *Key) Accepted() *Receipt {
	for i := range k.Attempts {
		if r := k.Attempts[i].Receipt; r != nil {
			return r
		}
	}
	return nil
}

// SurelyNotWritten tells whether every answer said not-written.
func (k *Key) SurelyNotWritten() bool {
	for i := range k.Attempts {
		if k.Attempts[i].Outcome != outcomeNotWritten {
			return false
		}
	}
	return len(k.Attempts) > 0
}

// never tells whether it can never be accepted, and why.
func (k *Key) never() (why string, never bool) {
	switch {
	case k.Hopeless:
		return "it is behind one that is invalid", true
	case !k.Valid && !k.Via.webhook():
		return "it is invalid", true
	case k.TooLarge:
		return "it is larger than its topic takes", true
	}
	return "", false
}

// writers are the attempts that may have written a record of the key: those that sent
// its value. Events of batches and single events carry the number of the attempt in an
// attribute, webhooks carry it in the data.
func (k *Key) writers(r *Record) []*Attempt {
	var found []*Attempt
	for i := range k.Attempts {
		a := &k.Attempts[i]
		if shorten(k.Body(a.Number)) == r.Value && (k.Via.webhook() || a.Number == r.Attempt) {
			found = append(found, a)
		}
	}
	return found
}

// add appends an answer. Receipts of a key are nearly always equal, and then share one
// text.
func (k *Key) add(a Attempt) {
	if a.Receipt != nil {
		if first := k.Accepted(); first != nil && *first == *a.Receipt {
			a.Receipt = first
		}
	}
	k.Attempts = append(k.Attempts, a)
}
