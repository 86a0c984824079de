package app

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"eventgateway/internal/config"
)

// certificateInterval is how often, at most, a handshake looks whether files changed.
const certificateInterval = time.Second

// publicTLS encrypts the public listener, nil for plain HTTP.
func publicTLS(files config.HTTPTLS, logger *slog.Logger) (*tls.Config, error) {
	if !files.Enabled() {
		return nil, nil
	}
	c := &certificates{files: files, logger: logger}
	first, err := c.load()
	if err != nil {
		return nil, fmt.Errorf("http.tls: %w", err)
	}
	c.present, c.seen = first, c.stamps()
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current(), nil },
	}, nil
}

// certificates are the files' present contents: new ones count from the next
// connection on, and bad ones change nothing.
type certificates struct {
	files  config.HTTPTLS
	logger *slog.Logger

	mu      sync.Mutex
	present *tls.Config
	seen    string    // the files' states when they were read last
	looked  time.Time // at the files
}

func (c *certificates) current() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) < certificateInterval {
		return c.present
	}
	c.looked = time.Now()
	now := c.stamps()
	if now == c.seen {
		return c.present
	}
	c.seen = now
	fresh, err := c.load()
	if err != nil {
		c.logger.Error("certificates refused, the last good ones stay in use", "error", err)
		return c.present
	}
	c.present = fresh
	c.logger.Info("certificates reloaded", "cert", c.files.Cert)
	return c.present
}

func (c *certificates) stamps() string {
	return stamp(c.files.Cert) + stamp(c.files.Key) + stamp(c.files.ClientCA)
}

func (c *certificates) load() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.files.Cert, c.files.Key)
	if err != nil {
		return nil, fmt.Errorf("read cert and key: %w", err)
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, Certificates: []tls.Certificate{pair}}
	if c.files.ClientCA == "" {
		return t, nil
	}
	pem, err := os.ReadFile(c.files.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("read client_ca: %w", err)
	}
	t.ClientCAs = x509.NewCertPool()
	if !t.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("read client_ca: no PEM certificate in " + c.files.ClientCA)
	}
	// A key or a token will do as well; a certificate that is shown must be good.
	t.ClientAuth = tls.VerifyClientCertIfGiven
	return t, nil
}
