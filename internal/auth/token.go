package auth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// requestTimeout bounds how long one request waits for a fetch of keys.
	requestTimeout = 2 * time.Second
	// leeway allows for clocks that differ.
	leeway        = 30 * time.Second
	maxTokenBytes = 8 << 10
	maxClientName = 200
	// maxTried bounds the keys that a token without a key id is tried with.
	maxTried = 16
)

// algorithms are those that a token may be signed with. All are asymmetric: whoever can
// verify a token cannot sign one.
var algorithms = []string{
	"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
}

// TokenConfig says which JSON Web Tokens of one issuer are accepted.
type TokenConfig struct {
	Issuer string
	// Audience must be among the token's. It may be empty if there are Required claims,
	// for issuers whose tokens have no audience.
	Audience string
	// Required are claims that a token must have, each with one of the values: as a text,
	// a number or a boolean, or as an item of a list.
	Required map[string][]string
	KeysURL  string // of the issuer's JSON Web Key Set (RFC 7517)
	// ClientClaim names the client, EventsClaim has the patterns: a list, or a text with
	// spaces between them. Both, and the names in Required, are read by claimAt.
	ClientClaim, EventsClaim string
	// ClientPrefix begins the name of each client that a token names.
	ClientPrefix string
	Client       *http.Client // nil: the default one
}

// tokens accepts the tokens of several issuers.
type tokens struct {
	issuers []*issuerTokens
	fetches sync.WaitGroup // one for each issuer
}

// issuerTokens accepts those of one.
type issuerTokens struct {
	cfg  TokenConfig
	keys *keySet
}

// newTokens fetches the keys of all issuers once, and then in the background until ctx
// ends.
func newTokens(ctx context.Context, cfgs []TokenConfig, logger *slog.Logger) (*tokens, error) {
	t := &tokens{}
	for _, cfg := range cfgs {
		switch {
		case cfg.Issuer == "" || cfg.KeysURL == "" || cfg.ClientClaim == "" || cfg.EventsClaim == "":
			return nil, errors.New("tokens need issuer, keys and the names of both claims")
		case cfg.Audience == "" && len(cfg.Required) == 0:
			return nil, errors.New("tokens need an audience or a required claim")
		}
		t.issuers = append(t.issuers, &issuerTokens{cfg, newKeySet(cfg.Issuer, cfg.KeysURL, cfg.Client, logger)})
	}
	started := make(chan struct{}, len(t.issuers))
	for _, i := range t.issuers {
		t.fetches.Go(func() {
			fetched := i.keys.fetch(ctx)
			started <- struct{}{}
			i.keys.run(ctx, !fetched)
		})
	}
	for range t.issuers {
		<-started // a fetch has a timeout
	}
	return t, nil
}

func (t *tokens) ready() error {
	var all []error
	for _, i := range t.issuers {
		all = append(all, i.keys.ready())
	}
	return errors.Join(all...)
}

// caller verifies a token and returns the caller that it names, with the events that it
// grants.
func (t *tokens) caller(ctx context.Context, text string, now time.Time) (*Caller, error) {
	if len(text) > maxTokenBytes {
		return nil, &Refusal{Reason: Malformed}
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if len(t.issuers) == 1 {
		return t.issuers[0].caller(ctx, text, now)
	}
	refusal := &Refusal{Reason: BadToken, Err: errors.New("its issuer (iss) is none of those that are configured")}
	iss := unverifiedIssuer(text)
	for _, i := range t.issuers {
		if i.cfg.Issuer != iss {
			continue
		}
		caller, err := i.caller(ctx, text, now)
		if err == nil {
			return caller, nil
		}
		if !errors.As(err, &refusal) {
			return nil, err
		}
	}
	return nil, refusal
}

// unverifiedIssuer says which issuer a token claims to be from; its signature then
// decides.
func unverifiedIssuer(text string) string {
	parts := strings.Split(text, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[min(1, len(parts)-1)])
	if err != nil {
		return ""
	}
	var claims struct {
		Issuer any `json:"iss"`
	}
	if json.Unmarshal(payload, &claims) != nil {
		return ""
	}
	iss, _ := claims.Issuer.(string)
	return iss
}

func (t *issuerTokens) caller(ctx context.Context, text string, now time.Time) (*Caller, error) {
	options := []jwt.ParserOption{
		jwt.WithValidMethods(algorithms), jwt.WithIssuer(t.cfg.Issuer), jwt.WithJSONNumber(),
		jwt.WithExpirationRequired(), jwt.WithLeeway(leeway), jwt.WithStrictDecoding(), jwt.WithTimeFunc(func() time.Time { return now }),
	}
	if t.cfg.Audience != "" {
		options = append(options, jwt.WithAudience(t.cfg.Audience))
	}
	claims := jwt.MapClaims{}
	_, err := jwt.NewParser(options...).ParseWithClaims(text, claims, func(token *jwt.Token) (any, error) { return t.keysFor(ctx, token) })
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return nil, &Refusal{Reason: ExpiredToken}
	case err != nil:
		return nil, &Refusal{Reason: BadToken, Err: err}
	}
	if err := t.required(claims); err != nil {
		return nil, &Refusal{Reason: BadToken, Err: err}
	}
	name, ok := claimAt(claims, t.cfg.ClientClaim).(string)
	if !ok || !validName(name) {
		return nil, &Refusal{Reason: BadToken, Err: fmt.Errorf("the claim %q names no client", t.cfg.ClientClaim)}
	}
	return &Caller{
		Name: t.cfg.ClientPrefix + name, ByToken: true, events: parsePatterns(claimTexts(claimAt(claims, t.cfg.EventsClaim))),
	}, nil
}

