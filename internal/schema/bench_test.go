package schema

import (
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/budget"
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

// As in a gateway, with a budget.
func BenchmarkCheckInTurn(b *testing.B) {
	set, _, data := sample(b)
	set.bounds = bounds{budget.New(256 << 20), 500_000}
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
		if err := v.accept.schema.Validate(doc.Root); err != nil {
			b.Fatal(err)
		}
	}
}

// An order as many write it: prices are decimals with bounds, a state is one of a few.
const (
	ordinarySchema = `{"x-event":{"key":"/orderId"},"type":"object","required":["orderId","currency","total","lines","placedAt"],"properties":{
	  "orderId":{"type":"string","minLength":1,"maxLength":64},"currency":{"type":"string","pattern":"^[A-Z]{3}$"},
	  "total":{"type":"number","minimum":0.01,"multipleOf":0.01},"state":{"enum":["new","paid","sent"]},
	  "placedAt":{"type":"string","format":"date-time"},
	  "lines":{"type":"array","minItems":1,"items":{"type":"object","required":["sku","quantity","price"],"properties":{
	    "sku":{"type":"string","maxLength":40},"quantity":{"type":"integer","minimum":1},"price":{"type":"number","minimum":0.01}}}}}}`
	ordinaryOrder = `{"orderId":"o-10492","currency":"EUR","total":30.75,"state":"new","placedAt":"2026-11-23T10:02:11.5Z","lines":[{"sku":"a-1","quantity":3,"price":10.25}]}`
)

func BenchmarkOrdinaryOrder(b *testing.B) {
	v := one(b, ordinarySchema).types["t"].byName["v1"]
	doc, err := parse([]byte(ordinaryOrder))
	require.NoError(b, err)
	b.Run("accept", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := v.validate(doc.Root, len(ordinaryOrder), nil, bounds{}, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("library", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := v.accept.schema.Validate(doc.Root); err != nil {
				b.Fatal(err)
			}
		}
	})
}
