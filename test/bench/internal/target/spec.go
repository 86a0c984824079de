package target

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Spec says how to start one kind of server.
type Spec struct {
	Name   string // in tables: floor, gateway, old, new
	Binary string
	Topics []string // where its records go
	Key    string   // API key that it requires; "": none
	// Markers says that it writes transactions, whose markers take offsets.
	Markers bool
	// arguments returns the command line for a listener and an admin listener.
	arguments func(dir, listen, admin string) ([]string, error)
	// prepare, unless nil, runs with the command line before the server starts.
	prepare func(ctx context.Context, args []string) error
	// ready is the listener that serves /readyz.
	ready func(s *Server) string
}

// Floor is cmd/floor, producing to topics of that many partitions each. Its further flags
// are name=value.
func Floor(name, binary string, brokers, topics []string, partitions int, flags []string) Spec {
	return Spec{
		Name: name, Binary: binary, Topics: topics,
		arguments: func(_, listen, _ string) ([]string, error) {
			args := []string{
				"--listen", listen, "--brokers", strings.Join(brokers, ","),
				"--topics", strings.Join(topics, ","), "--partitions", fmt.Sprint(partitions),
			}
			for _, f := range flags {
				args = append(args, "--"+f)
			}
			return args, nil
		},
		ready: func(s *Server) string { return s.Address },
	}
}

// GatewayConfig is what a measured gateway is configured with.
type GatewayConfig struct {
	Brokers    []string
	Redis      []string
	SchemasDir string
	Properties []string // librdkafka, name=value
	Guarantee  string   // empty: the default
	Client     string   // kafka.client; empty: not set, as an older gateway knows no such key
	// IdempotencyTTL is short, so that claims of a long run do not fill Redis;
	// zero leaves the default.
	IdempotencyTTL time.Duration
	// ClientRate is the rate of the only client, which has a key; empty: no
	// authentication.
	ClientRate string
}

// benchKey is the key of the only client where there is one.
const benchKey = "gwk_bench"

// Gateway is `gateway serve` with a generated configuration file.
func Gateway(name, binary string, topics []string, c GatewayConfig) Spec {
	key := ""
	if c.ClientRate != "" {
		key = benchKey
	}
	return Spec{
		Name: name, Binary: binary, Topics: topics, Key: key, Markers: c.Guarantee == "transactional",
		arguments: func(dir, listen, admin string) ([]string, error) {
			text, err := c.render(listen, admin)
			if err != nil {
				return nil, err
			}
			file := filepath.Join(dir, name+".yaml")
			if err := os.WriteFile(file, text, 0o600); err != nil {
				return nil, fmt.Errorf("write configuration: %w", err)
			}
			return []string{"serve", "-c", file}, nil
		},
		prepare: func(ctx context.Context, args []string) error { return assertEmpty(ctx, binary, args[len(args)-1]) },
		ready:   func(s *Server) string { return s.Admin },
	}
}

// ErrConfiguration means that a gateway refuses what it was asked to be.
var ErrConfiguration = errors.New("the gateway refuses the configuration")

// assertEmpty declares in a gateway's Redis that nothing was written before, so that the
// gateway does not look for lost claims in Kafka. An older gateway has no such command,
// and does not look.
func assertEmpty(ctx context.Context, binary, file string) error {
	command := exec.CommandContext(ctx, binary, "idempotency", "rebuild", "-c", file, "--since", "0s")
	command.Env = withoutGatewaySettings(os.Environ())
	out, err := command.CombinedOutput()
	// A process has only its words to tell one failure from another.
	if _, why, refused := strings.Cut(string(out), "the configuration cannot be used:"); refused {
		return fmt.Errorf("%w: %s", ErrConfiguration, strings.TrimSpace(why))
	}
	if err != nil && !strings.Contains(string(out), "there is no command") {
		return fmt.Errorf("prepare the gateway's Redis: %w\n%s", err, out)
	}
	return nil
}

func (c GatewayConfig) render(listen, admin string) ([]byte, error) {
	schemas, err := filepath.Abs(c.SchemasDir)
	if err != nil {
		return nil, fmt.Errorf("locate schemas: %w", err)
	}
	kafka := map[string]any{"brokers": c.Brokers}
	if c.Guarantee != "" {
		kafka["guarantee"] = c.Guarantee
	}
	if c.Client != "" {
		kafka["client"] = c.Client
	}
	if len(c.Properties) > 0 {
		properties := make(map[string]string)
		for _, p := range c.Properties {
			name, value, ok := strings.Cut(p, "=")
			if !ok {
				return nil, fmt.Errorf("read property %q: want name=value", p)
			}
			properties[name] = value
		}
		kafka["properties"] = properties
	}
	config := map[string]any{
		"http":    map[string]any{"listen": listen},
		"admin":   map[string]any{"listen": admin},
		"auth":    "none",
		"kafka":   kafka,
		"redis":   map[string]any{"addresses": c.Redis},
		"schemas": map[string]any{"dir": schemas},
	}
	if c.ClientRate != "" {
		hash := sha256.Sum256([]byte(benchKey))
		config["auth"] = map[string]any{"clients": []any{map[string]any{
			"name": "bench", "events": []string{"*"}, "rate": c.ClientRate,
			"keys": []any{map[string]any{"hash": fmt.Sprintf("sha256:%x", hash)}},
		}}}
	}
	if c.IdempotencyTTL > 0 {
		config["idempotency"] = map[string]any{"ttl": c.IdempotencyTTL.String()}
	}
	text, err := yaml.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("encode configuration: %w", err)
	}
	return text, nil
}
