package strictjson

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// purse is a Memory with a bottom.
type purse struct{ left, taken int }

func (p *purse) Take(n int) bool {
	if n > p.left {
		return false
	}
	p.left -= n
	p.taken += n
	return true
}

// shapes are documents of about n bytes, each dense in something.
func shapes(n int) map[string]string {
	list := func(item string) string {
		return "[" + strings.Repeat(item+",", n/(len(item)+1)) + item + "]"
	}
	var members, long strings.Builder
	for i := 0; members.Len() < n; i++ {
		fmt.Fprintf(&members, `"%d":0,`, i)
	}
	for i := 0; long.Len() < 120; i++ {
		fmt.Fprintf(&long, `"%d":0,`, i)
	}
	return map[string]string{
		"empty objects":         list(`{}`),
		"objects of one member": list(`{"":0}`),
		"objects of nine":       list(`{"a":0,"b":0,"c":0,"d":0,"e":0,"f":0,"g":0,"h":0,"i":0}`),
		"objects of twenty":     list("{" + strings.TrimSuffix(long.String(), ",") + "}"),
		"nested objects":        list(strings.Repeat(`{"":`, 50) + "0" + strings.Repeat("}", 50)),
		"one large object":      "{" + strings.TrimSuffix(members.String(), ",") + "}",
		"empty arrays":          list(`[]`),
		"arrays of one":         list(`[0]`),
		"digits":                list(`0`),
		"true":                  list(`true`),
		"texts":                 list(`""`),
		"escaped texts":         list(`"\n"`),
		"one text":              `"` + strings.Repeat("x", n) + `"`,
		"one escaped text":      `"` + strings.Repeat(`\n`, n/2) + `"`,
	}
}

// The estimate must not be less than what the heap grows by, nor so much more that honest
// events would be refused.
func TestTreesTakeWhatIsEstimated(t *testing.T) {
	const size = 900 << 10
	for name, text := range shapes(size) {
		data := []byte(text)
		p := &purse{left: 1 << 40}
		before := heap()
		doc, err := ParseWithin(data, Limits{Memory: p})
		require.NoError(t, err)
		live := heap() - before
		estimate := p.taken + freeBytes
		t.Logf("%-22s %5.1f MB live, %5.1f MB estimated, %4.1f bytes for each byte", name, float64(live)/1e6, float64(estimate)/1e6, float64(live)/size)
		require.GreaterOrEqual(t, estimate, live, name)
		require.Less(t, estimate, 3*live+2*stepBytes, name)
		runtime.KeepAlive(doc.Root)
		doc.Release()
	}
}

func heap() int {
	runtime.GC()
	runtime.GC() // pools forget in two steps
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

func TestTokensAreLimited(t *testing.T) {
	t.Parallel()
	for text, tokens := range map[string]int{
		`0`: 1, `[]`: 2, `{"a":1}`: 4, `[1,2,3]`: 5, `{"a":{"b":[true]},"c":null}`: 11,
	} {
		doc, err := ParseWithin([]byte(text), Limits{Tokens: tokens})
		require.NoError(t, err, text)
		doc.Release()
		_, err = ParseWithin([]byte(text), Limits{Tokens: tokens - 1})
		if tokens == 1 {
			require.NoError(t, err, "0 is no limit")
			continue
		}
		requireKind(t, err, TooManyTokens)
	}
	doc, err := Parse([]byte("[" + strings.Repeat("[],", 100_000) + "[]]"))
	require.NoError(t, err, "a document that is used again keeps no limit")
	doc.Release()
}

// The parse ends where there is no more memory, before it is spent.
func TestMemoryIsAskedFor(t *testing.T) {
	t.Parallel()
	for name, text := range shapes(900 << 10) {
		p := &purse{left: stepBytes}
		_, err := ParseWithin([]byte(text), Limits{Memory: p})
		requireKind(t, err, NoMemory)
		require.LessOrEqual(t, p.taken, stepBytes, name)
	}
	p := &purse{}
	doc, err := ParseWithin([]byte(`{"orderId":"o-1","items":[{"sku":"a","n":1}]}`), Limits{Memory: p})
	require.NoError(t, err, "small documents need not ask")
	doc.Release()
}

func requireKind(t *testing.T, err error, kind Kind) {
	t.Helper()
	var wrong *Error
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, kind, wrong.Kind)
}
