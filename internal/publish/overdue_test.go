package publish

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOverdue(t *testing.T) {
	t.Parallel()
	const limit = 16 * time.Second
	tests := []struct {
		name string
		play func(o *overdue)
		want bool
	}{
		{"nothing waits", func(*overdue) { time.Sleep(10 * limit) }, false},
		{"not yet", func(o *overdue) { o.begin(); time.Sleep(limit - time.Second) }, false},
		{"for the limit", func(o *overdue) { o.begin(); time.Sleep(limit) }, true},
		{"ended in time", func(o *overdue) { o.begin().Add(-1); time.Sleep(limit) }, false},
		{"one of two ended", func(o *overdue) { o.begin(); o.begin().Add(-1); time.Sleep(limit) }, true},
		{"the process was paused", func(o *overdue) { o.begin(); time.Sleep(3 * limit) }, true},
		{"paused for longer than there are slots", func(o *overdue) { o.begin(); time.Sleep(9*limit + limit/2) }, true},
		{"a later one in the same slot", func(o *overdue) { o.begin(); time.Sleep(4 * limit); o.begin().Add(-1); time.Sleep(limit) }, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := newOverdue(limit)
				time.Sleep(5 * time.Second) // not born with the first record
				tt.play(o)
				require.Equal(t, tt.want, o.any())
			})
		})
	}
}

// Whenever a record begins, it is found within the limit, and not much before.
func TestOverdueIsFoundInTime(t *testing.T) {
	t.Parallel()
	const limit = 16 * time.Second
	for begins := time.Duration(0); begins < 3*time.Second; begins += 700 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			o := newOverdue(limit)
			stop := make(chan struct{})
			late := make(chan time.Time, 1)
			go o.run(stop, func() { late <- time.Now() })
			time.Sleep(begins)
			began := time.Now()
			o.begin()
			waited := (<-late).Sub(began)
			require.LessOrEqual(t, waited, limit)
			require.Greater(t, waited, limit-limit/overdueParts)
			close(stop)
		})
	}
}
