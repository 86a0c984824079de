package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/config"
)

// authority issues certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &authority{cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

func (a *authority) issue(t *testing.T, serial int64, name string) (cert, key []byte) {
	t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, &own.PublicKey, a.key)
	require.NoError(t, err)
	raw, err := x509.MarshalECPrivateKey(own)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw})
}

// tlsFolder has cert.pem, key.pem and ca.pem.
func tlsFolder(t *testing.T, a *authority, serial int64) config.HTTPTLS {
	t.Helper()
	dir := t.TempDir()
	files := config.HTTPTLS{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"), ClientCA: filepath.Join(dir, "ca.pem")}
	cert, key := a.issue(t, serial, "gateway.example.com")
	for name, text := range map[string][]byte{files.Cert: cert, files.Key: key, files.ClientCA: a.pem} {
		require.NoError(t, os.WriteFile(name, text, 0o600))
	}
	return files
}

// shake connects and returns the server's state and the serial number of its
// certificate.
func shake(t *testing.T, server *tls.Config, client *tls.Config) (tls.ConnectionState, *big.Int, error) {
	t.Helper()
	ln := listen(t, "127.0.0.1:0")
	defer func() { _ = ln.Close() }()
	here, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	there, err := ln.Accept()
	require.NoError(t, err)
	defer func() { _, _ = here.Close(), there.Close() }()
	require.NoError(t, here.SetDeadline(time.Now().Add(patience)))
	require.NoError(t, there.SetDeadline(time.Now().Add(patience)))
	served := make(chan error, 1)
	s := tls.Server(there, server)
	go func() { served <- s.Handshake() }()
	c := tls.Client(here, client)
	if err := c.Handshake(); err != nil {
		_ = here.Close()
		<-served
		return tls.ConnectionState{}, nil, err
	}
	if err := <-served; err != nil {
		return tls.ConnectionState{}, nil, err
	}
	return s.ConnectionState(), c.ConnectionState().PeerCertificates[0].SerialNumber, nil
}

func TestPublicTLS(t *testing.T) {
	t.Parallel()
	a, stranger := newAuthority(t), newAuthority(t)
	loaded, err := loadCertificates(tlsFolder(t, a, 7), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	server := loaded.serverConfig()
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	client := func(change func(*tls.Config)) *tls.Config {
		c := &tls.Config{RootCAs: roots, ServerName: "gateway.example.com", MinVersion: tls.VersionTLS12}
		change(c)
		return c
	}
	own := func(from *authority) tls.Certificate {
		cert, key := from.issue(t, 8, "web.example.com")
		pair, err := tls.X509KeyPair(cert, key)
		require.NoError(t, err)
		return pair
	}

	state, serial, err := shake(t, server, client(func(*tls.Config) {}))
	require.NoError(t, err, "a client certificate may be left out")
	require.EqualValues(t, 7, serial.Int64())
	require.Empty(t, state.VerifiedChains)

	state, _, err = shake(t, server, client(func(c *tls.Config) { c.Certificates = []tls.Certificate{own(a)} }))
	require.NoError(t, err)
	require.Equal(t, []string{"web.example.com"}, state.VerifiedChains[0][0].DNSNames)

	_, _, err = shake(t, server, client(func(c *tls.Config) {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair := own(stranger)
			return &pair, nil
		}
	}))
	require.Error(t, err, "a certificate of an unknown authority is refused")

	_, _, err = shake(t, server, client(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }))
	require.Error(t, err, "old versions are refused")
}

func TestCertificatesAreReloaded(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	files := tlsFolder(t, a, 1)
	c, err := loadCertificates(files, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	serial := func() int64 {
		if now := c.stamp(); now != c.seen { // as watch does
			c.seen = now
			c.reload()
		}
		now, err := c.serverConfig().GetConfigForClient(nil)
		require.NoError(t, err)
		leaf, err := x509.ParseCertificate(now.Certificates[0].Certificate[0])
		require.NoError(t, err)
		return leaf.SerialNumber.Int64()
	}
	require.EqualValues(t, 1, serial())
	cert, key := a.issue(t, 22, "gateway.example.com")
	require.NoError(t, os.WriteFile(files.Cert, append(cert, '\n'), 0o600))
	require.EqualValues(t, 1, serial(), "a certificate without its key changes nothing")
	require.NoError(t, os.WriteFile(files.Key, append(key, '\n'), 0o600))
	require.EqualValues(t, 22, serial())
	require.NoError(t, os.Remove(files.ClientCA))
	require.EqualValues(t, 22, serial())
}

func TestPublicTLSFails(t *testing.T) {
	t.Parallel()
	none, err := loadCertificates(config.HTTPTLS{}, nil)
	require.NoError(t, err)
	require.Nil(t, none.serverConfig(), "plain HTTP")
	none.watch(t.Context()) // returns at once
	files := tlsFolder(t, newAuthority(t), 1)
	for name, bad := range map[string]config.HTTPTLS{
		"no such file": {Cert: "no-such-file", Key: files.Key}, "no authority": {Cert: files.Cert, Key: files.Key, ClientCA: files.Key},
	} {
		_, err := loadCertificates(bad, nil)
		require.ErrorContains(t, err, "http.tls", name)
	}
}

// A client's certificate counts no longer when its authority has been replaced, nor when
// it has expired.
func TestClientCertificatesAreLookedAtAgain(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	files := tlsFolder(t, a, 7)
	loaded, err := loadCertificates(files, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	cert, key := a.issue(t, 8, "mobile.example.com")
	pair, err := tls.X509KeyPair(cert, key)
	require.NoError(t, err)
	state, _, err := shake(t, loaded.serverConfig(), &tls.Config{RootCAs: roots, ServerName: "gateway.example.com", MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}})
	require.NoError(t, err)
	require.True(t, loaded.trusts(state.VerifiedChains))
	require.False(t, loaded.trusts(nil))

	expired := *state.VerifiedChains[0][0]
	expired.NotAfter = time.Now().Add(-time.Second)
	require.False(t, loaded.trusts([][]*x509.Certificate{{&expired, a.cert}}))

	other := newAuthority(t)
	require.NoError(t, os.WriteFile(files.ClientCA, append(other.pem, a.pem...), 0o600))
	loaded.reload()
	require.True(t, loaded.trusts(state.VerifiedChains), "another one beside it")
	require.NoError(t, os.WriteFile(files.ClientCA, other.pem, 0o600))
	loaded.reload()
	require.False(t, loaded.trusts(state.VerifiedChains), "replaced")
}
