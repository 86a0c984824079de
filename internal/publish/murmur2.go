package publish

import "encoding/binary"

// murmur2 is the 32-bit MurmurHash2 with the seed that Kafka's Java client
// uses for keys. testdata/partitions.json holds it to that client.
func murmur2(data []byte) uint32 {
	const (
		seed  = 0x9747b28c
		mul   = 0x5bd1e995
		shift = 24
	)
	h := seed ^ uint32(len(data)) //nolint:gosec // keys are far below 4 GiB
	for ; len(data) >= 4; data = data[4:] {
		k := binary.LittleEndian.Uint32(data) * mul
		k ^= k >> shift
		h = h*mul ^ k*mul
	}
	switch len(data) {
	case 3:
		h ^= uint32(data[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(data[1]) << 8
		fallthrough
	case 1:
		h ^= uint32(data[0])
		h *= mul
	}
	h ^= h >> 13
	h *= mul
	return h ^ h>>15
}

// partitionOf is the partition that the Java client's default partitioner
// chooses for a key: the hash without its sign bit, modulo the partitions.
func partitionOf(key []byte, partitions int32) int32 {
	return int32(murmur2(key)&0x7fffffff) % partitions
}
