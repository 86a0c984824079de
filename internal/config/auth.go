package config

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// AuthClient may call with one of its keys or client certificates.
type AuthClient struct {
	Name         string    `yaml:"name"`
	Keys         []AuthKey `yaml:"keys"`
	Certificates []string  `yaml:"certificates"` // names in client certificates
	Events       []string  `yaml:"events"`       // patterns
	Rate         Rate      `yaml:"rate"`         // of calls, over all gateways; zero: no limit
}

// AuthKey is one key of a client. Only the hash of the key is stored.
type AuthKey struct {
	Hash    string `yaml:"hash"`    // sha256:…
	Expires string `yaml:"expires"` // a day or a time; "" for never
}

// IsZero reports whether nothing was decided.
func (a Auth) IsZero() bool { return !a.None && a.Clients == nil && a.JWT == nil }

// String summarises the decision, without names.
func (a Auth) String() string {
	if a.None {
		return authNone
	}
	return fmt.Sprintf("clients: %d, jwt: %d", len(a.Clients), len(a.JWT))
}

const authNone = "none"

const authFix = "write auth: none to let everybody publish, or clients or jwt below auth: (docs/security.md); gateway keys new makes a key"

// UnmarshalText reads "none".
func (a *Auth) UnmarshalText(text []byte) error {
	if string(text) != authNone {
		return &fault{"is not none", authFix}
	}
	*a = Auth{None: true}
	return nil
}

// decodeNode reads none, or a mapping of who may call.
func (a *Auth) decodeNode(d *decoder, path string, n *yaml.Node) {
	v := reflect.ValueOf(a).Elem()
	switch n.Kind {
	case yaml.ScalarNode:
		if !isNull(n) { // else as if left out: Validate asks for the decision
			d.scalar(path, n, v)
		}
	case yaml.MappingNode:
		d.cfg.origins[path] = origin{source: d.at(n)}
		d.mapping(path, n, v)
	default:
		d.errs.add(path, d.at(n), "is "+kindName(n)+", not who may call", authFix)
	}
}

// ExpiresAt returns when the key expires, zero for never. A day means its beginning
// (UTC): a key that expires on 2027-01-01 is valid until the end of 2026.
func (k AuthKey) ExpiresAt() (time.Time, error) {
	if k.Expires == "" {
		return time.Time{}, nil
	}
	if day, err := time.Parse(time.DateOnly, k.Expires); err == nil {
		return day, nil
	}
	return time.Parse(time.RFC3339, k.Expires)
}

var (
	keyHash      = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	eventPattern = regexp.MustCompile(`^[A-Za-z0-9._*-]{1,200}$`)
)

func (v validator) auth() {
	a := v.c.Auth
	v.check(!a.IsZero(), "auth", "a decision is needed: it has no default", authFix)
	v.check(a.IsZero() || a.None || len(a.Clients)+len(a.JWT) > 0, "auth", "names no clients, so no one could publish", authFix)
	names, hashes := map[string]string{}, map[string]string{}
	for i, c := range a.Clients {
		at := fmt.Sprintf("auth.clients[%d]", i)
		v.unique(names, at+".name", c.Name, "is the name of another client")
		v.client(at, c)
		for j, k := range c.Keys {
			at := fmt.Sprintf("%s.keys[%d]", at, j)
			v.check(keyHash.MatchString(k.Hash), at+".hash", "is not sha256: and 64 digits", "run gateway keys new, and write the hash that it prints; never the key itself")
			v.unique(hashes, at+".hash", k.Hash, "is the hash of another key")
			_, err := k.ExpiresAt()
			v.check(err == nil, at+".expires", v.show(at+".expires", k.Expires)+" is not a time", "write for example 2027-01-01, or 2027-01-01T12:00:00Z")
		}
	}
	v.jwt(a.JWT)
}

// unique reports a value that an earlier path has too; seen are the values so far.
func (v validator) unique(seen map[string]string, path, value, problem string) {
	other, taken := seen[value]
	v.check(!taken || value == "", path, problem, "give each its own; "+other+" has it too")
	if !taken {
		seen[value] = path
	}
}

func (v validator) client(at string, c AuthClient) {
	plain := utf8.ValidString(c.Name) && !strings.ContainsFunc(c.Name, func(r rune) bool { return r < 0x20 || r >= 0x7f && r <= 0x9f })
	v.check(c.Name != "" && len(c.Name) <= 200 && plain, at+".name", "is missing or longer than 200 bytes", "write who it is, for example web")
	v.check(c.Name != "anonymous", at+".name", "is what callers without a name are called", "write another")
	v.check(len(c.Keys)+len(c.Certificates) > 0, at, "has neither keys nor certificates, so it could never call", "run gateway keys new, and write the hash below keys:")
	v.check(len(c.Events) > 0, at+".events", "is missing, so it could publish nothing", `write the event types, for example ["orders.*"], or ["*"] for all`)
	for i, pattern := range c.Events {
		path := fmt.Sprintf("%s.events[%d]", at, i)
		v.check(eventPattern.MatchString(pattern), path, v.show(path, pattern)+" is not a pattern for event types", `write an event type, in which * stands for any text, for example orders.*`)
	}
	v.check(len(c.Certificates) == 0 || v.c.HTTP.TLS.ClientCA != "", at+".certificates", "needs http.tls.client_ca: no client certificate could be verified", "name the file of the authorities that issue them")
	for i, name := range c.Certificates {
		v.check(name != "", fmt.Sprintf("%s.certificates[%d]", at, i), "is empty", "write a name that the client's certificate has")
	}
}
