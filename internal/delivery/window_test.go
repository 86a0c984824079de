package delivery

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/kafka"
)

func TestProgressSurvivesItsMetadata(t *testing.T) {
	t.Parallel()
	first := time.Unix(1_700_000_000, 0)
	for name, p := range map[string]progress{
		"nothing":            {base: 7},
		"one beyond":         {base: 7, finished: []int64{9}},
		"the first itself":   {base: 7, finished: []int64{7}},
		"scattered":          {base: 1 << 40, finished: []int64{1<<40 + 1, 1<<40 + 3, 1<<40 + 5, 1<<40 + 8000}},
		"a run to the end":   {base: 100, finished: consecutive(101, maxSpan-1)},
		"a failure":          {base: 0, failures: []failure{{offset: 0, attempts: 3, first: first}}},
		"held, and finished": {base: 5, finished: []int64{6}, failures: []failure{{offset: 5, attempts: heldAttempts, first: first}, {offset: 5 + maxSpan - 1, attempts: 1, first: first}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := decodeProgress(p.base, p.encode())
			require.NoError(t, err)
			require.Equal(t, p, got)
		})
	}
}

func consecutive(from int64, n int) (list []int64) {
	for i := range int64(n) {
		list = append(list, from+i)
	}
	return list
}

// The worst that the bounds allow: every second offset finished, as many failures as
// there may be, with long offsets.
func TestTheWorstMetadataFits(t *testing.T) {
	t.Parallel()
	p := progress{base: 1 << 60}
	for i := int64(0); i < maxSpan; i += 2 {
		p.finished = append(p.finished, p.base+maxSpan-1-i)
	}
	for i, j := 0, len(p.finished)-1; i < j; i, j = i+1, j-1 {
		p.finished[i], p.finished[j] = p.finished[j], p.finished[i]
	}
	for i := range maxFailing {
		p.failures = append(p.failures, failure{offset: p.base + maxSpan - 2*maxFailing + int64(2*i), attempts: maxAttempts, first: time.Unix(1<<32-1, 0)})
	}
	text := p.encode()
	require.LessOrEqual(t, len(text), MaxMetadata)
	got, err := decodeProgress(p.base, text)
	require.NoError(t, err)
	require.Equal(t, p, got)
}

func TestForeignMetadataMeansNothingFinished(t *testing.T) {
	t.Parallel()
	good := progress{base: 10, finished: []int64{12, 13}, failures: []failure{{offset: 10, attempts: 1, first: time.Unix(5, 0)}}}.encode()
	for name, text := range map[string]string{
		"another's":           "AAEC",
		"no base64":           "consumer-1 !",
		"cut off":             good[:14],
		"only a header":       good[:4],
		"of another base":     progress{base: 11, finished: []int64{13}}.encode(),
		"parallel-consumer's": "bAACAAU=",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := decodeProgress(10, text)
			require.ErrorIs(t, err, errMetadata)
			require.Equal(t, progress{base: 10}, got)
		})
	}
}

func FuzzDecodeProgress(f *testing.F) {
	f.Add(int64(10), progress{base: 10, finished: []int64{12}, failures: []failure{{offset: 10, attempts: 1}}}.encode())
	f.Fuzz(func(t *testing.T, base int64, text string) {
		p, err := decodeProgress(base, text)
		if err != nil {
			require.Empty(t, p.finished)
			require.Empty(t, p.failures)
		}
		require.LessOrEqual(t, len(p.finished), maxSpan)
		require.LessOrEqual(t, len(p.failures), maxFailing)
	})
}

// model is what must be true of a partition, kept apart from the window.
type model struct {
	finished map[int64]bool
	attempts map[int64]int
	order    map[string][]int64 // by entity, as delivered for the first time
}

// TestRandomCompletions completes 16,000 records in random order, with failures, control
// records, gaps, and members that die with what was committed last. No record may be lost,
// no entity out of order, no finished record come again beyond the commits that were lost,
// and no metadata be too large.
func TestRandomCompletions(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			randomCompletions(t, rand.New(rand.NewPCG(seed, 21)))
		})
	}
}

