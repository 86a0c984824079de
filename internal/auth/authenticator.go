package auth

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"
)

// Config says who may call.
type Config struct {
	Clients []Client
	Tokens  []TokenConfig // one for each issuer; none: no JSON Web Tokens
	// CertificateNames are the kinds of names in a client's certificate that may name it;
	// none: CertificateDNS.
	CertificateNames []string
}

// The kinds of subject alternative names (RFC 5280 §4.2.1.6).
const (
	CertificateDNS   = "dns"
	CertificateURI   = "uri"
	CertificateEmail = "email"
)

// Authenticator finds out who calls. It is safe for concurrent use.
type Authenticator struct {
	clients atomic.Pointer[clientIndex]
	tokens  *tokens // nil: none are accepted
	names   []string
}

// New returns an Authenticator. With tokens it fetches their keys in the background
// until ctx ends (see Wait), and logs fetches that fail and keys that cannot be used.
func New(ctx context.Context, cfg Config, logger *slog.Logger) (*Authenticator, error) {
	a := &Authenticator{names: cfg.CertificateNames}
	if len(a.names) == 0 {
		a.names = []string{CertificateDNS}
	}
	a.Replace(cfg.Clients)
	if len(cfg.Tokens) > 0 {
		var err error
		if a.tokens, err = newTokens(ctx, cfg.Tokens, logger); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// Replace replaces the clients: those that are not among the new ones are refused from
// now on.
func (a *Authenticator) Replace(clients []Client) { a.clients.Store(newClientIndex(clients)) }

// Wait returns when nothing is fetched any more, after the context of New has ended.
func (a *Authenticator) Wait() {
	if a.tokens != nil {
		a.tokens.fetches.Wait()
	}
}

// Ready returns an error as long as the tokens of an issuer cannot be verified, because
// no usable key was fetched yet.
func (a *Authenticator) Ready(context.Context) error {
	if a.tokens == nil {
		return nil
	}
	return a.tokens.ready()
}

// Credentials are what a request carries to prove who sent it.
type Credentials struct {
	Authorization []string // the header's values
	// Certificate is the client's, already verified against the trusted authorities; nil if
	// the client showed none.
	Certificate *x509.Certificate
	// Lapsed says that the client's certificate was good when it connected and is not now.
	Lapsed bool
}

// Authenticate says who the caller is. The error is a *Refusal.
func (a *Authenticator) Authenticate(ctx context.Context, c Credentials, now time.Time) (*Caller, error) {
	switch {
	case len(c.Authorization) > 1:
		return nil, &Refusal{Reason: Malformed}
	case len(c.Authorization) == 1:
		secret, reason := credential(c.Authorization[0])
		if reason != "" {
			return nil, &Refusal{Reason: reason}
		}
		return a.bySecret(ctx, secret, now)
	case c.Certificate != nil:
		return a.byCertificate(c.Certificate)
	case c.Lapsed:
		return nil, &Refusal{Reason: LapsedCertificate}
	}
	return nil, &Refusal{Reason: Missing}
}

// credential returns the token of `Bearer …` (RFC 6750 §2.1).
func credential(header string) (string, Reason) {
	scheme, secret, found := strings.Cut(strings.Trim(header, " \t"), " ")
	secret = strings.TrimLeft(secret, " ")
	if !found || !strings.EqualFold(scheme, "Bearer") || secret == "" || strings.ContainsAny(secret, " \t,") {
		return "", Malformed
	}
	return secret, ""
}

func (a *Authenticator) bySecret(ctx context.Context, secret string, now time.Time) (*Caller, error) {
	if strings.Count(secret, ".") == 2 && !strings.HasPrefix(secret, keyPrefix) { // JWS compact serialization; keys have no dots
		if a.tokens == nil {
			return nil, &Refusal{Reason: UnknownKey}
		}
		return a.byToken(ctx, secret, now)
	}
	if len(secret) > maxKeyLength {
		return nil, &Refusal{Reason: Malformed}
	}
	caller, reason := a.clients.Load().byKey(secret, now)
	if reason != "" {
		return nil, &Refusal{Reason: reason}
	}
	return caller, nil
}

// byToken keeps tokens and configured clients apart, whatever a claim says: the name is
// the scope of idempotency keys and rates.
func (a *Authenticator) byToken(ctx context.Context, token string, now time.Time) (*Caller, error) {
	caller, err := a.tokens.caller(ctx, token, now)
	if err != nil {
		return nil, err
	}
	if a.clients.Load().names[caller.Name] || caller.Name == anonymousName {
		return nil, &Refusal{Reason: BadToken, Err: errors.New("it names a client of the configuration; give the issuer a client_prefix")}
	}
	return caller, nil
}

func (a *Authenticator) byCertificate(cert *x509.Certificate) (*Caller, error) {
	clients := a.clients.Load()
	for _, name := range a.namesIn(cert) {
		if caller, ok := clients.certificates[name]; ok {
			return caller, nil
		}
	}
	return nil, &Refusal{Reason: UnknownCertificate}
}

// namesIn returns the names in a certificate that count.
func (a *Authenticator) namesIn(cert *x509.Certificate) []string {
	var names []string
	for _, kind := range a.names {
		switch kind {
		case CertificateDNS:
			names = append(names, cert.DNSNames...)
		case CertificateURI:
			for _, uri := range cert.URIs {
				names = append(names, uri.String())
			}
		case CertificateEmail:
			names = append(names, cert.EmailAddresses...)
		}
	}
	return names
}

// Refusal says why a caller was not authenticated. It is for the operator: callers are
// not told the reason.
type Refusal struct {
	Reason Reason
	Err    error // why a token is bad, if known; it contains no credential
}

// Error implements error.
func (r *Refusal) Error() string {
	if r.Err != nil {
		return fmt.Sprintf("%s: %v", r.Reason, r.Err)
	}
	return string(r.Reason)
}

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }

// Reason is why a caller is refused.
type Reason string

// The reasons.
const (
	Missing            Reason = "missing"
	Malformed          Reason = "malformed"
	UnknownKey         Reason = "unknown-key"
	ExpiredKey         Reason = "expired-key"
	UnknownCertificate Reason = "unknown-certificate"
	LapsedCertificate  Reason = "lapsed-certificate"
	BadToken           Reason = "bad-token"
	ExpiredToken       Reason = "expired-token"
)
