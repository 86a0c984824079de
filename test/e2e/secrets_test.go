//go:build integration

package e2e

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"eventgateway/test/services"
)

// shown is everything that the gateways of this run printed or answered, and every
// secret that they were configured with or sent. At the end of the run the texts are
// searched for the secrets.
var shown struct {
	mu      sync.Mutex
	texts   []shownText
	secrets map[string]string // by name
}

type shownText struct{ what, text string }

// newSecret creates a secret that no output may contain.
func newSecret(name string) string {
	return watch(name, "secret"+rand.Text())
}

// watch adds a value, and its usual encodings, to the secrets.
func watch(name, value string) string {
	shown.mu.Lock()
	defer shown.mu.Unlock()
	if shown.secrets == nil {
		shown.secrets = map[string]string{}
	}
	name = fmt.Sprintf("%s %d", name, len(shown.secrets))
	shown.secrets[name] = value
	shown.secrets[name+" in base64"] = strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(value)), "=")
	shown.secrets[name+" in hex"] = fmt.Sprintf("%x", value)
	return value
}

// recordShown keeps a text for the search at the end.
func recordShown(what, text string) {
	shown.mu.Lock()
	defer shown.mu.Unlock()
	shown.texts = append(shown.texts, shownText{what, text})
}

// leaks lists the secrets that a text contains.
func leaks(text string) (names []string) {
	shown.mu.Lock()
	defer shown.mu.Unlock()
	for name, value := range shown.secrets {
		if strings.Contains(text, value) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// lookForSecrets searches all texts for secrets, at the end of the run.
func lookForSecrets() error {
	for _, each := range shown.texts {
		if found := leaks(each.text); len(found) > 0 {
			return fmt.Errorf("secrets were shown: %s has %s", each.what, strings.Join(found, ", "))
		}
	}
	return nil
}

// printedBy runs the program to its end and returns its output, which must contain no
// secret.
func printedBy(t *testing.T, environment []string, stdin string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	cmd := exec.CommandContext(ctx, suite.binary, args...)
	cmd.Dir, cmd.Env, cmd.Stdin = suite.dir, append(os.Environ(), environment...), strings.NewReader(stdin)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	_ = cmd.Run() // most of these fail on purpose
	require.NoError(t, ctx.Err(), "%v:\n%s", args, tail(out.String(), 20))
	text := out.String()
	require.NotContains(t, text, "panic:", args)
	require.Empty(t, leaks(text), "%v shows secrets:\n%s", args, text)
	return text
}

// pemKey is a private key, each line of which is a secret.
func pemKey(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	for _, line := range strings.Split(text, "\n") {
		if len(line) > 20 && !strings.HasPrefix(line, "---") {
			watch("a line of a private key", line)
		}
	}
	return text
}

// guardedConfig has a secret in every place that accepts one, written in each way.
func guardedConfig(t *testing.T, redis string) (cfg map[string]any, environment []string) {
	t.Helper()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	_, hash := newKey(t)
	webhooks := []map[string]any{
		{"name": "stripe", "scheme": "stripe", "secrets": []string{"${HOOK_SECRET}", newSecret("webhook")}, "event_type": "orders.placed", "on_invalid": "reject"},
		{"name": "bearer", "scheme": "bearer", "secrets": []string{"${file:" + file("hook", newSecret("webhook in a file")+"\n") + "}"}, "event_type": "orders.placed", "on_invalid": "reject"},
		{"name": "basic", "scheme": "basic", "secrets": []string{"user:" + newSecret("webhook password")}, "event_type": "orders.placed", "on_invalid": "reject"},
		{"name": "standard", "scheme": "standard", "secrets": []string{"whsec_" + base64.StdEncoding.EncodeToString([]byte(newSecret("standard webhook")))}, "event_type": "orders.placed", "on_invalid": "reject"},
	}
	o := options{schemas: schemasFolder(t, eventType{name: "orders.placed"}), auth: clientsWith(hash), webhooks: webhooks, redis: []string{redis}}
	cfg = o.config(t)
	inSection("redis", "password", "${REDIS_SECRET:-}")(cfg)
	inSection("kafka", "properties", map[string]any{
		"sasl.username": "gateway", "sasl.password": newSecret("sasl"), "ssl.key.password": newSecret("ssl key"),
		"sasl.oauthbearer.client.secret": newSecret("oauth"), "log_level": 7, "debug": "all",
	})(cfg)
	inSection("http", "public_url", "https://events.example.com")(cfg)
	cfg["log"] = map[string]any{"level": "debug"}
	return cfg, []string{"HOOK_SECRET=" + newSecret("webhook in a variable"), "REDIS_SECRET=" + newSecret("redis")}
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	text, err := yaml.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

// breakage is a fault of a configuration. It changes cfg and returns "", or returns the
// text to write instead of whole, the text of cfg.
type breakage func(cfg map[string]any, whole string) string

// breakages are faults that could make a command print a secret.
func breakages(t *testing.T) map[string]breakage {
	t.Helper()
	key := pemKey(t)
	keyFile := filepath.Join(t.TempDir(), "key.pem")
	require.NoError(t, os.WriteFile(keyFile, []byte(key), 0o600))
	set := func(section, name string, value any) breakage {
		return func(cfg map[string]any, _ string) string {
			inSection(section, name, value)(cfg)
			return ""
		}
	}
	property := func(name string, value any) breakage {
		return func(cfg map[string]any, _ string) string {
			cfg["kafka"].(map[string]any)["properties"].(map[string]any)[name] = value
			return ""
		}
	}
	hook := func(member string, value any) breakage {
		return func(cfg map[string]any, _ string) string {
			cfg["webhooks"].([]map[string]any)[0][member] = value
			return ""
		}
	}
	raw := func(text string) breakage {
		return func(_ map[string]any, whole string) string { return whole + text }
	}
	s := func(name string) string { return newSecret(name) }
	return map[string]breakage{
		"nothing is there":                set("redis", "username", "gateway"),
		"a list for a password":           set("redis", "password", []string{s("in a list")}),
		"a mapping for a password":        set("redis", "password", map[string]any{"value": s("in a mapping")}),
		"a misspelt password":             set("redis", "passwort", s("misspelt")),
		"an expanded one as an address":   set("redis", "addresses", []string{"${REDIS_SECRET}"}),
		"an expanded one as a size":       set("http", "body_limit", "${HOOK_SECRET}"),
		"an expanded one as a duration":   set("http", "read_timeout", "${HOOK_SECRET}"),
		"an expanded one as an origin":    set("http", "cors", map[string]any{"origins": []string{"${HOOK_SECRET}"}}),
		"an expanded one as a proxy":      set("http", "trusted_proxies", []string{"${HOOK_SECRET}"}),
		"an expanded one as a URL":        set("http", "public_url", "https://user:${HOOK_SECRET}@example.com"),
		"a password in a URL":             set("http", "public_url", "https://user:"+s("in a URL")+"@example.com"),
		"a key where a file should be":    set("http", "tls", map[string]any{"cert": keyFile, "key": keyFile}),
		"a key that is not a certificate": set("redis", "tls", map[string]any{"enabled": true, "ca": keyFile}),
		"a misspelt property":             property("sasl.passwort", s("property")),
		"a refused property":              property("ssl.engine.location", s("refused property")),
		"a bad key":                       property("ssl.key.pem", s("pem")),
		"a key without a certificate":     property("ssl.key.pem", key),
		"a keystore that is not there":    property("ssl.keystore.password", s("keystore")),
		"a list for a property":           property("sasl.password", []string{s("property in a list")}),
		"a scheme that is not known":      hook("scheme", "no-such"),
		"an expanded one as a scheme":     hook("scheme", "${HOOK_SECRET}"),
		"a secret that is none":           hook("secrets", s("no list")),
		"a secret of another scheme": func(cfg map[string]any, _ string) string {
			cfg["webhooks"].([]map[string]any)[3]["secrets"] = []string{"whsec_" + s("not base64") + "!"}
			return ""
		},
		"a password without a user": func(cfg map[string]any, _ string) string {
			cfg["webhooks"].([]map[string]any)[2]["secrets"] = []string{s("no user")}
			return ""
		},
		"the key in place of its hash": func(cfg map[string]any, _ string) string {
			made, _ := newKey(t)
			cfg["auth"] = clientsWith(made)
			return ""
		},
		"a key as a client's name": func(cfg map[string]any, _ string) string {
			made, _ := newKey(t)
			cfg["auth"].(map[string]any)["clients"].([]any)[0].(map[string]any)["keys"] = []any{made}
			return ""
		},
		"a quote that is open":       raw("\nmore: \"" + s("open quote")),
		"a tag":                      raw("\nmore: !" + s("tag") + " x"),
		"an anchor that is not":      raw("\nmore: *" + s("anchor")),
		"a bad indentation":          raw("\n password: " + s("indentation")),
		"a reserved character":       raw("\nmore: @" + s("at")),
		"a second document":          raw("\n---\nredis: {password: " + s("second document") + "}\n"),
		"a key given twice":          raw("\nredis: {password: " + s("given twice") + "}\n"),
		"a variable that is not set": raw("\nmore: ${NOT_SET:?" + s("message") + "}\n"),
	}
}

// TestNoCommandShowsASecret runs every command that reads the configuration, with each
// fault, and with secrets in every field.
func TestNoCommandShowsASecret(t *testing.T) {
	t.Parallel()
	for name, breakIt := range breakages(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, environment := guardedConfig(t, "127.0.0.1:1")
			inSection("kafka", "brokers", []string{"127.0.0.1:1"})(cfg)
			text := breakIt(cfg, marshal(t, cfg))
			if text == "" {
				text = marshal(t, cfg)
			}
			file := filepath.Join(t.TempDir(), "gateway.yaml")
			require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			delivery := "POST /v1/webhooks/stripe HTTP/1.1\nContent-Type: application/json\nStripe-Signature: t=1,v1=00\nAuthorization: Bearer " + newSecret("of a delivery") + "\n\n{}"
			for _, args := range [][]string{
				{"check", "-c", file},
				{"check", "-c", file, "--format", "json"},
				{"webhooks", "verify", "stripe", "-", "-c", file},
				{"webhooks", "verify", "bearer", "-", "-c", file},
				{"webhooks", "verify", "basic", "-", "-c", file},
				{"webhooks", "verify", "standard", "-", "-c", file},
				{"webhooks", "send", "stripe", "-", "-c", file, "--url", "http://127.0.0.1:1/"},
				{"idempotency", "show", "-c", file, "k"},
				{"topics", "apply", "-c", file, "--dry-run"},
			} {
				require.NotEmpty(t, printedBy(t, environment, delivery, args...), args)
			}
			// One that starts, and one that does not, as a process that logs.
			switch name {
			case "nothing is there":
				requireServeShowsNoSecret(t, file, environment, "127.0.0.1:1")
			case "a misspelt password":
				requireServeShowsNoSecret(t, file, environment, "")
			}
		})
	}
}

// requireServeShowsNoSecret runs `gateway serve` to its end, which comes by itself or,
// if until is not empty, once the log contains until.
func requireServeShowsNoSecret(t *testing.T, file string, environment []string, until string) {
	t.Helper()
	p := exec.Command(suite.binary, "serve", "-c", file)
	p.Env = append(os.Environ(), environment...)
	var out lines
	p.Stdout, p.Stderr = &out, &out
	require.NoError(t, p.Start())
	ended := make(chan error, 1)
	go func() { ended <- p.Wait() }()
	if until != "" {
		eventually(t, patient, "librdkafka logs an error", func() error {
			if !strings.Contains(out.String(), until) {
				return fmt.Errorf("not yet")
			}
			return nil
		})
		require.NoError(t, p.Process.Signal(os.Interrupt))
	}
	<-ended
	require.Empty(t, leaks(out.String()), out.String())
}

// TestRunningGatewayShowsNoSecret uses a gateway that is configured with secrets in every
// way that callers and operators can.
func TestRunningGatewayShowsNoSecret(t *testing.T) {
	t.Parallel()
	password := newSecret("redis")
	redis := privateRedis(t)
	admin := goredis.NewClient(&goredis.Options{Addr: redis.Addr()})
	require.NoError(t, admin.ConfigSet(t.Context(), "requirepass", password).Err())
	require.NoError(t, admin.Close())
	cfg, environment := guardedConfig(t, redis.Addr())
	inSection("redis", "password", password)(cfg)
	inSection("http", "public_url", "")(cfg)
	inSection("kafka", "transactional_id_prefix", unique("secrets"))(cfg) // its Redis is not that of others
	key, hash := newKey(t)
	cfg["auth"] = clientsWith(hash)
	inSection("kafka", "brokers", []string{services.Shared(t).Kafka})(cfg)
	_, hookSecret, _ := strings.Cut(environment[0], "=")
	cfg["webhooks"].([]map[string]any)[0]["secrets"] = []string{hookSecret}
	name := unique("secrets.orders")
	cfg["schemas"] = map[string]any{"dir": schemasFolder(t, eventType{name: name, xevent: map[string]any{"topic": newTopic(t)}})}
	g := startConfigured(t, options{}, writeConfig(t, cfg))
	c := newClient(t, g.addr, 1)
	body := newOrder("secrets", 1).post(name).body
	who := map[string]string{"Authorization": "Bearer " + key}
	accepted := c.mustSend(t, post{eventType: name, key: "k", body: body, header: who})
	require.Equal(t, http.StatusAccepted, accepted.status, string(accepted.body))
	for what, header := range map[string]map[string]string{
		"an unknown key": {"Authorization": "Bearer gwk_" + newSecret("unknown key")}, "a token": {"Authorization": "Bearer a." + newSecret("token") + ".c"},
		"a password": {"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("me:"+newSecret("basic")))}, "a cookie": {"Cookie": newSecret("cookie")},
		"an unknown X-API-Key": {"X-API-Key": "gwk_" + newSecret("unknown X-API-Key")}, "a password with a key's prefix": {"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("me:gwk_"+newSecret("basic key")))},
		"nonsense": {"Authorization": newSecret("nonsense")}, "a key twice": {"Authorization": "Bearer " + key + ", Bearer " + key},
	} {
		a := c.mustSend(t, post{eventType: name, body: body, header: header})
		require.Equal(t, http.StatusUnauthorized, a.status, what)
		require.Empty(t, leaks(string(a.body)), what)
	}
	for _, p := range []post{
		{eventType: "no.such", header: who, body: body},
		{eventType: name, header: who, body: []byte("{")},
		{eventType: name, header: who, body: []byte("{}")},
		{eventType: name, header: merged(who, "Idempotency-Key", ""), body: body},
	} {
		a := c.mustSend(t, p)
		require.GreaterOrEqual(t, a.status, 400)
		require.Empty(t, leaks(string(a.body)))
	}
	require.NoError(t, redis.Pause()) // so that errors of Redis are logged
	a := c.mustSend(t, post{eventType: name, key: "k2", body: body, header: who})
	require.NoError(t, redis.Resume())
	require.Equal(t, http.StatusServiceUnavailable, a.status)
	for _, path := range []string{"/metrics", "/readyz", "/livez", "/debug/pprof/cmdline"} {
		_, text, err := g.ask(path)
		require.NoError(t, err)
		require.Empty(t, leaks(text), path)
	}
	require.Empty(t, leaks(g.log.String()))
	require.NotEmpty(t, g.log.String())
}

func merged(m map[string]string, name, value string) map[string]string {
	m = maps.Clone(m)
	m[name] = value
	return m
}

// TestKeysNew: only `keys new` prints a key, and only to standard output.
func TestKeysNew(t *testing.T) {
	t.Parallel()
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(t.Context(), suite.binary, "keys", "new")
	cmd.Stdout, cmd.Stderr = &out, &errOut
	require.NoError(t, cmd.Run())
	require.Empty(t, errOut.String())
	require.Contains(t, out.String(), "gwk_")
	for _, args := range [][]string{{"keys"}, {"keys", "old"}, {"keys", "new", "--no-such"}, {"keys", "new", "--help"}} {
		require.NotContains(t, printedBy(t, nil, "", args...), "gwk_")
	}
}

// The search itself can fail.
func TestLeaksAreFound(t *testing.T) {
	t.Parallel()
	secret := newSecret("found")
	require.Len(t, leaks("a line with "+secret+" in it"), 1)
	require.Len(t, leaks("dial: "+base64.StdEncoding.EncodeToString([]byte(secret))), 1)
	require.Len(t, leaks(fmt.Sprintf("%x", secret)), 1)
	require.Empty(t, leaks("a line without"))
}
