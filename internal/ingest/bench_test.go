package ingest

import (
	"context"
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"eventgateway/internal/event"
)

// free stands in for everything around a door and costs next to nothing.
type free struct {
	Claims
	def *event.Definition
}

func (free) Together(int) (*event.Allowance, error) {
	return &event.Allowance{Slot: endless{}}, nil
}

func (f free) CheckWithin(_, _ string, data []byte, _ *event.Allowance) (event.Checked, error) {
	key := string(data)
	return event.Checked{Definition: f.def, Key: &key}, nil
}

func (f free) CheckTombstone(_, _, key string) (event.Checked, error) {
	return event.Checked{Definition: f.def, Key: &key}, nil
}

func (free) Key([]string, []byte, *event.Allowance) (*string, error) { return nil, nil }

func (free) Place(topic string, _ []byte, _ uint64) (event.Placement, error) {
	return event.Placement{Topic: topic, Partition: 3, Owner: "gw-1"}, nil
}

func (free) Claim(context.Context, event.Claim) (event.ClaimResult, error) {
	return event.ClaimResult{State: event.Claimed}, nil
}

func (free) ClaimAll(_ context.Context, cs []event.Claim) ([]event.ClaimResult, []error) {
	results := make([]event.ClaimResult, len(cs))
	for i := range results {
		results[i].State = event.Claimed
	}
	return results, make([]error, len(cs))
}

func (free) Settle(event.Claim, event.Receipt) {}

func (free) MarkUnknown(event.Claim) {}

func (free) Written(event.Claim) {}

func (free) Release(event.Claim) <-chan struct{} { return nil }

func (free) acknowledged() (event.Position, error) {
	return event.Position{Partition: 3, Offset: 48211}, nil
}

func (f free) PublishAsync(context.Context, event.Record) func() (event.Position, error) {
	return f.acknowledged
}

func (f free) PublishAll(context.Context, []event.Record, []int) func(int) (event.Position, error) {
	return func(int) (event.Position, error) { return f.acknowledged() }
}

func (free) KeepsOrder() bool { return true }

func (f free) Publish(context.Context, event.Record) (event.Position, error) { return f.acknowledged() }

func (free) Find(context.Context, event.ClaimID, event.AbandonedClaim) (event.Receipt, bool, error) {
	return event.Receipt{}, false, nil
}

func (free) Read(context.Context, event.ClaimID, event.KeptReceipt) (event.Receipt, error) {
	return event.Receipt{}, nil
}

func freeDoor() (*Door, []Request) {
	f := free{def: definition()}
	d := New(Config{DeliveryTimeout: testDelivery, Lease: testLease, ClaimTimeout: testClaimTimeout}, Deps{
		Catalog: f, Claims: f, Settler: f, Log: f, Metrics: NewMetrics(prometheus.NewRegistry()),
	})
	reqs := make([]Request, 100)
	for i := range reqs {
		reqs[i] = keyed()
		reqs[i].Data = fmt.Appendf(nil, "o-%d", 10000+i)
		reqs[i].Attributes = event.Attributes{ID: fmt.Sprint("0123456789abcdef-", i), Source: "/bench"}
		reqs[i].Identity = event.Identity{Kind: event.IdentityCloudEvent, Parts: []string{"/bench", reqs[i].Attributes.ID}}
	}
	return d, reqs
}

// BenchmarkAcceptBatch is what the door itself costs for 100 events of different
// entities.
func BenchmarkAcceptBatch(b *testing.B) {
	d, reqs := freeDoor()
	b.ReportAllocs()
	for b.Loop() {
		for _, a := range d.AcceptBatch(b.Context(), reqs) {
			if a.Err != nil {
				b.Fatal(a.Err)
			}
		}
	}
}

// BenchmarkAccept is the same for 100 events one by one.
func BenchmarkAccept(b *testing.B) {
	d, reqs := freeDoor()
	b.ReportAllocs()
	for b.Loop() {
		for _, r := range reqs {
			if _, err := d.Accept(b.Context(), r); err != nil {
				b.Fatal(err)
			}
		}
	}
}
