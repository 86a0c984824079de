package dev

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestRecordLine(t *testing.T) {
	t.Parallel()
	r := &kgo.Record{
		Timestamp: time.Date(2026, 1, 31, 3, 4, 5, 6e6, time.UTC), Topic: "t", Partition: 1, Offset: 2, Key: []byte("k"),
		Headers: []kgo.RecordHeader{{Key: "ce_id", Value: []byte("e-1")}},
	}
	require.Equal(t, "03:04:05.006  t[1]@2  key=k  id=e-1\n", recordLine(r))
	r.Key, r.Headers = nil, append(r.Headers, kgo.RecordHeader{Key: "gw_problem", Value: []byte("schema-violation")})
	require.Equal(t, "03:04:05.006  t[1]@2  key=(none)  id=e-1  problem=schema-violation\n", recordLine(r), "a dead letter")
}

// What strangers sent does not reach the terminal as it is.
func TestRecordLinesArePrintable(t *testing.T) {
	t.Parallel()
	for _, evil := range []string{"\x1b[2J\x1b]0;title\a", "a\r\nforged line", "\u202etxt.exe", "\xff\xfe", "\u009b31m"} {
		line := recordLine(&kgo.Record{Topic: "t", Key: []byte(evil), Headers: []kgo.RecordHeader{
			{Key: "ce_id", Value: []byte(evil)}, {Key: "gw_problem", Value: []byte(evil)},
		}})
		require.Equal(t, 1, strings.Count(line, "\n"))
		require.NotContains(t, line, evil)
		require.Equal(t, -1, strings.IndexFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return !unicode.IsPrint(r) }), line)
	}
	require.Contains(t, recordLine(&kgo.Record{Topic: "t", Key: []byte("Zürich 42")}), "key=Zürich 42 ")
}
