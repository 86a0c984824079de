package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"eventgateway/internal/event"
	"eventgateway/internal/kafka"
)

// readTogether is how far apart in a partition, in records, two that are wanted may be to
// be read in one go: about a megabyte, which costs less than another consumer.
const readTogether = 1000

var errNotThere = errors.New("its record is not in the log any more, or its topic is hidden from the gateway")

// Read reads the receipt of a written event from its record. The topic is known by its
// hash: it is one of the event types', or one that they named before.
func (r *Reader) Read(ctx context.Context, id event.ClaimID, kept event.KeptReceipt) (event.Receipt, error) {
	receipt, err := r.readIn(ctx, r.topicFacts.names(), id, kept)
	if err != nil || receipt != nil {
		return valueOf(receipt), err
	}
	all, err := r.scan.admin().TopicNames(kafka.TimeLeft(ctx, metadataTimeout))
	if err != nil {
		return event.Receipt{}, err
	}
	receipt, err = r.readIn(ctx, all, id, kept)
	if err == nil && receipt == nil {
		err = errNotThere
	}
	return valueOf(receipt), err
}

func valueOf(r *event.Receipt) event.Receipt {
	if r == nil {
		return event.Receipt{}
	}
	return *r
}

// readIn looks in the topics that have the hash; nearly always that is at most one.
func (r *Reader) readIn(ctx context.Context, topics []string, id event.ClaimID, kept event.KeptReceipt) (*event.Receipt, error) {
	for _, name := range topics {
		if event.HashTopic(name) != kept.Topic {
			continue
		}
		s := &search{id: id, offset: kept.Offset, done: make(chan struct{})}
		r.records.add(kafka.Partition{Topic: name, Number: kept.Partition}, s)
		select {
		case <-s.done:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the record: %w", ctx.Err())
		}
		if s.err != nil || s.found != nil {
			return s.found, s.err
		}
	}
	return nil, nil
}

// readAll reads the records of all searches that wait in a partition.
func (r *Reader) readAll(batch []*search, part kafka.Partition) {
	ctx, cancel := context.WithTimeout(r.running, recoveryLimit)
	defer cancel()
	slices.SortFunc(batch, func(a, b *search) int { return cmp.Compare(a.offset, b.offset) })
	for len(batch) > 0 {
		n := 1
		for n < len(batch) && batch[n].offset-batch[n-1].offset <= readTogether {
			n++
		}
		near := batch[:n]
		batch = batch[n:]
		err := r.readNear(ctx, near, part)
		for _, s := range near {
			if s.found != nil {
				s.end(s.found, nil)
			} else {
				s.end(nil, err)
			}
		}
	}
}

// readNear reads once from the first record that is wanted to the last.
func (r *Reader) readNear(ctx context.Context, batch []*search, part kafka.Partition) error {
	wanted := make(map[int64][]*search, len(batch))
	for _, s := range batch {
		wanted[s.offset] = append(wanted[s.offset], s)
	}
	whole := span{Partition: part, from: batch[0].offset, to: batch[len(batch)-1].offset + 1}
	return r.scan.read(ctx, []span{whole}, func(record *logRecord) error {
		for _, s := range wanted[record.offset] {
			if string(record.header(event.HeaderClaim)) == s.id.String() {
				receipt := receiptOf(record)
				s.found = &receipt
			}
		}
		return nil
	})
}
