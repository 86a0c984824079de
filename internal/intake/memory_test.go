package intake

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBuffersAreHardlyLargerThanAsked(t *testing.T) {
	t.Parallel()
	var b buffers
	last, lastIndex := 0, -1
	for n := smallBody; n <= maxPooled; n += 97 {
		size, index := sizeOf(n)
		require.GreaterOrEqual(t, size, n)
		require.LessOrEqual(t, size-n, n/4, n)
		require.Less(t, index, len(b.pools))
		again, sameIndex := sizeOf(size)
		require.Equal(t, size, again)
		require.Equal(t, index, sameIndex)
		require.Equal(t, last == size, lastIndex == index)
		last, lastIndex = size, index
	}
}

func TestBuffersComeBackWithTheirLength(t *testing.T) {
	t.Parallel()
	var b buffers
	for _, n := range []int{1, smallBody, smallBody + 1, 100_000, maxPooled, maxPooled + 1} {
		buf := b.get(n)
		require.Len(t, *buf, n)
		b.put(buf)
		require.Len(t, *b.get(n), n)
	}
}
