package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// defaultRedisPort is that of a URL without one.
const defaultRedisPort = "6379"

// resolveRedisURLs replaces URLs in redis.addresses by what they say: an address, TLS, a
// user name and a password. What is wrong is not quoted, because it may contain the
// password.
func (v validator) resolveRedisURLs() {
	r := &v.c.Redis
	if !slices.ContainsFunc(r.Addresses, func(a string) bool { return strings.Contains(a, "://") }) {
		return
	}
	urls := make([]*url.URL, 0, len(r.Addresses))
	for i, text := range r.Addresses {
		at := fmt.Sprintf("redis.addresses[%d]", i)
		u, ok := redisURL(text)
		v.check(ok, at, "is not a URL of a Redis", "write for example rediss://redis.example.com:6379, without a path, and either all addresses as URLs or none")
		if !ok {
			continue
		}
		urls = append(urls, u)
		v.check(u.Scheme == urls[0].Scheme && u.User.String() == urls[0].User.String(), at,
			"differs from the URL before in more than its host", "write all with the same scheme, user name and password")
	}
	if len(urls) < len(r.Addresses) {
		r.Addresses = Defaults().Redis.Addresses
		return
	}
	r.Addresses = r.Addresses[:0:0]
	for _, u := range urls {
		port := u.Port()
		if port == "" {
			port = defaultRedisPort
		}
		r.Addresses = append(r.Addresses, net.JoinHostPort(u.Hostname(), port))
	}
	v.adopt(urls[0])
}

// adopt takes over what a URL says beside its address.
func (v validator) adopt(u *url.URL) {
	const path = "redis.addresses"
	r := &v.c.Redis
	v.check(u.Scheme == "rediss" || !r.TLS.Enabled, path, "has redis:// URLs although redis.tls is enabled", "write rediss://")
	r.TLS.Enabled = r.TLS.Enabled || u.Scheme == "rediss"
	if password, ok := u.User.Password(); ok {
		v.check(r.Password == "" || r.Password.Reveal() == password, path, "has another password than redis.password", "give it once")
		r.Password = Secret(password)
	}
	if name := u.User.Username(); name != "" {
		v.check(r.Username == "" || r.Username == name, path, "has another user name than redis.username", "give it once")
		r.Username = name
	}
}

// redisURL parses redis://[user][:password]@host[:port][/0], or the same with rediss.
func redisURL(text string) (*url.URL, bool) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, false
	}
	ok := (u.Scheme == "redis" || u.Scheme == "rediss") && u.Hostname() != "" &&
		slices.Contains([]string{"", "/", "/0"}, u.Path) && u.RawQuery == "" && u.Fragment == ""
	return u, ok
}
