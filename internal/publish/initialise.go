package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

const (
	// initialiseStep is how long one call into librdkafka waits: it cannot be
	// called back, but it can be resumed.
	initialiseStep  = 500 * time.Millisecond
	initialisePause = 50 * time.Millisecond
)

// initialise readies a transactional producer. When it returns nil, no earlier
// producer with the same id can append or commit any more, and what such a one
// has committed is visible.
func (i *incarnation) initialise(ctx context.Context) error {
	// librdkafka looks for the coordinator twice a second, and first before it
	// is connected. Connecting it first saves that half second.
	if _, err := i.metadata(false, timeLeft(ctx, metadataTimeout)); err != nil {
		return err
	}
	for {
		again, err := i.initialiseStep(ctx)
		switch {
		case err == nil:
			return nil
		case !again || ctx.Err() != nil:
			return fmt.Errorf("initialise transactions of %s: %w", i.id, err)
		}
		waitUntil(ctx, time.Now().Add(initialisePause))
	}
}

// initialiseStep waits a while. It reports whether to call it again.
func (i *incarnation) initialiseStep(ctx context.Context) (again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, initialiseStep)
	defer cancel()
	i.mu.RLock()
	defer i.mu.RUnlock()
	if i.closed {
		return false, errClosed
	}
	err = i.kp.InitTransactions(ctx)
	var e kafka.Error
	return errors.As(err, &e) && e.IsRetriable(), err
}
