package redis

import (
	"testing"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// While Redis is away the library dials it once a second, on a goroutine that
	// notices only when it wakes that its client was closed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// nowhere is an address that refuses connections.
const nowhere = "127.0.0.1:1"

// A caller that can only be refused is refused at once.
func TestClientDoesNotDialInALoop(t *testing.T) {
	t.Parallel()
	rdb, ok := New(Config{Addresses: []string{nowhere}}).(*goredis.Client)
	require.True(t, ok)
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	require.Equal(t, 1, rdb.Options().DialerRetries)
	require.True(t, rdb.Options().ContextTimeoutEnabled)
}

func TestClientOfOneAddress(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	m.RequireUserAuth("gateway", "secret")
	tests := []struct {
		name, username, password string
		ok                       bool
	}{
		{"right password", "gateway", "secret", true},
		{"wrong password", "gateway", "guess", false},
		{"no password", "", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rdb := New(Config{Addresses: []string{m.Addr()}, Username: tt.username, Password: tt.password})
			t.Cleanup(func() { require.NoError(t, rdb.Close()) })
			require.IsType(t, &goredis.Client{}, rdb)
			err := rdb.Ping(t.Context()).Err()
			require.Equal(t, tt.ok, err == nil, "%v", err)
		})
	}
}

func TestClientOfSeveralAddressesIsACluster(t *testing.T) {
	t.Parallel()
	rdb := New(Config{Addresses: []string{nowhere, "127.0.0.1:2"}})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	require.IsType(t, &goredis.ClusterClient{}, rdb)
}

func TestClientOfOneAddressOfACluster(t *testing.T) {
	t.Parallel()
	rdb := New(Config{Addresses: []string{nowhere}, Cluster: true})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	require.IsType(t, &goredis.ClusterClient{}, rdb)
}
