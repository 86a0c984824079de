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
	late := &claimCall{
		ctx: t.Context(), done: make(chan claimReply, 1),
		claim: event.Claim{Begun: time.Now().Add(-maxWait - time.Millisecond)},
	}
	s.claimBatch([]*claimCall{late}) // Redis is not asked: there is none
	require.ErrorIs(t, (<-late.done).err, errWaited)
}
