package ingest

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"sync/atomic"

	"github.com/google/uuid"

	"eventgateway/internal/event"
)

// derivedID makes the event id of a deduplicated event: a UUIDv8 (RFC 9562
// §5.8) from its claim, so that every retry carries the same id.
func derivedID(id event.ClaimID) string {
	var u uuid.UUID
	copy(u[:], id[:])
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return u.String()
}

// spreadOf chooses the partition of a deduplicated event without entity: the
// same on every attempt.
func spreadOf(id event.ClaimID) uint64 { return binary.BigEndian.Uint64(id[:]) }

// randomID makes the event id of an event without identity: a UUIDv7.
func randomID() string { return uuid.Must(uuid.NewV7()).String() }

// tokens makes attempt tokens that no other attempt of any process carries:
// 12 random bytes for the process and a counter.
type tokens struct {
	process string
	count   atomic.Uint64
}

func newTokens() *tokens {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return &tokens{process: hex.EncodeToString(b[:])}
}

func (t *tokens) next() string {
	var room [64]byte // longer than any token: one allocation in all
	text := append(append(room[:0], t.process...), '-')
	return string(strconv.AppendUint(text, t.count.Add(1), 36))
}
