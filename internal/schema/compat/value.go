package compat

import (
	"encoding/json"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// kind is a set of JSON types. Numbers are split into integers and the rest, so
// that "integer" is a part of "number".
type kind uint8

const (
	kindNull kind = 1 << iota
	kindBoolean
	kindInteger
	kindFraction
	kindString
	kindArray
	kindObject

	noKind    kind = 0
	anyKind   kind = 1<<7 - 1
	anyNumber      = kindInteger | kindFraction
)

var kinds = [...]kind{kindNull, kindBoolean, kindInteger, kindFraction, kindString, kindArray, kindObject}

// kindOfType is what a name in the keyword "type" stands for.
func kindOfType(name string) kind {
	switch name {
	case "null":
		return kindNull
	case "boolean":
		return kindBoolean
	case "integer":
		return kindInteger
	case "number":
		return anyNumber
	case "string":
		return kindString
	case "array":
		return kindArray
	case "object":
		return kindObject
	}
	return noKind
}

// kindOf is the kind of a value; 1.0 is an integer in every draft, as in the validator.
func kindOf(v any) kind {
	switch v := v.(type) {
	case nil:
		return kindNull
	case bool:
		return kindBoolean
	case json.Number:
		if r, ok := rational(v); ok && !r.IsInt() {
			return kindFraction
		}
		return kindInteger
	case string:
		return kindString
	case []any:
		return kindArray
	}
	return kindObject
}

// Limits of numbers; the arithmetic is quadratic in them.
const (
	maxDigits   = 1000
	maxExponent = 1000
)

// rational is the exact value of a number; false if it is not one or too long.
func rational(v any) (*big.Rat, bool) {
	n, ok := v.(json.Number)
	if !ok || len(n) > maxDigits {
		return nil, false
	}
	text := string(n)
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		if e, err := strconv.Atoi(text[i+1:]); err != nil || e > maxExponent || e < -maxExponent {
			return nil, false
		}
	}
	return new(big.Rat).SetString(text)
}

// number writes a rational as JSON; false if it has no finite decimal form.
func number(r *big.Rat) (json.Number, bool) {
	if r.IsInt() {
		return json.Number(r.Num().String()), true
	}
	digits, exact := r.FloatPrec()
	if !exact {
		return "", false
	}
	return json.Number(r.FloatString(digits)), true
}

// numbersAsText copies a tree with json.Number for every number.
func numbersAsText(v any) any {
	switch v := v.(type) {
	case float64:
		return json.Number(strconv.FormatFloat(v, 'g', -1, 64))
	case int:
		return json.Number(strconv.Itoa(v))
	case map[string]any:
		copied := make(map[string]any, len(v))
		for name, value := range v {
			copied[name] = numbersAsText(value)
		}
		return copied
	case []any:
		copied := make([]any, len(v))
		for i, item := range v {
			copied[i] = numbersAsText(item)
		}
		return copied
	}
	return v
}

// canonical is a text that is equal for two values if and only if JSON Schema calls
// them equal: numbers by value, members in any order.
func canonical(v any) string {
	var b strings.Builder
	writeCanonical(&b, v)
	return b.String()
}

func writeCanonical(b *strings.Builder, v any) {
	switch v := v.(type) {
	case nil:
		b.WriteByte('n')
	case bool:
		b.WriteString(strconv.FormatBool(v))
	case json.Number:
		if r, ok := rational(v); ok {
			b.WriteString(r.RatString())
		} else {
			b.WriteString("?" + string(v))
		}
	case string:
		b.WriteString(strconv.Quote(v))
	case []any:
		b.WriteByte('[')
		for _, item := range v {
			writeCanonical(b, item)
			b.WriteByte(',')
		}
		b.WriteByte(']')
	case map[string]any:
		b.WriteByte('{')
		for _, name := range sortedKeys(v) {
			b.WriteString(strconv.Quote(name))
			b.WriteByte(':')
			writeCanonical(b, v[name])
			b.WriteByte(',')
		}
		b.WriteByte('}')
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
