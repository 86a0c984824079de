package publish

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPartitionsAreThoseOfTheJavaClient(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/partitions.json")
	require.NoError(t, err)
	var vectors []struct {
		Key        string
		Partitions int32
		Partition  int32
		Murmur2    int32
	}
	require.NoError(t, json.Unmarshal(raw, &vectors))
	require.Greater(t, len(vectors), 100)
	lengths, negative := map[int]bool{}, false
	for _, v := range vectors {
		require.Equal(t, v.Murmur2, int32(murmur2([]byte(v.Key))), "murmur2 of %q", v.Key)
		require.Equal(t, v.Partition, partitionOf([]byte(v.Key), v.Partitions), "%q over %d", v.Key, v.Partitions)
		lengths[len(v.Key)%4] = true
		negative = negative || v.Murmur2 < 0
	}
	require.Len(t, lengths, 4, "keys of every remainder")
	require.True(t, negative, "a hash with its sign bit set")
}

func TestPartitionIsInRange(t *testing.T) {
	t.Parallel()
	for _, partitions := range []int32{1, 2, 3, 7, 1000, math.MaxInt32} {
		for i := range 1000 {
			got := partitionOf([]byte{byte(i), byte(i >> 8)}, partitions)
			require.GreaterOrEqual(t, got, int32(0))
			require.Less(t, got, partitions)
		}
	}
}
