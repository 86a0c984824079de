package idempotency

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// After a loss of Redis another gateway may write the beats, and begins at 1.
func TestBeatsOfAnEarlierGenerationAreForgotten(t *testing.T) {
	t.Parallel()
	b := newBeats()
	b.note(1, "-", 1000)
	require.True(t, b.lacks(1, beat{number: 999, stream: "-"}))
	require.False(t, b.lacks(1, beat{number: 1000, stream: "-"}))
	require.False(t, b.lacks(1, beat{number: 1, stream: "another"}))
	require.False(t, b.lacks(2, beat{number: 1, stream: "-"}))
	b.note(2, "-", 5)
	b.note(1, "-", 2000) // late
	require.True(t, b.lacks(2, beat{number: 4, stream: "-"}))
	require.False(t, b.lacks(2, beat{number: 5, stream: "-"}))
}
