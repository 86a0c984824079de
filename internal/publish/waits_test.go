package publish

import (
	"bytes"
	"flag"
	"fmt"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"testing"
	"time"
)

const (
	// patience is long enough for a busy machine. Nothing waits it out unless
	// it fails.
	patience = 60 * time.Second
	tick     = 10 * time.Millisecond
	// longestTest ends a test that waits where no bound is, in the code under test for
	// example. `go test` would wait for far longer, and for all tests together.
	longestTest = 10 * patience
	// testsAtOnce is more than there are processors: the tests wait for timeouts, and
	// hardly compute.
	testsAtOnce = 6
)

// runTogether lets testsAtOnce tests run at once, unless the command line says how many.
func runTogether() {
	flag.Parse()
	const name = "test.parallel"
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == name })
	if given {
		return
	}
	if err := flag.Set(name, strconv.Itoa(testsAtOnce)); err != nil {
		panic(err)
	}
}

// limitTime panics, and shows where each goroutine is, if the test runs for too long.
func limitTime(tb testing.TB) {
	tb.Helper()
	if _, ok := tb.(*testing.T); !ok {
		return // benchmarks run for as long as they are asked to
	}
	name := tb.Name()
	timer := time.AfterFunc(longestTest, func() {
		debug.SetTraceback("all")
		panic(fmt.Sprintf("%s has run for %v: something that it waits for has no bound", name, longestTest))
	})
	tb.Cleanup(func() { timer.Stop() })
}

// ends reports whether wait returns before patience is over. If not, it marks the test as
// failed, and does not stop it: in a cleanup after a panic, that would hide the panic.
func ends(tb testing.TB, what string, wait func()) bool {
	tb.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		wait()
	}()
	_, ok := arrives(tb, ended, what)
	return ok
}

// requireEnds is ends for the test itself, which it stops.
func requireEnds(tb testing.TB, what string, wait func()) {
	tb.Helper()
	if !ends(tb, what, wait) {
		tb.FailNow()
	}
}

// receive returns what the channel gives, the zero value once it is closed.
func receive[T any](tb testing.TB, from <-chan T, what string) T {
	tb.Helper()
	got, ok := arrives(tb, from, what)
	if !ok {
		tb.FailNow()
	}
	return got
}

// arrives reports whether the channel gives something, or is closed, before patience is
// over.
func arrives[T any](tb testing.TB, from <-chan T, what string) (got T, ok bool) {
	tb.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case got = <-from:
		return got, true
	case <-timer.C:
		late(tb, what)
		return got, false
	}
}

// late fails the test, and shows where each goroutine is.
func late(tb testing.TB, what string) {
	tb.Helper()
	var stacks bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&stacks, 1) // a buffer takes everything
	tb.Errorf("waited %v for %s; the goroutines are at\n%s", patience, what, &stacks)
}
