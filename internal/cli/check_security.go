package cli

import (
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strings"

	"eventgateway/internal/config"
	"eventgateway/internal/preflight"
)

// minSecret is the least length of a secret that signs, in bytes: 128 bits as text. Shorter
// ones can be found by search, given one signed delivery.
const minSecret = 16

// security warns of what lets others in. No value is shown: it may come from a variable. It looks at the configuration and at files, not
// at the network.
func (c *checker) security(cfg *config.Config, wrong config.Errors) []preflight.Finding {
	if cfg == nil || len(wrong) > 0 {
		return nil
	}
	var list []preflight.Finding
	warn := func(check, subject, what, do string) {
		list = append(list, preflight.Finding{Severity: preflight.Warning, Check: check, Subject: subject, What: what, Do: do})
	}
	if cfg.Auth.None && outside(cfg.HTTP.Listen) {
		warn("security.open", "http.listen", "auth: none, and the listener can be reached from other machines: everybody there may publish",
			"let clients authenticate (docs/security.md), or make sure that only a proxy that does can reach it")
	}
	if outside(cfg.Admin.Listen) {
		warn("security.admin", "admin.listen", "the listener can be reached from other machines: metrics and readiness are shown to everybody there",
			"listen on 127.0.0.1, or let only probes and Prometheus through")
	}
	list = append(list, c.readable(cfg)...)
	return append(list, webhookSecrets(cfg)...)
}

// outside reports whether other machines may reach a listener.
func outside(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil || host == "localhost" {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err != nil || !ip.IsLoopback()
}

// fileReference is that of docs/configuration.md.
var fileReference = regexp.MustCompile(`\$\{file:([^}]+)\}`)

// readable warns of secrets in files that every user of this machine may read.
func (c *checker) readable(cfg *config.Config) []preflight.Finding {
	files := map[string]string{"http.tls.key": cfg.HTTP.TLS.Key, "redis.tls.key": cfg.Redis.TLS.Key}
	var list []preflight.Finding
	warn := func(subject, what string) {
		list = append(list, preflight.Finding{
			Severity: preflight.Warning, Check: "security.readable", Subject: subject,
			What: what, Do: "take the right to read from others: chmod o-r",
		})
	}
	for _, key := range []string{"http.tls.key", "redis.tls.key"} {
		if worldReadable(files[key]) {
			warn(key, "every user of this machine can read the private key")
		}
	}
	text, err := os.ReadFile(c.file)
	if err != nil {
		return list
	}
	if worldReadable(c.file) && containsSecret(string(text), cfg) {
		warn(c.file, "the file has secrets, and every user of this machine can read it")
	}
	for _, match := range fileReference.FindAllSubmatch(text, -1) {
		if name := string(match[1]); worldReadable(name) {
			warn(name, "the configuration takes a value from this file, and every user of this machine can read it")
		}
	}
	return list
}

func worldReadable(file string) bool {
	if file == "" {
		return false
	}
	info, err := os.Stat(file) //nolint:gosec // the operator names the file
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&fs.FileMode(0o004) != 0
}

// containsSecret reports whether a secret stands in the text itself.
func containsSecret(text string, cfg *config.Config) bool {
	secrets := []config.Secret{cfg.Redis.Password}
	for _, w := range cfg.Webhooks {
		secrets = append(secrets, w.Secrets...)
	}
	for _, s := range secrets {
		if value := s.Reveal(); value != "" && strings.Contains(text, value) {
			return true
		}
	}
	return false
}

// webhookSecrets warns of secrets that can be guessed, or that serve two sources: whoever
// may sign for the one may sign for the other.
func webhookSecrets(cfg *config.Config) []preflight.Finding {
	var list []preflight.Finding
	seen := map[string]string{} // path by secret
	for i, w := range cfg.Webhooks {
		for j, s := range w.Secrets {
			at, value := fmt.Sprintf("webhooks[%d].secrets[%d]", i, j), s.Reveal()
			if len(value) < minSecret {
				list = append(list, preflight.Finding{
					Severity: preflight.Warning, Check: "security.weak-secret", Subject: at,
					What: fmt.Sprintf("is shorter than %d bytes, so it can be guessed", minSecret),
					Do:   "let the provider make one, or take 32 random bytes: openssl rand -hex 32",
				})
			}
			if other, taken := seen[value]; taken && !strings.HasPrefix(other, fmt.Sprintf("webhooks[%d].", i)) {
				list = append(list, preflight.Finding{
					Severity: preflight.Warning, Check: "security.shared-secret", Subject: at,
					What: "is the same secret as " + other + ": whoever signs for one source can sign for the other", Do: "give each source its own",
				})
			}
			seen[value] = at
		}
	}
	return list
}
