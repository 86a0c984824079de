package schema

import (
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Values of "format": "regex" are parsed and never compiled: to compile 21 kB could take a
// second of a core, and 370 MB. It is not parallel, because allocations are counted for the
// whole process.
func TestRegexesInDataAreCheap(t *testing.T) {
	const size, most = 21_000, 8 << 20 // bytes: of a value, and of what its check allocates
	for _, part := range []string{
		`(a{1000})`, `(?:a{0,1000})`, `((a{10}){10}){10}`, `[\p{L}]{1000}`, `\P{Lu}{1,1000}`, `.{1000}|`, `[^a]{999}`, `(?:`, `(x+x+)+y`, `[`, `(?i:[a-z]{1000})`,
	} {
		t.Run(part, func(t *testing.T) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			value := strings.Repeat(part, size/len(part))
			set := one(t, `{"x-event":{"key":null},"properties":{"a":{"format":"regex"}}}`)
			data := []byte(`{"a":"` + strings.ReplaceAll(value, `\`, `\\`) + `"}`)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _ = set.Check("t", "", data)
			runtime.ReadMemStats(&after)
			allocated := after.TotalAlloc - before.TotalAlloc
			took, err := cpuOfCheck(t, set, data)
			t.Logf("%v, %d KiB: %v", took, allocated>>10, err != nil)
			require.Less(t, took, workLimit)
			require.Less(t, allocated, uint64(most))
		})
	}
}
