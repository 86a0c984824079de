package schema

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// sample is the first example of orders.placed, about 200 bytes.
func sample(tb testing.TB) (*Set, *version, []byte) {
	tb.Helper()
	set, err := Load("../../schemas")
	require.NoError(tb, err)
	v, err := set.version("orders.placed", "")
	require.NoError(tb, err)
	return set, v, v.examples[0]
}

func BenchmarkCheck(b *testing.B) {
	set, _, data := sample(b)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := set.Check("orders.placed", "", data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	_, _, data := sample(b)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		doc, err := parse(data)
		if err != nil {
			b.Fatal(err)
		}
		doc.Release()
	}
}

func BenchmarkValidate(b *testing.B) {
	_, v, data := sample(b)
	doc, err := parse(data)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if err := v.schema.Validate(doc.Root); err != nil {
			b.Fatal(err)
		}
	}
}
