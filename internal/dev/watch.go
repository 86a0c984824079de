package dev

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Watch writes a line for each record that is appended to any topic from now on, until
// ctx ends.
func Watch(ctx context.Context, broker string, out io.Writer) error {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(broker),
		kgo.ConsumeRegex(), kgo.ConsumeTopics(`^[^_].*`),
		kgo.ConsumeResetOffset(kgo.NewOffset().AfterMilli(time.Now().UnixMilli())),
		kgo.MetadataMinAge(500*time.Millisecond), kgo.MetadataMaxAge(2*time.Second),
		kgo.FetchMaxWait(500*time.Millisecond),
	)
	if err != nil {
		return fmt.Errorf("watch records: %w", err)
	}
	defer client.Close()
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil
		}
		fetches.EachRecord(func(r *kgo.Record) { _, _ = io.WriteString(out, recordLine(r)) })
	}
}

// recordLine shows one record: when, where, its key, its event's id, and the problem of
// a dead letter.
func recordLine(r *kgo.Record) string {
	var id, problem string
	for _, h := range r.Headers {
		switch h.Key {
		case "ce_id":
			id = printable(string(h.Value))
		case "gw_problem": // of a dead letter
			problem = "  problem=" + printable(string(h.Value))
		}
	}
	key := "(none)"
	if r.Key != nil {
		key = printable(string(r.Key))
	}
	return fmt.Sprintf("%s  %s[%d]@%d  key=%s  id=%s%s\n", r.Timestamp.Format("15:04:05.000"), r.Topic, r.Partition, r.Offset, key, id, problem)
}

// printable is what a stranger sent, as a terminal may show it: text with characters that
// control the terminal or turn the direction of writing comes in Go's quotes.
func printable(text string) string {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}
