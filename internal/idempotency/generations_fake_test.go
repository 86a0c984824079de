package idempotency

import (
	"context"
	"errors"
	"sync"
	"time"

	"eventgateway/internal/event"
)

// fakeRegistry stands for the topic of generations and gateways in Kafka.
type fakeRegistry struct {
	mu          sync.Mutex
	generations []event.Generation
	gateways    map[string]event.Gateway
	members     []*fakeMember
}

func newFakeRegistry() *fakeRegistry { return &fakeRegistry{gateways: map[string]event.Gateway{}} }

// register returns a process' view of the registry. It counts as renewed all the time,
// until it is cut off.
func (r *fakeRegistry) register(id string) *fakeMember {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := &fakeMember{reg: r, id: id, changed: make(chan struct{}, 1)}
	r.gateways[id] = event.Gateway{ID: id, Host: "host-of-" + id, Renewed: time.Now()}
	r.members = append(r.members, m)
	return m
}

// registered lists the ids.
func (r *fakeRegistry) registered() (ids []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range r.gateways {
		ids = append(ids, id)
	}
	return ids
}

func (r *fakeRegistry) newestLocked() event.Generation {
	if len(r.generations) == 0 {
		return event.Generation{}
	}
	return r.generations[len(r.generations)-1]
}

type fakeMember struct {
	reg     *fakeRegistry
	id      string
	changed chan struct{}

	// Since it was cut off from Kafka.
	cutOff bool
	knew   event.Generation
	at     time.Time
}

var errCutOff = errors.New("kafka is away")

// cut lets this process hear no more of Kafka.
func (m *fakeMember) cut() {
	m.reg.mu.Lock()
	defer m.reg.mu.Unlock()
	m.cutOff, m.knew, m.at = true, m.reg.newestLocked(), time.Now()
}

func (m *fakeMember) Self() string { return m.id }

func (m *fakeMember) Changed() <-chan struct{} { return m.changed }

func (m *fakeMember) Confirmed() (event.Generation, time.Time) {
	m.reg.mu.Lock()
	defer m.reg.mu.Unlock()
	if m.cutOff {
		return m.knew, m.at
	}
	return m.reg.newestLocked(), time.Now()
}

func (m *fakeMember) Err() error {
	m.reg.mu.Lock()
	defer m.reg.mu.Unlock()
	if m.cutOff {
		return errCutOff
	}
	return nil
}

// awaitKafka waits without end while this process is cut off.
func (m *fakeMember) awaitKafka(ctx context.Context) error {
	if m.Err() == nil {
		return nil
	}
	<-ctx.Done()
	return errors.Join(ctx.Err(), errCutOff)
}

func (m *fakeMember) Raise(ctx context.Context) (event.Generation, []event.Gateway, error) {
	if err := m.awaitKafka(ctx); err != nil {
		return event.Generation{}, nil, err
	}
	m.reg.mu.Lock()
	defer m.reg.mu.Unlock()
	g := event.Generation{Number: m.reg.newestLocked().Number + 1, Raised: time.Now()}
	m.reg.generations = append(m.reg.generations, g)
	var list []event.Gateway
	for _, o := range m.reg.gateways {
		list = append(list, o)
	}
	for _, o := range m.reg.members {
		if !o.cutOff {
			select {
			case o.changed <- struct{}{}:
			default:
			}
		}
	}
	return g, list, nil
}

func (m *fakeMember) Next(number uint64) (event.Generation, bool) {
	m.reg.mu.Lock()
	defer m.reg.mu.Unlock()
	if int(number) < len(m.reg.generations) {
		return m.reg.generations[number], true
	}
	return event.Generation{}, false
}

func (m *fakeMember) Registered(ctx context.Context) ([]event.Gateway, error) {
	if err := m.awaitKafka(ctx); err != nil {
		return nil, err
	}
	m.reg.mu.Lock()
	defer m.reg.mu.Unlock()
	var list []event.Gateway
	for _, o := range m.reg.gateways {
		list = append(list, o)
	}
	return list, nil
}

func (m *fakeMember) Forget(_ context.Context, ids []string) error {
	m.reg.mu.Lock()
	defer m.reg.mu.Unlock()
	for _, id := range ids {
		delete(m.reg.gateways, id)
	}
	return nil
}
