package idempotency

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"eventgateway/internal/event"
	"eventgateway/internal/redis"
)

// Shown is what Redis holds for an identity, for a person to read.
type Shown struct {
	Claim     event.ClaimID
	RecordKey string
	Bucket    byte
	MarkerKey string
	Marker    Marker

	State ShownState
	// Expires is how long the record is still kept; nil if this user may not read that.
	Expires     *time.Duration
	Fingerprint []byte // of a settled claim, only its beginning

	// The following are set if the claim is not settled.
	Token      string
	Owner      string        // the only producer incarnation that may write the event
	Topic      string        // of a settled claim Redis has only a hash: see Kept
	Partitions []int32       // where its record may be
	From       time.Time     // of the first attempt, by its gateway's clock
	LeaseLeft  time.Duration // by Redis' clock; 0 or less if the lease is over

	Kept event.KeptReceipt // of a settled claim
}

// ShownState is the state of a record, in words.
type ShownState string

// The states.
const (
	ShownAbsent  ShownState = "absent"
	ShownClaimed ShownState = "claimed" // an attempt holds it, or died
	ShownUnknown ShownState = "unknown" // its attempt was not acknowledged
	ShownSettled ShownState = "settled"
)

// Marker says whether the claims of a bucket are complete.
type Marker string

// The markers.
const (
	MarkerReady   Marker = "ready"
	MarkerMissing Marker = "missing" // Redis is new, was emptied, or a rebuild is in progress
	MarkerForeign Marker = "foreign" // Redis was restarted or promoted since
)

// showScript: KEYS = record, marker. The result is the time in ms, the bucketState, the
// record or "", and its time to live in ms, -3 if the user may not read it. It only reads.
var showScript = goredis.NewScript(luaReplid + luaNow + luaNames + `
local rec, marker = redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])
local ttl = redis.pcall('PTTL', KEYS[1])
if type(ttl) == 'table' then ttl = -3 end
return {now, not marker and '-' or named(marker) == replid and '=' or '!', rec or '', ttl}
`)

// Show reads the record of an installation's claim. It changes nothing.
func Show(ctx context.Context, rdb redis.Client, installation string, id event.ClaimID) (Shown, error) {
	keys := newKeyspace(installation)
	shown := Shown{Claim: id, RecordKey: keys.claim(id), Bucket: bucketOf(id), MarkerKey: keys.marker(bucketOf(id)), State: ShownAbsent}
	reply, err := showScript.Run(ctx, rdb, []string{shown.RecordKey, shown.MarkerKey}).Slice()
	if err != nil {
		return shown, fmt.Errorf("read claim: %w", err)
	}
	now, bucket, text, ttlMs, err := readShown(reply)
	if err != nil {
		return shown, err
	}
	switch bucket {
	case bucketReady:
		shown.Marker = MarkerReady
	case bucketMissing:
		shown.Marker = MarkerMissing
	default:
		shown.Marker = MarkerForeign
	}
	if text == "" {
		return shown, nil
	}
	if ttlMs >= 0 {
		ttl := time.Duration(ttlMs) * time.Millisecond
		shown.Expires = &ttl
	}
	rec, err := parseRecord(text)
	if err != nil {
		return shown, fmt.Errorf("read %s: %w", QuoteKey(shown.RecordKey), err)
	}
	shown.fill(rec, now)
	return shown, nil
}

func (shown *Shown) fill(rec stored, nowMs int64) {
	if rec.state == stateSettled {
		shown.State, shown.Kept, shown.Fingerprint = ShownSettled, rec.kept, []byte(rec.fingerprint)
		return
	}
	fingerprint := decodeFingerprint(rec.fingerprint)
	shown.Fingerprint = fingerprint[:]
	shown.State = ShownClaimed
	if rec.state == stateUnknown {
		shown.State = ShownUnknown
	}
	shown.Token, shown.Owner, shown.Topic, shown.Partitions = rec.token, rec.owner, rec.topic, rec.partitions
	shown.From = time.UnixMilli(rec.fromMs)
	shown.LeaseLeft = time.Duration(rec.leaseEndMs-nowMs) * time.Millisecond
}

var errBadShown = errors.New("read answer of the show script")

func readShown(reply []any) (nowMs int64, bucket bucketState, record string, ttlMs int64, err error) {
	if len(reply) != 4 {
		return 0, "", "", 0, errBadShown
	}
	nowMs, ok1 := reply[0].(int64)
	marker, ok2 := reply[1].(string)
	record, ok3 := reply[2].(string)
	ttlMs, ok4 := reply[3].(int64)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return 0, "", "", 0, errBadShown
	}
	return nowMs, bucketState(marker), record, ttlMs, nil
}
