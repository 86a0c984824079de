package main

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// partitionsPerType is how many partitions the topic of each event type has.
const partitionsPerType = 12

// setting is what the cells have in common that are measured in the same rounds, beside
// one floor.
type setting struct {
	brokers                 int           // three: topics with three replicas, min.insync.replicas=2
	distance, redisDistance time.Duration // one way
	types                   int           // each with a topic of its own
	connections             int
}

func (s setting) partitions() int { return s.types * partitionsPerType }

func (s setting) name() string {
	name := fmt.Sprintf("%dms-%dp-%dc", s.distance.Milliseconds(), s.partitions(), s.connections)
	if s.redisDistance != s.distance {
		name += fmt.Sprintf("-redis%dms", s.redisDistance.Milliseconds())
	}
	if s.brokers > 1 {
		name += fmt.Sprintf("-%dbrokers", s.brokers)
	}
	return name
}

// String says what the name means.
func (s setting) String() string {
	text := fmt.Sprintf("%s, Kafka %d ms and Redis %d ms away, %s over %s, %s", count(s.brokers, "broker"),
		s.distance.Milliseconds(), s.redisDistance.Milliseconds(), count(s.partitions(), "partition"),
		count(s.types, "event type"), count(s.connections, "connection"))
	if s.brokers > 1 {
		text += ", min.insync.replicas=2"
	}
	return text
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// variant is how a cell's gateway is configured.
type variant struct{ client, guarantee string }

// cell is one row of the table.
type cell struct {
	setting
	variant
}

func (c cell) name() string {
	name := c.setting.name()
	if c.client != "franz" {
		name += "-" + c.client
	}
	if c.guarantee == "transactional" {
		name += "-tx"
	}
	return name
}

func (c cell) String() string { return c.setting.String() + "; " + c.client + ", " + c.guarantee }

// allCells are the cells in the order in which they are measured: what starts the same
// services side by side, and few topics before many.
func allCells() []cell {
	const near, two, ten = 0, 2 * time.Millisecond, 10 * time.Millisecond
	plain := variant{"franz", "idempotent"}
	tx := variant{"franz", "transactional"}
	librdkafka := variant{"librdkafka", "idempotent"}
	librdkafkaTx := variant{"librdkafka", "transactional"}
	var cells []cell
	add := func(s setting, variants ...variant) {
		for _, v := range variants {
			cells = append(cells, cell{s, v})
		}
	}
	add(setting{1, near, near, 1, 1}, plain)
	add(setting{1, near, near, 1, 64}, plain)
	add(setting{1, near, near, 1, 256}, plain, tx, librdkafka, librdkafkaTx)
	add(setting{1, two, two, 1, 256}, plain)
	add(setting{1, two, two, 4, 1}, plain)
	add(setting{1, two, two, 4, 64}, plain)
	add(setting{1, two, two, 4, 256}, plain, tx, librdkafka, librdkafkaTx)
	add(setting{1, ten, ten, 4, 64}, plain, tx)
	add(setting{1, ten, near, 4, 64}, plain)
	add(setting{1, ten, ten, 4, 256}, plain)
	add(setting{1, near, near, 40, 256}, plain)
	add(setting{1, two, two, 40, 256}, plain, tx)
	add(setting{1, two, two, 200, 64}, plain)
	add(setting{1, two, two, 200, 256}, plain)
	add(setting{3, near, near, 4, 256}, plain)
	add(setting{3, two, two, 4, 64}, plain)
	add(setting{3, two, two, 4, 256}, plain, tx)
	add(setting{3, two, two, 40, 256}, plain)
	return cells
}

// choose returns the cells whose names match one of the patterns, in their order; all
// without a pattern. A pattern that matches none is an error.
func choose(cells []cell, patterns []string) ([]cell, error) {
	if len(patterns) == 0 {
		return cells, nil
	}
	wanted := make(map[string]bool)
	var errs []error
	for _, p := range patterns {
		found := false
		for _, c := range cells {
			match, err := path.Match(p, c.name())
			if err != nil {
				return nil, fmt.Errorf("read pattern %q: %w", p, err)
			}
			if match {
				found, wanted[c.name()] = true, true
			}
		}
		if !found {
			errs = append(errs, fmt.Errorf("no cell has the name %q: --list shows the names", p))
		}
	}
	chosen := slices.DeleteFunc(slices.Clone(cells), func(c cell) bool { return !wanted[c.name()] })
	return chosen, errors.Join(errs...)
}

func listCells(w io.Writer, cells []cell) error {
	var text strings.Builder
	for _, c := range cells {
		fmt.Fprintf(&text, "%s\t%s\n", c.name(), c)
	}
	aligned := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, err := io.WriteString(aligned, text.String())
	if err = errors.Join(err, aligned.Flush()); err != nil {
		return fmt.Errorf("list cells: %w", err)
	}
	return nil
}
