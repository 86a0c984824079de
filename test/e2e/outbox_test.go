//go:build integration

package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOutboxRelaysWhatWasCommitted: rows of committed transactions arrive once each and in
// order, those of transactions that were rolled back never.
func TestOutboxRelaysWhatWasCommitted(t *testing.T) {
	t.Parallel()
	for _, read := range []string{"poll", "wal"} {
		t.Run(read, func(t *testing.T) {
			t.Parallel()
			relaysWhatWasCommitted(t, read)
		})
	}
}

func relaysWhatWasCommitted(t *testing.T, read string) {
	s := newShop(t, read, nil)
	before := s.write(t, "before", 4, 10, 1200) // waits for the gateway
	startGateway(t, s.o)
	during := s.write(t, "during", 8, 10, 2400)
	for order, n := range before {
		during[order] = n
	}
	records := s.requireRelayed(t, during)
	require.Zero(t, s.count(t, "outbox_dead"))
	headers := map[string]string{}
	for _, h := range records[0].Headers {
		headers[h.Key] = string(h.Value)
	}
	require.Equal(t, "/outbox/"+s.name, headers["ce_source"])
	require.Equal(t, s.name, headers["gw_outbox"])
	require.Len(t, headers["ce_id"], 36, "the row's uuid")
	require.Len(t, headers["gw_claim"], 64)
}
