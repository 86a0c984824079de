package budget

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// small is a budget with one slot of each kind.
func small(bytes int64) *Budget {
	b := New(bytes)
	b.quick, b.long = make(chan struct{}, 1), make(chan struct{}, 1)
	return b
}

func requireOverloaded(t *testing.T, err error) {
	t.Helper()
	var e *event.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, event.Overloaded, e.Kind)
	require.Equal(t, event.NotWritten, e.Outcome)
}

func TestBytesAreTakenAndGivenBack(t *testing.T) {
	t.Parallel()
	b := New(800)
	require.True(t, b.Take(700))
	require.False(t, b.Take(101))
	require.True(t, b.Take(100))
	require.False(t, b.Take(1))
	b.Force(50)
	require.EqualValues(t, 850, b.Held())
	b.Give(850)
	require.Zero(t, b.Held())
	memory, slots := b.Refused()
	require.EqualValues(t, 2, memory)
	require.Zero(t, slots)
}

func TestLargeBodiesLeaveRoomForSmallOnes(t *testing.T) {
	t.Parallel()
	b := New(800)
	require.True(t, b.Room(700))
	require.False(t, b.Room(701))
	require.False(t, b.TakeLarge(701))
	require.True(t, b.TakeLarge(700))
	require.False(t, b.TakeLarge(1))
	require.True(t, b.Take(100))
}

func TestLargeBodiesWaitForRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := New(800)
		require.True(t, b.AwaitLarge(700))
		begun := time.Now()
		require.False(t, b.AwaitLarge(1))
		require.Equal(t, slotWait, time.Since(begun))
		memory, _ := b.Refused()
		require.EqualValues(t, 1, memory, "counted once")

		time.AfterFunc(time.Second, func() { b.Give(700) })
		begun = time.Now()
		require.True(t, b.AwaitLarge(b.Largest()))
		require.Less(t, time.Since(begun), time.Second+2*pollRoom)
	})
}

// Bodies hold all that they may, and the one whose turn it is must be able to finish.
func TestWorkHasAReserve(t *testing.T) {
	t.Parallel()
	b := small(1000)
	require.True(t, b.Take(1000))
	w, err := b.Begin(QuickBytes + 1)
	require.NoError(t, err)
	require.True(t, w.Take(leastReserve/2))
	held := w.Held()
	require.True(t, w.Take(leastReserve/2))
	require.False(t, w.Take(1))
	w.Keep(held)
	require.EqualValues(t, 1000+leastReserve/2, b.Held())
	w.End()
	require.EqualValues(t, 1000, b.Held())
}

// Large bodies and the work on one of them hold all that they may, and a small event must
// get through all the same.
func TestWorkLeavesRoomForSmallEvents(t *testing.T) {
	t.Parallel()
	b := small(800)
	require.True(t, b.TakeLarge(700))
	long, err := b.Begin(QuickBytes + 1)
	require.NoError(t, err)
	require.True(t, long.Take(leastReserve+100))
	require.False(t, long.Take(1))
	require.True(t, b.Take(50))
	quick, err := b.Begin(QuickBytes)
	require.NoError(t, err)
	require.True(t, quick.Take(50))
	require.False(t, quick.Take(1))
	quick.End()
	require.True(t, b.Take(50))
	require.False(t, b.Take(1))
	long.End()
	require.False(t, b.Take(1), "bodies have their own limit")
	require.EqualValues(t, 800, b.Held())
	require.Zero(t, b.working.Load())
}

func TestSlots(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ holds, wants int }{
		"quick work waits for quick work": {1, QuickBytes},
		"long work waits for long work":   {QuickBytes + 1, 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := small(1000)
				first, err := b.Begin(c.holds)
				require.NoError(t, err)
				begun := time.Now()
				_, err = b.Begin(c.wants)
				requireOverloaded(t, err)
				require.Equal(t, slotWait, time.Since(begun))
				_, slots := b.Refused()
				require.EqualValues(t, 1, slots)

				time.AfterFunc(time.Second, first.End)
				second, err := b.Begin(c.wants)
				require.NoError(t, err)
				require.Zero(t, b.Waiting())
				second.End()
			})
		})
	}
	t.Run("quick work does not wait for long work", func(t *testing.T) {
		t.Parallel()
		b := small(1000)
		long, err := b.Begin(QuickBytes + 1)
		require.NoError(t, err)
		require.True(t, long.Long())
		quick, err := b.Begin(QuickBytes)
		require.NoError(t, err)
		require.False(t, quick.Long())
		quick.End()
		long.End()
	})
}

// Quick work that takes longer makes room for other quick work, and waits.
func TestLonger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := small(1000)
		long, err := b.Begin(QuickBytes + 1)
		require.NoError(t, err)
		w, err := b.Begin(1)
		require.NoError(t, err)
		require.True(t, w.Take(500))
		went := make(chan bool)
		go func() { went <- w.Longer() }()
		synctest.Wait()
		require.EqualValues(t, 1, b.Waiting())
		other, err := b.Begin(1)
		require.NoError(t, err, "its slot is free")
		other.End()
		long.End()
		require.True(t, <-went)
		require.True(t, w.Longer(), "it is long already")
		w.End()
		require.Zero(t, b.Held())

		long, err = b.Begin(QuickBytes + 1)
		require.NoError(t, err)
		w, err = b.Begin(1)
		require.NoError(t, err)
		require.True(t, w.Take(500))
		require.False(t, w.Longer(), "there is none in time")
		requireOverloaded(t, b.Busy())
		require.EqualValues(t, 500, b.Held(), "what it took is there until it ends")
		w.End()
		long.End()
		require.Zero(t, b.Held())
		for _, size := range []int{1, QuickBytes + 1} {
			w, err := b.Begin(size)
			require.NoError(t, err, "all slots are free")
			w.End()
		}
	})
}

func TestNoBudgetIsNoLimit(t *testing.T) {
	t.Parallel()
	var b *Budget
	require.True(t, b.Take(1<<60))
	require.True(t, b.TakeLarge(1<<60))
	require.True(t, b.Room(1<<60))
	b.Force(1)
	b.Give(1)
	w, err := b.Begin(1 << 60)
	require.NoError(t, err)
	require.True(t, w.Long())
	require.True(t, w.Longer())
	require.True(t, w.Take(1<<60))
	require.Zero(t, w.Held())
	w.Keep(0)
	w.End()
}

// Long work leaves half of its time to quick work, while there is any.
func TestLongWorkPauses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := small(1000)
		long, err := b.Begin(QuickBytes + 1)
		require.NoError(t, err)
		// The clock of a test stands still while something runs: sleeping is the work.
		pause := func(worked time.Duration) time.Duration {
			time.Sleep(worked)
			begun := time.Now()
			long.Pause()
			return time.Since(begun)
		}
		quick := func() {
			w, err := b.Begin(1)
			require.NoError(t, err)
			w.End()
		}
		require.Zero(t, pause(time.Second), "it is alone")
		quick()
		require.Zero(t, pause(turn/2))
		require.Equal(t, turn, pause(turn/2), "as long as it has worked")
		require.Equal(t, 5*turn, pause(5*turn))
		require.Equal(t, longestPause, pause(lull/2))
		require.Zero(t, pause(lull), "no quick work has come")
		require.Zero(t, pause(lull))
		quick()
		require.Equal(t, turn, pause(turn))
		long.End()

		w, err := b.Begin(1)
		require.NoError(t, err)
		time.Sleep(turn)
		begun := time.Now()
		w.Pause()
		require.Zero(t, time.Since(begun), "quick work never pauses")
		w.End()
	})
}
