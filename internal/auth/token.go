package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"
)

const (
	// fetchTimeout bounds one fetch of the issuer's keys.
	fetchTimeout = 5 * time.Second
	// fetchInterval is between two fetches. A token with an unknown key causes a fetch at
	// once, at most one per unknownInterval.
	fetchInterval   = 15 * time.Minute
	unknownInterval = 10 * time.Second
	// requestTimeout bounds how long one request waits for such a fetch.
	requestTimeout = 2 * time.Second
	// leeway allows for clocks that differ.
	leeway        = 30 * time.Second
	maxTokenBytes = 8 << 10
	maxClientName = 200
)

// algorithms are those that a token may be signed with. All are asymmetric: whoever can
// verify a token cannot sign one.
var algorithms = []string{
	"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
}

// TokenConfig says which JSON Web Tokens are accepted.
type TokenConfig struct {
	Issuer, Audience string       // both required
	KeysURL          string       // of the issuer's JSON Web Key Set (RFC 7517)
	ClientClaim      string       // names the client
	EventsClaim      string       // has the patterns: a list, or a text with spaces between them
	Client           *http.Client // nil: the default one
}

type tokens struct {
	cfg    TokenConfig
	keys   keyfunc.Keyfunc
	parser func(now time.Time) *jwt.Parser
}

func newTokens(ctx context.Context, cfg TokenConfig, failed func(error)) (*tokens, error) {
	if cfg.Issuer == "" || cfg.Audience == "" || cfg.KeysURL == "" || cfg.ClientClaim == "" || cfg.EventsClaim == "" {
		return nil, errors.New("tokens need issuer, audience, keys and the names of both claims")
	}
	keys, err := keyfunc.NewDefaultOverrideCtx(ctx, []string{cfg.KeysURL}, keyfunc.Override{
		Client: cfg.Client, HTTPTimeout: fetchTimeout, RefreshInterval: fetchInterval,
		RefreshUnknownKID: rate.NewLimiter(rate.Every(unknownInterval), 1),
		RateLimitWaitMax:  requestTimeout, // includes the fetch; a request that would wait longer is refused at once
		RefreshErrorHandlerFunc: func(string) func(context.Context, error) {
			return func(_ context.Context, err error) { failed(err) }
		},
	})
	if err != nil {
		return nil, fmt.Errorf("fetch keys of tokens: %w", err)
	}
	return &tokens{cfg: cfg, keys: keys, parser: func(now time.Time) *jwt.Parser {
		return jwt.NewParser(
			jwt.WithValidMethods(algorithms), jwt.WithIssuer(cfg.Issuer), jwt.WithAudience(cfg.Audience),
			jwt.WithExpirationRequired(), jwt.WithLeeway(leeway), jwt.WithStrictDecoding(), jwt.WithTimeFunc(func() time.Time { return now }),
		)
	}}, nil
}

func (t *tokens) ready(ctx context.Context) error {
	set, err := t.keys.VerificationKeySet(ctx)
	if err != nil {
		return fmt.Errorf("read keys of tokens: %w", err)
	}
	if len(set.Keys) == 0 {
		return errors.New("no key of the token's issuer has been fetched yet")
	}
	return nil
}

// caller verifies a token and returns the caller that it names, with the events that it
// grants.
func (t *tokens) caller(ctx context.Context, text string, now time.Time) (*Caller, error) {
	if len(text) > maxTokenBytes {
		return nil, &Refusal{Reason: Malformed}
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	claims := jwt.MapClaims{}
	_, err := t.parser(now).ParseWithClaims(text, claims, t.keys.KeyfuncCtx(ctx))
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return nil, &Refusal{Reason: ExpiredToken}
	case err != nil:
		return nil, &Refusal{Reason: BadToken, Err: err}
	}
	name, ok := claims[t.cfg.ClientClaim].(string)
	if !ok || !validName(name) {
		return nil, &Refusal{Reason: BadToken, Err: fmt.Errorf("the claim %q names no client", t.cfg.ClientClaim)}
	}
	return &Caller{Name: name, ByToken: true, events: parsePatterns(claimTexts(claims[t.cfg.EventsClaim]))}, nil
}

func validName(name string) bool {
	return name != "" && len(name) <= maxClientName && utf8.ValidString(name) &&
		!strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 || r >= 0x7f && r <= 0x9f })
}

// claimTexts reads a claim that is a list of texts, or one text of several words.
func claimTexts(claim any) []string {
	switch v := claim.(type) {
	case string:
		return strings.Fields(v)
	case []any:
		var list []string
		for _, each := range v {
			if text, ok := each.(string); ok {
				list = append(list, text)
			}
		}
		return list
	}
	return nil
}
