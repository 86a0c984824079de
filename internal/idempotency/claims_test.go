package idempotency

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// Nobody waits longer than maxWait for a turn, however slow Redis is.
func TestClaimsThatWaitedTooLongAreToldSo(t *testing.T) {
	t.Parallel()
	s := &Store{}
	var together asked
	together.begin(t.Context(), 1)
	late := &claimCall{asked: &together, claim: event.Claim{Begun: time.Now().Add(-maxWait - time.Millisecond)}}
	s.claimBatch([]*claimCall{late}) // Redis is not asked: there is none
	mustClose(t, late.done)
	require.ErrorIs(t, late.err, errWaited)
}
