package api

import (
	"math/bits"
	"sync"
)

// Buffers are used again from where a body's struct has no room for it, smallBody,
// up to what a record usually may have. Larger ones are rare.
const maxPooled = 1 << 20

// buffers hands out buffers in four sizes per power of two, so that at most a quarter
// of what is admitted comes on top.
type buffers struct {
	pools [4 * 21]sync.Pool // of *[]byte, by size; 21 bits hold maxPooled
}

// sizeOf rounds n > 4 up, and says which size that is.
func sizeOf(n int) (size, index int) {
	shift := bits.Len(uint(n-1)) - 3
	steps := (n + 1<<shift - 1) >> shift
	if steps == 8 { // the next power of two
		shift, steps = shift+1, 4
	}
	return steps << shift, 4*shift + steps - 4
}

// get returns a buffer with n bytes; what they are is left over from others.
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
