package idempotency

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// Nobody waits longer than maxClaimWait for a turn, however slow Redis is.
func TestClaimsThatWaitedTooLongAreToldSo(t *testing.T) {
	t.Parallel()
	s := &Store{}
	var group callGroup
	group.begin(t.Context(), 1)
	late := &claimCall{callGroup: &group, claim: event.Claim{Begun: time.Now().Add(-maxClaimWait - time.Millisecond)}}
	s.claimBatch([]*claimCall{late}) // Redis is not asked: there is none
	mustClose(t, late.done)
	require.ErrorIs(t, late.err, errWaitedTooLong)
}
