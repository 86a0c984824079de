package publish

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/google/uuid"

	"eventgateway/internal/backoff"
	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
)

// Raise begins the generation after the newest one. It returns with it who was registered
// behind that: who registers later reads it.
//
// If two processes raise the same number at once, the first in the topic has it, and the
// other raises the one after it. It must not adopt the first's: that may have been raised
// before whatever made this process call Raise, and gateways that are in it already would
// not be told that anything has happened since.
func (m *Membership) Raise(ctx context.Context) (event.Generation, []event.Gateway, error) {
	for {
		g, won, err := m.tryRaise(ctx)
		if err != nil {
			return event.Generation{}, nil, fmt.Errorf("raise a generation: %w", err)
		}
		if !won {
			continue
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.atRaise = m.state.renewals()
		return g, m.state.registered(), nil
	}
}

// tryRaise writes one generation under a key of its own: compaction keeps the last
// record with a key, and what counts is the first with a number.
func (m *Membership) tryRaise(ctx context.Context) (raised event.Generation, won bool, err error) {
	if err := m.sync(ctx); err != nil {
		return event.Generation{}, false, err
	}
	m.mu.Lock()
	number := m.state.newest + 1
	m.mu.Unlock()
	key := generationKey + strconv.FormatUint(number, 10) + "/" + uuid.NewString()
	written := m.write(ctx, key, generationValue{Process: m.id, Raised: failpoint.Now().UTC()})
	if written == nil {
		err = m.await(ctx, func() bool { _, there := m.state.keys[key]; return there })
	} else if err = m.sync(ctx); err == nil {
		// Its outcome may be unknown. If it is not there by now, and is appended later, then
		// behind the one that is raised instead, and does not count.
		err = ctx.Err()
	}
	if err != nil {
		return event.Generation{}, false, errors.Join(err, written)
	}
	m.mu.Lock()
	g := m.state.generations[number]
	m.mu.Unlock()
	if g.key == key {
		return g.Generation, true, nil
	}
	if written != nil {
		m.logger.Warn("raising a generation of claims failed and is tried again", "generation", number, "error", written)
		backoff.Sleep(ctx, renewalPause)
	}
	return event.Generation{}, false, nil
}
