package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

type franz struct {
	client  *kgo.Client
	waiters sync.Pool
}

func newFranz(ctx context.Context, o options) (*franz, error) {
	settings := []kgo.Opt{
		kgo.SeedBrokers(strings.Split(o.brokers, ",")...),
		kgo.RequiredAcks(kgo.AllISRAcks()), // idempotence is on by default
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.RecordDeliveryTimeout(deliveryTimeout),
	}
	if o.maxProduceVersion >= 0 {
		versions := kversion.Stable()
		versions.SetMaxKeyVersion(kmsg.Produce.Int16(), int16(o.maxProduceVersion))
		settings = append(settings, kgo.MaxVersions(versions))
	}
	client, err := kgo.NewClient(settings...)
	if err != nil {
		return nil, fmt.Errorf("create producer: %w", err)
	}
	details, err := kadm.NewClient(client).ListTopics(ctx, o.topics...)
	if err == nil {
		err = details.Error()
	}
	if err != nil {
		client.Close()
		return nil, fmt.Errorf("read metadata of topics: %w", err)
	}
	return &franz{client: client}, nil
}

func (f *franz) produce(topic string, partition int32, value []byte) (int64, error) {
	waiter, ok := f.waiters.Get().(chan error)
	if !ok {
		waiter = make(chan error, 1)
	}
	// The client keeps the value, and fiber reuses the body that it is in.
	record := &kgo.Record{Topic: topic, Partition: partition, Value: bytes.Clone(value)}
	f.client.Produce(context.Background(), record, func(_ *kgo.Record, err error) { waiter <- err }) // has room for one
	err := <-waiter
	f.waiters.Put(waiter)
	return record.Offset, err
}

func (f *franz) close() {
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	_ = f.client.Flush(ctx) // the server has ended: no request waits any more
	f.client.Close()
}
