package schema

import (
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

var someDecimals = []string{
	"0", "-0", "0.0", "0e5", "1", "-1", "1.0", "10e-1", "0.1", "0.01", "0.015", "10.25", "-10.25", "100", "1e2", "1E+2", "1e-2", "3", "0.3", "7e10",
	"9999999999999999999", "18446744073709551615", "18446744073709551616", "99999999999999999999", "12345678901234567890.5", "1e19", "1e20", "1e400", "-1e400", "1e-400",
	"123456789012345678901234567890", "123456789012345678901234567891", "1234567890123456789012345678900e-1", "100000000000000000000000000001", "0.000000000000000000000000000012345678901234567890123",
	"10000000000000000000", "0.10000000000000000000", "1.00000000000000000000000000000001", "00e0"[1:],
}

// Decimals say what big rationals say.
func TestDecimals(t *testing.T) {
	t.Parallel()
	for _, a := range someDecimals {
		for _, b := range someDecimals {
			requireLikeRationals(t, a, b)
		}
	}
}

func requireLikeRationals(t *testing.T, a, b string) {
	t.Helper()
	x, ok := new(big.Rat).SetString(a)
	require.True(t, ok, a)
	y, ok := new(big.Rat).SetString(b)
	require.True(t, ok, b)
	d, e := parseDecimal(a), parseDecimal(b)
	require.Equal(t, x.Cmp(y), d.compare(e), "%s, %s", a, b)
	require.Equal(t, x.IsInt(), d.isInteger(), a)
	require.Equal(t, x.Cmp(y) == 0, string(d.appendTo(nil)) == string(e.appendTo(nil)), "%s, %s", a, b)
	back, ok := decimalOf(y)
	require.True(t, ok, b)
	require.Zero(t, back.compare(e), b)
	if y.Sign() == 0 {
		return
	}
	if multiple, known := d.isMultipleOf(e); known {
		require.Equal(t, new(big.Rat).Quo(x, y).IsInt(), multiple, "%s, %s", a, b)
	}
}

func FuzzDecimal(f *testing.F) {
	for i, each := range someDecimals {
		f.Add(each, someDecimals[len(someDecimals)-1-i])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, each := range []string{a, b} {
			doc, err := parse([]byte(each))
			if err != nil || each[0] != '-' && (each[0] < '0' || each[0] > '9') || each[len(each)-1] < '0' || each[len(each)-1] > '9' {
				return
			}
			doc.Release()
		}
		requireLikeRationals(t, a, b)
	})
}
