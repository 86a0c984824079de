package idempotency

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// No claim waits longer than maxClaimWait for its batch, however slow Redis is.
func TestClaimsThatWaitedTooLongFail(t *testing.T) {
	t.Parallel()
	s := &Store{}
	var group callGroup
	group.begin(t.Context(), 1)
	late := &claimCall{callGroup: &group, claim: event.Claim{Begun: time.Now().Add(-maxClaimWait - time.Millisecond)}}
	s.claimBatch([]*claimCall{late}) // there is no Redis: it must not be asked
	mustClose(t, late.done)
	require.ErrorIs(t, late.err, errWaitedTooLong)
}
