package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/config"
	"eventgateway/internal/kafka"
	"eventgateway/internal/publish"
)

// certificate writes a self-signed certificate and its key.
func certificate(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{name}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	cert = write(t, dir, name+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	key = write(t, dir, name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
	return cert, key
}

func write(t *testing.T, dir, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

func TestRedisSettings(t *testing.T) {
	t.Parallel()
	got, err := redisConfig(config.Redis{
		Addresses: []string{"a:1", "b:2"}, Master: "m", Username: "u", Password: "secret",
		TLS: config.RedisTLS{CA: "not read unless enabled"},
	})
	require.NoError(t, err)
	require.Equal(t, []string{"a:1", "b:2"}, got.Addresses)
	require.Equal(t, "m", got.Master)
	require.Equal(t, "u", got.Username)
	require.Equal(t, "secret", got.Password, "the password itself, not how it is shown")
	require.Nil(t, got.TLS)
}

func TestRedisTLSSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := certificate(t, dir, "gateway")
	_, otherKey := certificate(t, dir, "other")
	missing, garbage := filepath.Join(dir, "missing"), write(t, dir, "garbage", []byte("no PEM"))
	for name, c := range map[string]struct {
		tls     config.RedisTLS
		failure string // "": good
		file    string
	}{
		"the system's authorities":       {config.RedisTLS{}, "", ""},
		"own authority":                  {config.RedisTLS{CA: cert}, "", ""},
		"client certificate":             {config.RedisTLS{CA: cert, Cert: cert, Key: key, ServerName: "gateway"}, "", ""},
		"missing authority":              {config.RedisTLS{CA: missing}, "redis.tls.ca", missing},
		"authority that is none":         {config.RedisTLS{CA: garbage}, "redis.tls.ca", garbage},
		"key for an authority":           {config.RedisTLS{CA: key}, "redis.tls.ca", key},
		"missing certificate":            {config.RedisTLS{Cert: missing, Key: key}, "redis.tls.cert", missing},
		"missing key":                    {config.RedisTLS{Cert: cert, Key: missing}, "redis.tls.cert", missing},
		"certificate that is none":       {config.RedisTLS{Cert: garbage, Key: key}, "redis.tls.cert", ""},
		"key of another certificate":     {config.RedisTLS{Cert: cert, Key: otherKey}, "redis.tls.cert", ""},
		"folder instead of an authority": {config.RedisTLS{CA: dir}, "redis.tls.ca", dir},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.tls.Enabled = true
			got, err := redisConfig(config.Redis{Addresses: []string{"a:1"}, TLS: c.tls})
			if c.failure != "" {
				require.ErrorContains(t, err, c.failure)
				require.ErrorContains(t, err, c.file)
				require.Nil(t, got.TLS, "half a configuration must not be used")
				return
			}
			require.NoError(t, err)
			require.NotNil(t, got.TLS)
			require.Equal(t, uint16(tls.VersionTLS12), got.TLS.MinVersion)
			require.False(t, got.TLS.InsecureSkipVerify)
			require.Equal(t, c.tls.ServerName, got.TLS.ServerName)
			require.Equal(t, c.tls.CA != "", got.TLS.RootCAs != nil)
			require.Equal(t, c.tls.Cert != "", len(got.TLS.Certificates) == 1)
		})
	}
}

func TestProducerSettings(t *testing.T) {
	t.Parallel()
	cfg := config.Defaults()
	cfg.Kafka.Brokers = []string{"a:1"}
	cfg.Kafka.Properties = config.Properties{"linger.ms": "5"}
	cfg.Kafka.CreateTopics.Enabled = true
	require.Equal(t, publish.Config{
		Brokers: []string{"a:1"}, Properties: map[string]string{"linger.ms": "5"}, Client: kafka.ClientAuto,
		DeliveryTimeout: 20 * time.Second, InFlightLimit: 256 << 20, MaxEventBytes: 900 << 10,
		CreateTopics: publish.TopicCreation{Enabled: true, Partitions: 12, Replication: 3, Retention: 25 * time.Hour, MaxRecord: 904 << 10},
		Lease:        30 * time.Second, TransactionalIDPrefix: "gateway", TransactionTimeout: 20 * time.Second,
		RememberTopics: true, Registered: true, Window: 24 * time.Hour,
	}, producerConfig(cfg))
	cfg.SoleWriter = true
	require.Zero(t, producerConfig(cfg).Lease, "no other gateway to wait for")
	cfg.Kafka.Guarantee = config.GuaranteeTransactional
	require.True(t, producerConfig(cfg).Transactional)
	require.True(t, storeConfig(cfg, nil, nil).Transactional)
}
