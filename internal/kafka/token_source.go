package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/oauth"

	"eventgateway/internal/backoff"
)

const (
	// tokenWait bounds how long a broker's worker waits for a token, because the worker
	// holds all of the broker's requests up meanwhile.
	tokenWait = 2 * time.Second
	// Pauses after an attempt that failed.
	tokenRetryFirst, tokenRetryMost = 250 * time.Millisecond, 10 * time.Second
	// A connection waits for the next token when the one at hand is about to end, and is
	// refused with one that has ended but for a moment: a broker takes it as the end of the
	// session, and fails a client that authenticates twice within a second. Of short lives
	// it is a tenth and a twentieth.
	aboutToEnd, allButEnded = 10 * time.Second, 3 * time.Second
	// shortestRefresh bounds how often tokens that hardly live are asked for.
	shortestRefresh = 500 * time.Millisecond
)

// token is an access token and when it ends.
type token struct {
	text string
	ends time.Time
	life time.Duration // from when it was asked for
}

// fresh is until when the token is given without a look for the next one, usable until
// when it is given at all.
func (t token) fresh() time.Time  { return t.ends.Add(-min(t.life/10, aboutToEnd)) }
func (t token) usable() time.Time { return t.ends.Add(-min(t.life/20, allButEnded)) }

// tokenSource keeps a token fresh while a client uses it: a goroutine asks for the next
// one after four fifths of its life, which is before franz-go authenticates anew (at
// 95 %). Connections are given the token at hand and wait only if there is none yet.
//
// It is a hook of its clients: the first one starts the goroutine, and when the last
// one is closed it ends.
type tokenSource struct {
	ask        func(context.Context) (token, error)
	extensions map[string]string

	mu      sync.Mutex
	clients int
	stop    context.CancelFunc // nil without clients
	current token
	err     error         // of the last attempt; nil after a success, and before any
	changed chan struct{} // closed when an attempt ends
}

var (
	_ kgo.HookNewClient    = (*tokenSource)(nil)
	_ kgo.HookClientClosed = (*tokenSource)(nil)
)

func newTokenSource(ask func(context.Context) (token, error), extensions map[string]string) *tokenSource {
	return &tokenSource{ask: ask, extensions: extensions, changed: make(chan struct{})}
}

// OnNewClient is called before a client starts.
func (s *tokenSource) OnNewClient(*kgo.Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients++
	if s.clients > 1 {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go s.keep(ctx)
}

// OnClientClosed is called when a client has closed. It does not wait for the
// goroutine, whose request ctx ends: closing must not take time.
func (s *tokenSource) OnClientClosed(*kgo.Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients--
	if s.clients == 0 {
		s.stop()
	}
}

// keep asks for tokens until ctx ends.
func (s *tokenSource) keep(ctx context.Context) {
	retry := backoff.NewExponential(tokenRetryFirst, tokenRetryMost)
	for {
		next, err := s.ask(ctx)
		if ctx.Err() != nil {
			return
		}
		var pause time.Duration
		if err != nil {
			pause = retry.Next()
		} else {
			retry.Reset()
			pause = max(next.life*4/5, shortestRefresh)
		}
		s.attempted(next, err)
		if !backoff.Sleep(ctx, pause) {
			return
		}
	}
}

// attempted notes the result of an attempt. A token that is still good outlives the
// failure to get the next one.
func (s *tokenSource) attempted(next token, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	if err == nil {
		s.current = next
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

var errNoToken = errors.New("the token endpoint has not answered in time")

// auth gives a connection its token. franz-go calls it in the broker's worker.
func (s *tokenSource) auth(ctx context.Context) (oauth.Auth, error) {
	ctx, cancel := context.WithTimeout(ctx, tokenWait)
	defer cancel()
	for {
		s.mu.Lock()
		current, err, changed := s.current, s.err, s.changed
		s.mu.Unlock()
		now := time.Now()
		if err == nil && now.After(current.fresh()) {
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				now, err = time.Now(), errNoToken
			}
		}
		if now.Before(current.usable()) {
			return oauth.Auth{Token: current.text, Extensions: s.extensions}, nil
		}
		return oauth.Auth{}, fmt.Errorf("get an OAuth token: %w", err)
	}
}
