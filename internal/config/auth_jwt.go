package config

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// AuthJWTs are the issuers of JSON Web Tokens: one mapping, or a list of them.
type AuthJWTs []AuthJWT

// AuthJWT says which JSON Web Tokens of one issuer are accepted.
type AuthJWT struct {
	Issuer       string         `yaml:"issuer"`
	Audience     string         `yaml:"audience"` // may be empty if there are Required claims
	Required     RequiredClaims `yaml:"required"`
	JWKSURL      string         `yaml:"jwks_url"`
	ClientClaim  string         `yaml:"client_claim"` // "" is sub
	ClientPrefix ClientPrefix   `yaml:"client_prefix"`
	EventsClaim  string         `yaml:"events_claim"` // "" is events
	Rate         Rate           `yaml:"rate"`         // of each client that a token names; zero: no limit
}

// RequiredClaims are claims that a token must have, each with one of the values.
type RequiredClaims map[string][]string

// ClientPrefix begins the names of an issuer's clients. If it is not Given, AuthJWTs.Prefix
// has the default.
type ClientPrefix struct {
	Given bool
	Text  string
}

// UnmarshalText reads the prefix, which may be empty.
func (p *ClientPrefix) UnmarshalText(text []byte) error {
	*p = ClientPrefix{Given: true, Text: string(text)}
	return nil
}

// Claims returns the names of the claims for the client and its events.
func (j AuthJWT) Claims() (client, events string) {
	return cmp.Or(j.ClientClaim, "sub"), cmp.Or(j.EventsClaim, "events")
}

// Prefix is what begins the names of the clients of the i-th issuer: by default jwt:, and
// for the second and further issuers jwt2:, jwt3: and so on. None of these begins another,
// so no claim of one issuer can make a name of another's.
func (l AuthJWTs) Prefix(i int) string {
	if l[i].ClientPrefix.Given {
		return l[i].ClientPrefix.Text
	}
	var issuers []string
	for _, j := range l[:i+1] {
		if !slices.Contains(issuers, j.Issuer) {
			issuers = append(issuers, j.Issuer)
		}
	}
	if at := slices.Index(issuers, l[i].Issuer); at > 0 {
		return fmt.Sprintf("jwt%d:", at+1)
	}
	return "jwt:"
}

// path is the key of the i-th issuer: without an index if jwt is a mapping.
func (l AuthJWTs) path(c *Config, i int) string {
	at := fmt.Sprintf("auth.jwt[%d]", i)
	if _, list := c.origins[at]; list || len(l) > 1 {
		return at
	}
	return "auth.jwt"
}

// decodeNode reads one issuer, or a list of them.
func (l *AuthJWTs) decodeNode(d *decoder, path string, n *yaml.Node) {
	v := reflect.ValueOf(l).Elem()
	if n.Kind == yaml.SequenceNode {
		d.items(path, n, v)
		return
	}
	list := make(AuthJWTs, 1)
	d.value(path, n, reflect.ValueOf(&list[0]).Elem())
	*l = list
}

// decodeNode reads a mapping of claims to a value, or to a list of values.
func (r *RequiredClaims) decodeNode(d *decoder, path string, n *yaml.Node) {
	*r = RequiredClaims{}
	d.pairs(path, n, func(name string, _, node *yaml.Node) {
		at := join(path, shownKey(name))
		var values []string
		d.slice(at, node, reflect.ValueOf(&values).Elem())
		(*r)[name] = values
	})
}

func (v validator) jwt(list AuthJWTs) {
	for i, j := range list {
		at := list.path(v.c, i)
		v.issuer(at, j)
		prefix := list.Prefix(i)
		plain := len(prefix) <= 50 && !strings.ContainsFunc(prefix, func(r rune) bool { return r <= 0x20 || r >= 0x7f })
		v.check(plain, at+".client_prefix", "is longer than 50 bytes or has a space or a character outside ASCII", "write for example jwt:")
		for other := range i {
			alike := strings.HasPrefix(prefix, list.Prefix(other)) || strings.HasPrefix(list.Prefix(other), prefix)
			v.check(!alike || list[other].Issuer == j.Issuer, at+".client_prefix", "begins like that of another issuer, so a token of one could name a client of the other",
				"give each its own, neither the beginning of the other; "+list.path(v.c, other)+" has "+quote(list.Prefix(other)))
		}
		for k, c := range v.c.Auth.Clients {
			v.check(prefix == "" || !strings.HasPrefix(c.Name, prefix), fmt.Sprintf("auth.clients[%d].name", k),
				"begins as the names of clients of tokens do, "+quote(prefix), "write another, or set client_prefix of "+at)
		}
	}
}

func (v validator) issuer(at string, j AuthJWT) {
	v.check(j.Issuer != "", at+".issuer", "is missing", "write the iss of the tokens, for example https://login.example.com/")
	v.check(j.Audience != "" || len(j.Required) > 0, at+".audience", "is missing: tokens that the issuer made for others would do",
		"write the aud of the tokens that are meant for this gateway; if the issuer's tokens have none, a claim that only they have, below required")
	for _, name := range slices.Sorted(maps.Keys(j.Required)) {
		values := j.Required[name]
		path := at + ".required." + shownKey(name)
		v.check(name != "" && len(values) > 0 && !slices.Contains(values, ""), path, "has no value", `write the value that the claim must have, or a list of values any of which will do`)
	}
	u, err := url.Parse(j.JWKSURL)
	sound := err == nil && u.Hostname() != "" && u.User == nil && (u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()))
	v.check(sound, at+".jwks_url", "is not an https URL", "write where the issuer publishes its keys, for example https://login.example.com/.well-known/jwks.json")
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
