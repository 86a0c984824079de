//go:build integration

package idempotency

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"eventgateway/test/services"
)

// ownRedis starts a server with odd settings and returns its address.
func ownRedis(t *testing.T, args ...string) *services.Redis {
	t.Helper()
	server, err := services.StartRedis(t.Context(), services.RedisConfig{Dir: t.TempDir(), Args: args})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Kill()) })
	return server
}

func do(t *testing.T, addr string, args ...any) {
	t.Helper()
	rdb := goredis.NewClient(&goredis.Options{Addr: addr})
	defer func() { require.NoError(t, rdb.Close()) }()
	require.NoError(t, rdb.Do(t.Context(), args...).Err())
}

// startSentinel watches a master under the name "gateways".
func startSentinel(t *testing.T, master string) string {
	t.Helper()
	s, err := services.StartSentinel(t.Context(), services.SentinelConfig{Dir: t.TempDir(), Master: master, Name: "gateways"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Kill()) })
	return s.Addr()
}

// secureRedis is a server that speaks only TLS and wants a client certificate,
// and what a client needs for it.
func secureRedis(t *testing.T) (addr string, client *tls.Config) {
	t.Helper()
	dir := t.TempDir()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	keyDER, err := x509.MarshalECPrivateKey(private)
	require.NoError(t, err)
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})
	require.NoError(t, os.WriteFile(cert, certPEM, 0o600))
	require.NoError(t, os.WriteFile(key, keyPEM, 0o600))
	probe, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr = probe.Addr().String()
	port := probe.Addr().(*net.TCPAddr).Port
	require.NoError(t, probe.Close())
	ownRedis(t, "--tls-port", strconv.Itoa(port), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert)

	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(certPEM))
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	require.NoError(t, err)
	return addr, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, Certificates: []tls.Certificate{pair}}
}
