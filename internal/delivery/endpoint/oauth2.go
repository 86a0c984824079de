package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	// maxTokenBytes bounds the answer of a token endpoint.
	maxTokenBytes = 64 << 10
	// tokenMargin is how long before its end a token is replaced, at most a quarter of
	// its life.
	tokenMargin = 30 * time.Second
	// tokenLife is assumed if the answer does not say.
	tokenLife = 5 * time.Minute
)

// OAuth2 is the client credentials grant (RFC 6749 §4.4).
type OAuth2 struct {
	TokenURL, ClientID, ClientSecret string
	Scopes                           []string
}

// tokenSource keeps one token, and asks for another when it ends or is refused. Callers
// that need one at the same time share one request.
type tokenSource struct {
	cfg     OAuth2
	client  *http.Client
	timeout time.Duration

	mu    sync.Mutex
	token string
	until time.Time
	call  *tokenCall
}

type tokenCall struct {
	done  chan struct{}
	token string
	err   error
}

func newTokenSource(cfg OAuth2, client *http.Client, timeout time.Duration) *tokenSource {
	return &tokenSource{cfg: cfg, client: client, timeout: timeout}
}

// get returns a token that is not the refused one, "" for none.
func (s *tokenSource) get(ctx context.Context, refused string) (string, error) {
	s.mu.Lock()
	if s.token != "" && s.token != refused && time.Now().Before(s.until) {
		defer s.mu.Unlock()
		return s.token, nil
	}
	call := s.call
	if call == nil {
		call = &tokenCall{done: make(chan struct{})}
		s.call = call
		go s.fetch(context.WithoutCancel(ctx), call) // others wait for it too
	}
	s.mu.Unlock()
	select {
	case <-call.done:
		return call.token, call.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (s *tokenSource) fetch(ctx context.Context, call *tokenCall) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	token, life, err := s.ask(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	call.token, call.err = token, err
	if err == nil {
		s.token, s.until = token, time.Now().Add(life-min(tokenMargin, life/4))
	}
	s.call = nil
	close(call.done)
}

func (s *tokenSource) ask(ctx context.Context) (string, time.Duration, error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	if len(s.cfg.Scopes) > 0 {
		form.Set("scope", strings.Join(s.cfg.Scopes, " "))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.cfg.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return "", 0, errors.New("the request could not be built")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.SetBasicAuth(url.QueryEscape(s.cfg.ClientID), url.QueryEscape(s.cfg.ClientSecret)) // RFC 6749 §2.3.1
	resp, err := s.client.Do(req)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxTokenBytes))
	if err != nil {
		return "", 0, err
	}
	if resp.StatusCode != http.StatusOK {
		return "", 0, fmt.Errorf("the token endpoint answered %d", resp.StatusCode)
	}
	var answer struct {
		AccessToken string  `json:"access_token"`
		ExpiresIn   float64 `json:"expires_in"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.AccessToken == "" {
		return "", 0, errors.New("the token endpoint's answer has no access_token")
	}
	life := tokenLife
	if answer.ExpiresIn > 0 {
		life = time.Duration(min(answer.ExpiresIn, 1e6) * float64(time.Second))
	}
	return answer.AccessToken, life, nil
}