// keysFor returns the keys that may have signed the token.
func (t *issuerTokens) keysFor(ctx context.Context, token *jwt.Token) (any, error) {
	if _, ok := token.Header["crit"]; ok { // RFC 7515 §4.1.11: none of the extensions is understood here
		return nil, errors.New("its header has crit, and no extension is understood")
	}
	id, ok := token.Header["kid"].(string)
	if _, given := token.Header["kid"]; given && !ok {
		return nil, errors.New("its key id (kid) is not a text")
	}
	found := t.keys.find(ctx, id, token.Method.Alg())
	if len(found) == 0 {
		return nil, errors.New("the issuer has no key of its id (kid) that may sign in this way (alg)")
	}
	set := jwt.VerificationKeySet{}
	for _, key := range found[:min(len(found), maxTried)] {
		set.Keys = append(set.Keys, key.key)
	}
	return set, nil
}

// required checks the claims that must have a value.
func (t *issuerTokens) required(claims jwt.MapClaims) error {
	for name, values := range t.cfg.Required {
		if !hasValue(claimAt(claims, name), values) {
			return fmt.Errorf("the claim %q does not have the required value", name)
		}
	}
	return nil
}

func validName(name string) bool {
	return name != "" && len(name) <= maxClientName && utf8.ValidString(name) &&
		!strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 || r >= 0x7f && r <= 0x9f })
}

// claimAt finds a claim: the one of this name, or else the one at this path, which is a
// JSON Pointer (RFC 6901) if it begins with "/", and else names with dots between them:
// realm_access.roles. nil if there is none.
func claimAt(claims map[string]any, path string) any {
	if value, ok := claims[path]; ok {
		return value
	}
	pointer, isPointer := strings.CutPrefix(path, "/")
	names := strings.Split(path, ".")
	if isPointer {
		names = strings.Split(pointer, "/")
	}
	var at any = claims
	for _, name := range names {
		if isPointer {
			name = pointerEscapes.Replace(name)
		}
		inner, ok := asObject(at)
		if !ok {
			return nil
		}
		at = inner[name]
	}
	return at
}

// pointerEscapes is one pass over the text, so "~01" becomes "~1" (RFC 6901 §4).
var pointerEscapes = strings.NewReplacer("~1", "/", "~0", "~")

func asObject(value any) (map[string]any, bool) {
	if object, ok := value.(map[string]any); ok {
		return object, true
	}
	claims, ok := value.(jwt.MapClaims)
	return claims, ok
}

// hasValue reports whether a claim is, or as a list has, one of the values.
func hasValue(claim any, values []string) bool {
	items, ok := claim.([]any)
	if !ok {
		items = []any{claim}
	}
	for _, item := range items {
		var text string
		switch v := item.(type) {
		case string:
			text = v
		case json.Number:
			text = v.String()
		case bool:
			text = fmt.Sprint(v)
		default:
			continue
		}
		for _, value := range values {
			if text == value && value != "" {
				return true
			}
		}
	}
	return false
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