func randomCompletions(t *testing.T, rng *rand.Rand) {
	const records = 16_000
	log := randomLog(rng, records)
	end := log[len(log)-1].Offset + 1
	m := model{finished: map[int64]bool{}, attempts: map[int64]int{}, order: map[string][]int64{}}
	committed := kafka.Committed{Offset: log[0].Offset}
	failShare := []float64{0.02, 0.3, 0.9}[rng.IntN(3)]
	largest, lives := 0, 0
	for committed.Offset < end {
		lives++
		p, err := decodeProgress(committed.Offset, committed.Metadata)
		require.NoError(t, err)
		for _, offset := range p.finished {
			if !m.finished[offset] {
				require.FailNow(t, "what was never finished is committed as finished", "%d", offset)
			}
		}
		for _, r := range log {
			if r.Offset < committed.Offset && !skipped(r) && !m.finished[r.Offset] {
				require.FailNow(t, "the commit passed an event", "%d", r.Offset)
			}
		}
		w := newWindow(kafka.Partition{Topic: "t"}, p, true)
		at := 0
		for log[at].Offset < committed.Offset {
			at++
			if at == len(log) {
				break
			}
		}
		var flying []*entry
		steps := 50 + rng.IntN(2000)
		for range steps {
			switch rng.IntN(4) {
			case 0: // admit some
				for range rng.IntN(400) {
					if at == len(log) || !w.fits(log[at].Offset) {
						break
					}
					r := *log[at]
					if skipped(&r) {
						w.skip(&r)
					} else {
						w.admit(&r)
					}
					at++
				}
			case 1: // begin some attempts
				for range rng.IntN(64) {
					if e := w.take(rng.IntN(2) == 0); e != nil {
						flying = append(flying, e)
					}
				}
			case 2: // some end
				for range rng.IntN(64) {
					if len(flying) == 0 {
						break
					}
					i := rng.IntN(len(flying))
					e := flying[i]
					flying[i] = flying[len(flying)-1]
					flying = flying[:len(flying)-1]
					w.inFlight--
					offset := e.record.Offset
					switch x := rng.Float64(); {
					case x < failShare && e.attempts < 20:
						require.GreaterOrEqual(t, m.attempts[offset], e.attempts)
						w.fail(e, time.Unix(1_700_000_000, 0))
						m.attempts[offset]++
						e.state = stateReady
						w.retries = append(w.retries, e)
					case x > 0.97:
						w.rotate(e)
					default:
						if key := string(e.record.Key); key != "" && !m.finished[offset] {
							m.order[key] = append(m.order[key], offset)
						}
						m.finished[offset] = true
						w.finish(e)
					}
				}
			case 3:
				done := w.progress()
				text := done.encode()
				largest = max(largest, len(text))
				if len(text) > MaxMetadata || w.slots > maxFailing || done.base < committed.Offset {
					require.FailNow(t, "a commit out of bounds", "%d characters, %d slots, from %d to %d", len(text), w.slots, committed.Offset, done.base)
				}
				committed = kafka.Committed{Offset: done.base, Metadata: text}
			}
		}
	}
	for _, r := range log {
		require.True(t, skipped(r) || m.finished[r.Offset], "%d is lost", r.Offset)
	}
	for key, offsets := range m.order {
		require.IsIncreasing(t, offsets, key)
	}
	t.Logf("%d lives, metadata at most %d characters, failing %.0f %%", lives, largest, failShare*100)
}

// skipped records are not wanted, or end transactions.
func skipped(r *kafka.Record) bool { return r.Offset%97 == 0 }

func randomLog(rng *rand.Rand, n int) []*kafka.Record {
	log := make([]*kafka.Record, n)
	offset := rng.Int64N(1 << 50)
	for i := range log {
		r := &kafka.Record{Offset: offset, Value: []byte("{}")}
		if k := rng.IntN(1100); k < 1000 {
			r.Key = []byte("k" + strconv.Itoa(k))
		}
		log[i] = r
		offset++
		if rng.IntN(50) == 0 {
			offset += rng.Int64N(40) // compaction, aborted records
		}
	}
	return log
}
