package schema

import (
	"bytes"
	"math/big"
	"math/bits"
	"strconv"
)

// decimal is a JSON number, exactly: digits × 10^exponent. Numbers of up to maxShort
// digits, nearly all that there are, need no memory of their own.
type decimal struct {
	negative bool
	short    uint64 // the digits, if long is nil
	long     []byte // the digits as text, without leading and trailing zeros
	exponent int
}

// maxShort is how many digits surely fit a uint64.
const maxShort = 19

// parseDecimal reads a valid JSON number.
func parseDecimal(text string) decimal {
	var d decimal
	digits, fraction, i := 0, false, 0
	if text[0] == '-' {
		d.negative, i = true, 1
	}
	start := i
	for ; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '.':
			fraction = true
			continue
		case c < '0' || c > '9':
		default:
			if digits > 0 || c != '0' {
				digits++
			}
			d.short = d.short*10 + uint64(c-'0')
			if fraction {
				d.exponent--
			}
			continue
		}
		break
	}
	if digits > maxShort {
		d.long = longDigits(text[start:i])
		d.exponent += digits - len(d.long)
	}
	if i < len(text) {
		e, _ := strconv.Atoi(text[i+1:]) // strictjson bounds it
		d.exponent += e
	}
	if d.long != nil && len(d.long) <= maxShort {
		d.short, _ = strconv.ParseUint(string(d.long), 10, 64)
		d.long = nil
	}
	return d
}

// longDigits are the digits of a mantissa without point and zeros around them.
func longDigits(mantissa string) []byte {
	digits := make([]byte, 0, len(mantissa))
	for i := range len(mantissa) {
		if mantissa[i] != '.' {
			digits = append(digits, mantissa[i])
		}
	}
	return bytes.TrimRight(bytes.TrimLeft(digits, "0"), "0")
}

// decimalOf is the exact value of a bound; false if it is not a finite decimal, which a
// JSON number always is.
func decimalOf(r *big.Rat) (decimal, bool) {
	digits, exact := r.FloatPrec()
	if !exact {
		return decimal{}, false
	}
	return parseDecimal(r.FloatString(digits)), true
}

func (d decimal) isZero() bool { return d.long == nil && d.short == 0 }

// isInteger reports whether the value has no fraction: 1.0 and 1e2 have none.
func (d decimal) isInteger() bool {
	if d.exponent >= 0 || d.isZero() {
		return true
	}
	if d.long != nil || -d.exponent > maxShort {
		return false // long digits do not end in zeros
	}
	return d.short%powersOf10[-d.exponent] == 0
}

var powersOf10 = func() (powers [maxShort + 1]uint64) {
	powers[0] = 1
	for i := 1; i < len(powers); i++ {
		powers[i] = powers[i-1] * 10
	}
	return powers
}()

// compare returns -1, 0 or 1.
func (d decimal) compare(other decimal) int {
	switch {
	case d.isZero() && other.isZero():
		return 0
	case d.isZero():
		return sign(!other.negative)
	case other.isZero():
		return sign(d.negative)
	case d.negative != other.negative:
		return sign(d.negative)
	case d.negative:
		return other.compareSize(d)
	}
	return d.compareSize(other)
}

// sign is -1 if something is less, otherwise 1.
func sign(less bool) int {
	if less {
		return -1
	}
	return 1
}

// compareSize compares two values other than zero without their signs.
func (d decimal) compareSize(other decimal) int {
	if d.long != nil || other.long != nil {
		a, b := d.text(), other.text()
		if x, y := len(a)+d.exponentOf(a), len(b)+other.exponentOf(b); x != y {
			return sign(x < y)
		}
		return bytes.Compare(a, b) // both without zeros at the end
	}
	if d.exponent < other.exponent {
		return -other.compareSize(d)
	}
	if d.exponent-other.exponent > maxShort {
		return 1
	}
	high, low := bits.Mul64(d.short, powersOf10[d.exponent-other.exponent])
	switch {
	case high > 0 || low > other.short:
		return 1
	case low < other.short:
		return -1
	}
	return 0
}

// text is the digits without zeros at the end; exponentOf is the exponent that goes with
// them.
func (d decimal) text() []byte {
	if d.long != nil {
		return d.long
	}
	return bytes.TrimRight(strconv.AppendUint(nil, d.short, 10), "0")
}

func (d decimal) exponentOf(text []byte) int {
	if d.long != nil {
		return d.exponent
	}
	for n := d.short; n%10 == 0; n /= 10 {
		d.exponent++
	}
	return d.exponent
}

// isMultipleOf reports whether d is an integer times m; m is not zero. It is known only
// if both are short.
func (d decimal) isMultipleOf(m decimal) (multiple, known bool) {
	if d.isZero() {
		return true, true
	}
	if d.long != nil || m.long != nil {
		return false, false
	}
	shift := d.exponent - m.exponent
	if shift >= 0 {
		high, low := bits.Mul64(d.short%m.short, powerOf10Modulo(shift, m.short))
		return bits.Rem64(high, low, m.short) == 0, true
	}
	if -shift > maxShort {
		// d has at most maxShort digits, so at most that many zeros at its end.
		return false, true
	}
	high, low := bits.Mul64(m.short, powersOf10[-shift])
	return high == 0 && d.short%low == 0, true
}

func powerOf10Modulo(n int, m uint64) uint64 {
	result, factor := 1%m, 10%m
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			high, low := bits.Mul64(result, factor)
			result = bits.Rem64(high, low, m)
		}
		high, low := bits.Mul64(factor, factor)
		factor = bits.Rem64(high, low, m)
	}
	return result
}

// appendTo writes the value in one way, however it was written before: 1.0, 10e-1 and 1
// are 1e0.
func (d decimal) appendTo(b []byte) []byte {
	if d.isZero() {
		return append(b, '0')
	}
	if d.negative {
		b = append(b, '-')
	}
	if d.long != nil {
		b = append(b, d.long...)
	} else {
		for d.short%10 == 0 {
			d.short /= 10
			d.exponent++
		}
		b = strconv.AppendUint(b, d.short, 10)
	}
	b = append(b, 'e')
	return strconv.AppendInt(b, int64(d.exponent), 10)
}
