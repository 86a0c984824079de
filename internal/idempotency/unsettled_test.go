package idempotency

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

func unsettledIn(u *unsettledClaims, generation uint64) (tokens []string, complete bool) {
	byBucket, complete := u.assert(generation)
	for _, claims := range byBucket {
		for _, c := range claims {
			tokens = append(tokens, c.claim.Token)
		}
	}
	return tokens, complete
}

func TestUnsettled(t *testing.T) {
	t.Parallel()
	u := newUnsettledClaims(longLease)
	send := func(generation uint64, token string) {
		u.send(generation, 1, nil, &event.Claim{Token: token, Begun: time.Now()})
	}
	for _, token := range []string{"held", "unknown", "under way", "settled", "released early"} {
		send(1, token)
	}
	require.True(t, u.hold(1, "held", "@1.1"))
	require.True(t, u.hold(1, "unknown", "@1.2"))
	u.unknown("unknown")
	require.True(t, u.hold(1, "settled", "@1.3"))
	u.end("settled")
	u.end("released early")
	require.False(t, u.hold(1, "released early", "@1.4"), "its caller has given up")
	send(1, "held") // again, as a pipeline does
	require.False(t, u.hold(1, "held", "@1.5"))

	tokens, complete := unsettledIn(u, 2)
	require.True(t, complete)
	require.ElementsMatch(t, []string{"held", "unknown"}, tokens)
	require.False(t, u.hold(1, "under way", "@1.6"), "its script was sent before the generation began")
	require.False(t, u.hold(2, "under way", "@2.6"))
	send(1, "late")
	require.False(t, u.hold(1, "late", "@1.7"), "it names a generation that is over")
	send(2, "next")
	require.True(t, u.hold(2, "next", "@2.1"))
	require.False(t, u.none())

	u.sweep(time.Now().Add(longLease + appearsWithin + time.Second))
	tokens, _ = unsettledIn(u, 2)
	require.Empty(t, tokens)
	require.True(t, u.none())
}

func TestUnsettledBounded(t *testing.T) {
	t.Parallel()
	u := newUnsettledClaims(longLease)
	for i := range unsettledLimit + 1 {
		u.send(1, 1, nil, &event.Claim{Token: strconv.Itoa(i), Begun: time.Now()})
	}
	require.Len(t, u.all, unsettledLimit)
	require.True(t, u.hold(1, strconv.Itoa(unsettledLimit), "@1.1"), "claims are taken nevertheless")
	_, complete := unsettledIn(u, 1)
	require.False(t, complete, "but the gateway joins no generation, until what is missing is over")
	u.incomplete = time.Now().Add(-time.Second)
	_, complete = unsettledIn(u, 1)
	require.True(t, complete)
}
