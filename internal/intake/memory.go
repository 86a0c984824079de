package intake

import (
	"math/bits"
	"sync"
)

// Buffers are pooled from the size that a Body has room for itself, smallBody, up to
// the usual size of a record. Larger ones are rare.
const maxPooled = 1 << 20

// buffers hands out buffers in four sizes per power of two, so that they take at most
// a quarter more than what is admitted.
type buffers struct {
	pools [4 * 21]sync.Pool // of *[]byte, by size; 21 bits hold maxPooled
}

// sizeOf rounds n > 4 up to a pooled size and returns that size and its pool's index.
func sizeOf(n int) (size, index int) {
	shift := bits.Len(uint(n-1)) - 3
	steps := (n + 1<<shift - 1) >> shift
	if steps == 8 { // the next power of two
		shift, steps = shift+1, 4
	}
	return steps << shift, 4*shift + steps - 4
}

// get returns a buffer of n bytes, which may hold data of earlier uses.
func (b *buffers) get(n int) *[]byte {
	if n > maxPooled {
		buf := make([]byte, n)
		return &buf
	}
	size, index := sizeOf(max(n, smallBody))
	if buf, ok := b.pools[index].Get().(*[]byte); ok {
		*buf = (*buf)[:n]
		return buf
	}
	buf := make([]byte, n, size)
	return &buf
}

// put takes a buffer back that get returned.
func (b *buffers) put(buf *[]byte) {
	if n := cap(*buf); n <= maxPooled {
		_, index := sizeOf(n)
		b.pools[index].Put(buf)
	}
}
