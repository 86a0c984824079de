package delivery

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"eventgateway/internal/kafka"
)

// What a partition's window may hold is bounded so that the metadata of a commit never
// exceeds Kafka's limit (offset.metadata.max.bytes, 4,096 characters by default):
//
//	8 bytes header + 1,024 bytes bitmap + 256 × 7 bytes failures = 2,824 bytes
//	= 3,766 characters of Base64
//
// A record is admitted, and attempted for the first time, only within these bounds:
// whatever becomes of it then, a commit fits.
const (
	// maxSpan is the offsets from the first unfinished record to the newest admitted one.
	maxSpan = 8192
	// maxFailing is the records that are in flight, or have failed and are not finished.
	maxFailing = 256
	// MaxMetadata is the characters that result: brokers must take as many.
	MaxMetadata = 3766

	metadataVersion = 0xE1
	headerBytes     = 8
	// maxAttempts is above every number of attempts that can be configured, and fits
	// seven bits.
	maxAttempts = 100
	// heldAttempts in place of a number of attempts: the dead letter is written, and the
	// entity is held back.
	heldAttempts = 127
)

// The forms of the finished offsets.
const (
	formBitmap = 0
	formRuns   = 1
)

// progress is what a commit says beside its offset.
type progress struct {
	base     int64   // the committed offset: of the first unfinished record
	finished []int64 // offsets above base, ascending
	failures []failure
}

// failure is an unfinished record of which an attempt failed.
type failure struct {
	offset   int64
	attempts int       // heldAttempts: held
	first    time.Time // whole seconds
}

// encode returns the metadata, "" if there is nothing to say.
//
//	version (1) | form (1) | low 32 bits of base (4) | number of failures (2)
//	failures: offset − base (uvarint), attempts (1), Unix seconds (4)
//	finished: a bitmap from base on, or alternating lengths of runs that begin with unfinished
func (p progress) encode() string {
	if len(p.finished) == 0 && len(p.failures) == 0 {
		return ""
	}
	b := make([]byte, headerBytes, 512)
	b[0] = metadataVersion
	binary.BigEndian.PutUint32(b[2:], uint32(p.base)) //nolint:gosec // the low bits
	binary.BigEndian.PutUint16(b[6:], uint16(min(len(p.failures), 1<<16-1)))
	for _, f := range p.failures {
		b = binary.AppendUvarint(b, uint64(f.offset-p.base))         //nolint:gosec // not negative
		b = append(b, byte(f.attempts))                              //nolint:gosec // at most heldAttempts
		b = binary.BigEndian.AppendUint32(b, uint32(f.first.Unix())) //nolint:gosec // until 2106
	}
	runs, bits := p.runs(), p.bitmap()
	if len(runs) < len(bits) {
		b[1] = formRuns
		return base64.RawStdEncoding.EncodeToString(append(b, runs...))
	}
	return base64.RawStdEncoding.EncodeToString(append(b, bits...))
}

func (p progress) bitmap() []byte {
	if len(p.finished) == 0 {
		return nil
	}
	span := p.finished[len(p.finished)-1] - p.base + 1
	bits := make([]byte, (span+7)/8)
	for _, offset := range p.finished {
		at := offset - p.base
		bits[at/8] |= 1 << (at % 8)
	}
	return bits
}

func (p progress) runs() (b []byte) {
	for at, i := p.base, 0; i < len(p.finished); {
		from := i
		for i++; i < len(p.finished) && p.finished[i] == p.finished[i-1]+1; i++ {
		}
		b = binary.AppendUvarint(b, uint64(p.finished[from]-at)) //nolint:gosec // ascending
		b = binary.AppendUvarint(b, uint64(i-from))              //nolint:gosec // a length
		at = p.finished[i-1] + 1
	}
	return b
}

var errMetadata = errors.New("is not metadata of this version of the gateway")

// decodeProgress reads the metadata of a commit at base. Nothing is "nothing finished".
// The error says that it is another's, or belongs to another offset.
func decodeProgress(base int64, metadata string) (progress, error) {
	p := progress{base: base}
	if metadata == "" {
		return p, nil
	}
	b, err := base64.RawStdEncoding.DecodeString(metadata)
	if err != nil || len(b) < headerBytes || b[0] != metadataVersion || b[1] > formRuns ||
		binary.BigEndian.Uint32(b[2:]) != uint32(base) { //nolint:gosec // the low bits
		return p, errMetadata
	}
	form, n := b[1], int(binary.BigEndian.Uint16(b[6:]))
	if n > maxFailing {
		return p, errMetadata
	}
	b = b[headerBytes:]
	for range n {
		delta, size := binary.Uvarint(b)
		if size <= 0 || delta >= maxSpan || len(b) < size+5 {
			return progress{base: base}, errMetadata
		}
		p.failures = append(p.failures, failure{
			offset: base + int64(delta), attempts: int(b[size]),
			first: time.Unix(int64(binary.BigEndian.Uint32(b[size+1:])), 0),
		})
		b = b[size+5:]
	}
	if form == formBitmap {
		if len(b) > maxSpan/8 {
			return progress{base: base}, errMetadata
		}
		for i, bits := range b {
			for bit := range 8 {
				if bits&(1<<bit) != 0 {
					p.finished = append(p.finished, base+int64(i*8+bit))
				}
			}
		}
		return p, nil
	}
	for at := base; len(b) > 0; {
		for _, done := range []bool{false, true} {
			length, size := binary.Uvarint(b)
			if size <= 0 || length > maxSpan || at-base+int64(length) > maxSpan {
				return progress{base: base}, errMetadata
			}
			b = b[size:]
			if done {
				for i := range int64(length) {
					p.finished = append(p.finished, at+i)
				}
			}
			at += int64(length)
		}
	}
	return p, nil
}

// Finished is which offsets a commit says are finished: those for which is reports true, all
// of them below end.
func Finished(c kafka.Committed) (end int64, is func(offset int64) bool) {
	p, err := decodeProgress(max(c.Offset, 0), c.Metadata)
	if err != nil {
		p = progress{base: c.Offset}
	}
	beyond := make(map[int64]bool, len(p.finished))
	end = p.base
	for _, offset := range p.finished {
		beyond[offset] = true
		end = max(end, offset+1)
	}
	return end, func(offset int64) bool { return offset < p.base || beyond[offset] }
}

// Progress is what a commit says: how many records beyond its offset are finished, how
// many have failed, and how many of these are held back behind their dead letter.
func Progress(c kafka.Committed) (finished, failing, held int) {
	p, err := decodeProgress(c.Offset, c.Metadata)
	if err != nil {
		return 0, 0, 0
	}
	for _, f := range p.failures {
		if f.attempts == heldAttempts {
			held++
		}
	}
	return len(p.finished), len(p.failures) - held, held
}
