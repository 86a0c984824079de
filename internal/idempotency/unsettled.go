package idempotency

import (
	"sync"
	"time"

	"eventgateway/internal/event"
)

const (
	// unsettledLimit bounds the list of unsettled claims, to about 16 MB. A gateway that has
	// more does not join a generation until those beyond it are over.
	unsettledLimit = 65536
	// appearsWithin is how long after the end of its lease a record may still appear behind
	// the high watermark: replica.lag.time.max.ms (30 s by default), with a margin.
	appearsWithin = 2 * time.Minute
)

// unsettledClaims are the claims of this process under which a record may yet come into
// the log, each from before its script is sent until its record is acknowledged, or
// certainly not written. A gateway that joins a generation writes them to Redis again.
// A nil list keeps nothing.
type unsettledClaims struct {
	lease time.Duration

	mu         sync.Mutex
	generation uint64           // the newest that this process has entered
	at         map[string]int32 // by token, the position in all
	all        []unsettledClaim
	free       []int32   // positions
	incomplete time.Time // until then the list lacks some
}

type unsettledState uint8

const (
	unsettledSent    unsettledState = iota + 1 // its script is under way
	unsettledVoid                              // so, and its reply will be worthless
	unsettledHeld                              // this process holds it
	unsettledUnknown                           // its record was not acknowledged
)

type unsettledClaim struct {
	state   unsettledState
	claim   event.Claim
	earlier []int32 // partitions of earlier owners
	fromMs  int64
	order   string // as in its record
}

func newUnsettledClaims(lease time.Duration) *unsettledClaims {
	return &unsettledClaims{lease: lease, at: make(map[string]int32)}
}

// enter makes replies worthless to scripts that were sent under an older generation.
func (u *unsettledClaims) enter(generation uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.enterLocked(generation)
}

func (u *unsettledClaims) enterLocked(generation uint64) {
	if generation <= u.generation {
		return
	}
	u.generation = generation
	u.voidLocked()
}

func (u *unsettledClaims) voidLocked() {
	for i := range u.all {
		if u.all[i].state == unsettledSent {
			u.all[i].state = unsettledVoid
		}
	}
}

// send notes claims whose script is about to be sent.
func (u *unsettledClaims) send(generation uint64, fromMs int64, earlier []int32, claims ...*event.Claim) {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.enterLocked(generation)
	for _, c := range claims {
		if i, ok := u.takeLocked(c.Token); ok {
			u.all[i] = unsettledClaim{state: unsettledSent, claim: *c, earlier: earlier, fromMs: fromMs}
		}
	}
}

func (u *unsettledClaims) takeLocked(token string) (position int32, ok bool) {
	_, listed := u.at[token]
	switch {
	case listed:
		return 0, false // its script is sent again
	case len(u.free) > 0:
		position = u.free[len(u.free)-1]
		u.free = u.free[:len(u.free)-1]
	case len(u.all) < unsettledLimit:
		position = int32(len(u.all)) //nolint:gosec // below the limit
		u.all = append(u.all, unsettledClaim{})
	default:
		u.incomplete = time.Now().Add(u.lease + appearsWithin)
		return 0, false
	}
	u.at[token] = position
	return position, true
}

// hold notes that a script has given this process the claim. It is false if the reply is
// worthless: a newer generation began, or the claim was released meanwhile.
func (u *unsettledClaims) hold(generation uint64, token, order string) bool {
	if u == nil {
		return true
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	i, listed := u.at[token]
	switch {
	case generation != u.generation:
		return false
	case !listed:
		return time.Now().Before(u.incomplete) // it may not have had a place
	case u.all[i].state != unsettledSent:
		return false
	}
	u.all[i].state, u.all[i].order = unsettledHeld, order
	return true
}

// end takes a claim out: no record will come that is not there.
func (u *unsettledClaims) end(token string) {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.endLocked(token)
}

func (u *unsettledClaims) endLocked(token string) {
	if i, ok := u.at[token]; ok {
		delete(u.at, token)
		u.all[i] = unsettledClaim{}
		u.free = append(u.free, i)
	}
}

// unknown notes that a claim's record was not acknowledged.
func (u *unsettledClaims) unknown(token string) {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if i, ok := u.at[token]; ok && u.all[i].state == unsettledHeld {
		u.all[i].state = unsettledUnknown
	}
}

// none reports whether the list is empty, and complete.
func (u *unsettledClaims) none() bool {
	if u == nil {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.at) == 0 && !time.Now().Before(u.incomplete)
}

// sweep takes out what is over: nothing is published under a claim after its lease.
func (u *unsettledClaims) sweep(now time.Time) {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for i := range u.all {
		if c := &u.all[i]; c.state != 0 && now.Sub(c.claim.Begun) > u.lease+appearsWithin {
			u.endLocked(c.claim.Token)
		}
	}
}

// assert lists the claims to write again, by bucket, and makes the replies worthless that
// are under way. It is false if the list lacks some.
func (u *unsettledClaims) assert(generation uint64) (byBucket [bucketCount][]unsettledClaim, complete bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.enterLocked(generation)
	u.voidLocked()
	for i := range u.all {
		if c := u.all[i]; c.state == unsettledHeld || c.state == unsettledUnknown {
			b := bucketOf(c.claim.ID)
			byBucket[b] = append(byBucket[b], c)
		}
	}
	return byBucket, !time.Now().Before(u.incomplete)
}
