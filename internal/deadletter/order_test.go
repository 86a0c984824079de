package deadletter

import (
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/kafka"
)

func TestLaterEventsAreFound(t *testing.T) {
	t.Parallel()
	f := newFakeLog()
	for _, key := range []string{"a", "b", "c", "a", "b", "d", "c", ""} { // offsets 0 to 7
		r := &kafka.Record{Value: []byte("v")}
		if key != "" {
			r.Key = []byte(key)
		}
		if key == "d" {
			r.Value = nil
		}
		f.write("orders", r)
	}
	letter := func(key string, offset int64) (*Record, *Letter) {
		return &Record{Key: []byte(key)}, &Letter{Place: Place{"dlt", 0, offset + 100}, Origin: &Place{"orders", 0, offset}}
	}
	look := func(passed int64, offsets map[string]int64) Later {
		o := NewOrder()
		for key, offset := range offsets {
			o.Note(letter(key, offset))
		}
		later, err := o.Look(t.Context(), f, func(kafka.Partition) Passed {
			return Passed{End: passed, Is: func(offset int64) bool { return offset < passed }}
		}, func(r *Record) bool { return r.Value != nil })
		require.NoError(t, err)
		return later
	}
	require.Equal(t, Later{Letters: 1, Example: "dlt/0/100"}, look(8, map[string]int64{"a": 0}))
	require.Zero(t, look(3, map[string]int64{"a": 0}), "the later one was not delivered yet")
	require.Zero(t, look(8, map[string]int64{"a": 3}), "it is the newest")
	require.Zero(t, look(8, map[string]int64{"d": 4}), "the later one is not wanted")
	require.Equal(t, 2, look(8, map[string]int64{"a": 0, "b": 1}).Letters)

	o := NewOrder()
	o.Note(letter("a", 0))
	o.Note(letter("a", 3))
	later, err := o.Look(t.Context(), f, func(kafka.Partition) Passed { return Passed{8, func(int64) bool { return true }} }, func(*Record) bool { return true })
	require.NoError(t, err)
	require.Zero(t, later, "the later one is a dead letter itself")

	keyless := NewOrder()
	keyless.Note(&Record{}, &Letter{Origin: &Place{"orders", 0, 0}})
	require.Empty(t, keyless.parts)
}
