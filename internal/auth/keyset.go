package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// fetchTimeout bounds one fetch of the issuer's keys.
	fetchTimeout = 5 * time.Second
	// fetchInterval is between two fetches, retryInterval after one that failed.
	fetchInterval = 15 * time.Minute
	retryInterval = 10 * time.Second
	// unknownInterval is the shortest time between two fetches that tokens with an unknown
	// key cause.
	unknownInterval = 10 * time.Second
	// maxKeySetBytes bounds the issuer's document. Those of large issuers have 10 KiB.
	maxKeySetBytes = 1 << 20
	// maxSkippedLines bounds the log lines about one set.
	maxSkippedLines = 20
)

// keySet holds the keys of one issuer and keeps them up to date. Its run fetches; a
// fetch that fails leaves the keys as they are.
type keySet struct {
	issuer, url string
	client      *http.Client
	logger      *slog.Logger
	keys        atomic.Pointer[[]publicKey] // nil: never fetched
	reported    [sha256.Size]byte           // fingerprint of the set that was last logged about

	mu        sync.Mutex
	wanted    chan struct{} // closed when the fetch that requests wait for has ended; nil: there is none
	lastAsked time.Time     // when a request last wanted a fetch
	wake      chan struct{}
}

func newKeySet(issuer, address string, client *http.Client, logger *slog.Logger) *keySet {
	if client == nil {
		client = http.DefaultClient
	}
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error {
		return errors.New("it redirects; configure the URL that has the keys")
	}
	return &keySet{issuer: issuer, url: address, client: &own, logger: logger, wake: make(chan struct{}, 1)}
}

// run fetches the keys again until ctx ends: after an interval, and when a request wants
// it.
func (s *keySet) run(ctx context.Context, failed bool) {
	for {
		pause := fetchInterval
		if failed {
			pause = retryInterval
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-s.wake:
			timer.Stop()
		case <-timer.C:
		}
		failed = !s.fetch(ctx)
		s.mu.Lock()
		if s.wanted != nil {
			close(s.wanted)
			s.wanted = nil
		}
		s.mu.Unlock()
	}
}

// refresh has the keys fetched and waits for it, at most until ctx ends. It does nothing
// if that was done a short while ago.
func (s *keySet) refresh(ctx context.Context) {
	s.mu.Lock()
	if s.wanted == nil {
		if !s.lastAsked.IsZero() && time.Since(s.lastAsked) < unknownInterval {
			s.mu.Unlock()
			return
		}
		s.lastAsked, s.wanted = time.Now(), make(chan struct{})
		select {
		case s.wake <- struct{}{}:
		default: // run is about to fetch
		}
	}
	wanted := s.wanted
	s.mu.Unlock()
	select {
	case <-wanted:
	case <-ctx.Done():
	}
}

// fetch gets the keys once, and logs what is wrong.
func (s *keySet) fetch(ctx context.Context) bool {
	document, err := s.download(ctx)
	var set parsedSet
	if err == nil {
		set, err = parseKeySet(document)
	}
	if err != nil {
		if ctx.Err() == nil {
			s.logger.Error("fetching the keys of tokens failed: tokens with a new key are refused", "issuer", s.issuer, "error", err)
		}
		return false
	}
	s.keys.Store(&set.keys)
	s.report(set)
	return true
}

// download returns the issuer's document. The error does not have the URL, in which
// there may be a secret.
func (s *keySet) download(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, errors.New("the URL is ill-formed")
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	res, err := s.client.Do(req)
	if err != nil {
		var of *url.Error
		if errors.As(err, &of) {
			err = of.Err
		}
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %d, not 200", res.StatusCode)
	}
	document, err := io.ReadAll(io.LimitReader(res.Body, maxKeySetBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the answer: %w", err)
	case len(document) > maxKeySetBytes:
		return nil, fmt.Errorf("the answer is larger than %d bytes", maxKeySetBytes)
	}
	return document, nil
}

// report logs the keys that are not used, once for each set.
func (s *keySet) report(set parsedSet) {
	if set.fingerprint == s.reported {
		return
	}
	s.reported = set.fingerprint
	for i, key := range set.skipped {
		if i == maxSkippedLines {
			s.logger.Warn("more keys of a token issuer are not used", "issuer", s.issuer, "keys", len(set.skipped)-i)
			break
		}
		s.logger.Warn("a key of a token issuer is not used", "issuer", s.issuer, "kid", key.id, "reason", key.reason)
	}
	if len(set.keys) == 0 {
		s.logger.Error("a token issuer has no key that can be used: all its tokens are refused", "issuer", s.issuer)
	}
}

// ready returns an error as long as no token can be verified.
func (s *keySet) ready() error {
	switch keys := s.keys.Load(); {
	case keys == nil:
		return fmt.Errorf("no key of the token issuer %s has been fetched yet", s.issuer)
	case len(*keys) == 0:
		return fmt.Errorf("the token issuer %s has no key that can be used", s.issuer)
	}
	return nil
}

// find returns the keys that may have signed a token: those with its key id, or all if
// it has none, that fit its algorithm. If there is no such id, they are fetched again.
func (s *keySet) find(ctx context.Context, id, algorithm string) []publicKey {
	found, known := s.look(id, algorithm)
	if known {
		return found
	}
	s.refresh(ctx)
	found, _ = s.look(id, algorithm)
	return found
}

// look also reports whether there is a key of that id.
func (s *keySet) look(id, algorithm string) (found []publicKey, known bool) {
	keys := s.keys.Load()
	if keys == nil {
		return nil, false
	}
	for _, key := range *keys {
		if id != "" && key.id != id {
			continue
		}
		known = known || id != ""
		if slices.Contains(key.algorithms, algorithm) {
			found = append(found, key)
		}
	}
	return found, known || len(found) > 0
}
