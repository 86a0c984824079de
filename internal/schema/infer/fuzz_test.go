package infer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// holds checks what is promised of every schema. Samples that the gateway would
// refuse under any schema do not count.
func holds(t *testing.T, data []byte) {
	t.Helper()
	samples, err := Read("s.json", data)
	if err != nil {
		return
	}
	d, err := New("t", samples, []string{"null"})
	require.NoError(t, err)
	if err := d.Verify(samples); err != nil {
		require.ErrorContains(t, err, "(malformed-json)")
		return
	}
	var written struct{ Examples []json.RawMessage }
	require.NoError(t, json.Unmarshal(d.Schema, &written))
	for i, example := range written.Examples[:min(1, len(written.Examples))] {
		if len(d.Notes) > 0 {
			break // the first sample may have been left out
		}
		var got bytes.Buffer
		require.NoError(t, json.Compact(&got, example))
		require.Equal(t, string(compact(samples[i].value)), got.String(), "an example is the sample, number by number")
	}
}

// FuzzDraft: what strangers write into a file of samples.
func FuzzDraft(f *testing.F) {
	for _, seed := range []string{
		twoOrders, `[{"a":1},{"a":null}]`, `{"a":[{},[],"x",1.5,true,null]}`, `{"$ref":"#","$id":"x","required":1}`, `{"":{"":{"":""}}}`,
		`{"a":"2026-11-23T09:14:05Z","b":"a@b.cd","c":"http://h","d":"2026-11-23"}`, `{"a":1e999}`, `{"x-event":{"key":1},"examples":[{}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4096 {
			return
		}
		holds(t, data)
	})
}

// The fuzzer seldom finds several samples that share members; this makes them.
func TestEverySampleIsAccepted(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 0))
			var lines strings.Builder
			for range 1 + r.IntN(6) {
				lines.WriteString(randomObject(r, 0) + "\n")
			}
			samples := read(t, lines.String())
			d, err := New("t", samples, []string{"null"})
			require.NoError(t, err)
			require.NoError(t, d.Verify(samples), lines.String())
		})
	}
}

func randomObject(r *rand.Rand, depth int) string {
	var members []string
	for _, name := range []string{"a", "b", "$ref", "type", "c/~", "é"} {
		if r.IntN(3) > 0 {
			members = append(members, quote(name)+":"+randomValue(r, depth+1))
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}

func randomValue(r *rand.Rand, depth int) string {
	scalars := []string{
		"null", "true", "false", "0", "-0", "1.0", "1e2", "12345678901234567890123", "0.1", `""`, `"x"`, `"2026-11-23"`,
		`"2026-11-23T09:14:05Z"`, `"a@b.cd"`, `"https://example.com/"`, `"0190163d-8694-739b-aea5-966c26f8ad91"`, `"\u2028"`,
	}
	switch kind := r.IntN(10); {
	case kind < 2 && depth < 4:
		return randomObject(r, depth)
	case kind < 4 && depth < 4:
		var items []string
		for range r.IntN(4) {
			items = append(items, randomValue(r, depth+1))
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	return scalars[r.IntN(len(scalars))]
}
