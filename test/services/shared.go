package services

import (
	"os"
	"strings"
	"testing"
)

const (
	envKafka    = "GATEWAY_TEST_KAFKA"
	envRedis    = "GATEWAY_TEST_REDIS"
	envPostgres = "GATEWAY_TEST_POSTGRES"
)

// Env says where the shared servers are.
type Env struct {
	Kafka    string // host:port
	Redis    string // host:port
	Postgres string // URL of a database, for its superuser
}

// Shared returns the servers that `make services-up` started. Tests share them: use
// topics, keys and databases of your own, and neither pause nor stop the servers. The
// test fails, and is not skipped, if they are missing: a guarantee that was not tested
// must not look tested.
func Shared(t testing.TB) Env {
	t.Helper()
	var missing []string
	get := func(name string) string {
		value := os.Getenv(name)
		if value == "" {
			missing = append(missing, name)
		}
		return value
	}
	env := Env{Kafka: get(envKafka), Redis: get(envRedis), Postgres: get(envPostgres)}
	if len(missing) > 0 {
		t.Fatalf("%s not set: run `make services-up`, then `. .services/env`, then the tests again", strings.Join(missing, ", "))
	}
	return env
}
