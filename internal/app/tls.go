package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"eventgateway/internal/config"
	"eventgateway/internal/filewatch"
)

// certificateInterval is between two looks at the files of the public listener.
const certificateInterval = time.Second

// redisTLS encrypts the connections to Redis; nil for plain TCP.
func redisTLS(files config.RedisTLS) (*tls.Config, error) {
	if !files.Enabled {
		return nil, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: files.ServerName}
	var err error
	if t.RootCAs, err = authorities("redis.tls.ca", files.CA); err != nil {
		return nil, err
	}
	if t.Certificates, err = keyPair("redis.tls.cert", files.Cert, files.Key); err != nil {
		return nil, err
	}
	return t, nil
}

// authorities reads the PEM file of certificates to trust; "" is nil. what names the
// file in errors.
func authorities(what, file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("read " + what + ": no PEM certificate in " + file)
	}
	return pool, nil
}

// keyPair reads the PEM files of a certificate and its key; "" is none. what names the
// files in errors.
func keyPair(what, cert, key string) ([]tls.Certificate, error) {
	if cert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	return []tls.Certificate{pair}, nil
}

// certificates are the current contents of the public listener's files. New contents
// are used within about a second of a change; invalid contents change nothing. A nil
// *certificates means plain HTTP.
type certificates struct {
	files   config.HTTPTLS
	logger  *slog.Logger
	seen    filewatch.Stamp // before the files were read
	current atomic.Pointer[tls.Config]
	clients atomic.Pointer[map[string]bool] // the authorities of clients, by their DER encoding
}

// loadCertificates reads the files; it returns nil for plain HTTP.
func loadCertificates(files config.HTTPTLS, logger *slog.Logger) (*certificates, error) {
	if !files.Enabled() {
		return nil, nil
	}
	c := &certificates{files: files, logger: logger}
	c.seen = c.stamp()
	first, err := c.load()
	if err != nil {
		return nil, fmt.Errorf("http.tls: %w", err)
	}
	c.current.Store(first)
	return c, nil
}

// trusts reports whether one of the chains that were verified at a handshake is still good:
// none of its certificates has expired, and it ends at an authority that is in the file
// now. Signatures cannot change, so they are not verified again.
func (c *certificates) trusts(chains [][]*x509.Certificate) bool {
	known, now := c.clients.Load(), time.Now()
	return known != nil && slices.ContainsFunc(chains, func(chain []*x509.Certificate) bool {
		expired := slices.ContainsFunc(chain, func(cert *x509.Certificate) bool { return now.Before(cert.NotBefore) || now.After(cert.NotAfter) })
		return !expired && len(chain) > 0 && (*known)[string(chain[len(chain)-1].Raw)]
	})
}

// encodings returns the DER encodings of the certificates in a PEM file.
func encodings(file string) (map[string]bool, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("read client_ca: %w", err)
	}
	known := map[string]bool{}
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return known, nil
		}
		known[string(block.Bytes)] = true
	}
}

// serverConfig encrypts the public listener; nil for plain HTTP.
func (c *certificates) serverConfig() *tls.Config {
	if c == nil {
		return nil
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current.Load(), nil },
	}
}

// watch reloads the files when they change, until ctx ends.
func (c *certificates) watch(ctx context.Context) {
	if c != nil {
		filewatch.Watch(ctx, certificateInterval, c.seen, c.stamp, c.reload)
	}
}

func (c *certificates) stamp() filewatch.Stamp {
	return filewatch.Files(c.files.Cert, c.files.Key, c.files.ClientCA)
}

func (c *certificates) reload() {
	fresh, err := c.load()
	if err != nil {
		c.logger.Error("certificates refused, the last good ones stay in use", "error", err)
		return
	}
	c.current.Store(fresh)
	c.logger.Info("certificates reloaded", "cert", c.files.Cert)
}

func (c *certificates) load() (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	var err error
	if t.Certificates, err = keyPair("cert and key", c.files.Cert, c.files.Key); err != nil {
		return nil, err
	}
	if t.ClientCAs, err = authorities("client_ca", c.files.ClientCA); err != nil {
		return nil, err
	}
	if t.ClientCAs != nil {
		known, err := encodings(c.files.ClientCA)
		if err != nil {
			return nil, err
		}
		c.clients.Store(&known)
		// A key or a token is enough; a certificate that is shown must be valid.
		t.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return t, nil
}
