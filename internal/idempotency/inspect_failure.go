package idempotency

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"eventgateway/internal/preflight"
	"eventgateway/internal/redis"
)

// failureOf sorts an error of Redis, or of the connection to it. Errors of go-redis
// contain addresses and user names, but no passwords.
func failureOf(err error) *preflight.Failure {
	return &preflight.Failure{Kind: kindOf(err), Text: err.Error()}
}

func kindOf(err error) preflight.FailureKind {
	switch {
	case goredis.IsAuthError(err) && goredis.HasErrorPrefix(err, "NOAUTH"):
		return preflight.FailedNoPassword
	case goredis.IsAuthError(err):
		return preflight.FailedPassword
	case goredis.IsPermissionError(err):
		return preflight.FailedPermission
	case goredis.IsLoadingError(err):
		return preflight.FailedLoading
	case goredis.IsMaxClientsError(err):
		return preflight.FailedFull
	case goredis.HasErrorPrefix(err, "MISCONF"):
		return preflight.FailedSaving
	}
	if kind := tlsKind(err); kind != "" {
		return kind
	}
	var unknownName *net.DNSError
	var failed net.Error
	switch {
	case errors.As(err, &unknownName):
		return preflight.FailedName
	case errors.Is(err, syscall.ECONNREFUSED):
		return preflight.FailedRefused
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return preflight.FailedClosed
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &failed) && failed.Timeout():
		return preflight.FailedTimeout
	}
	return preflight.FailedOther
}

func tlsKind(err error) preflight.FailureKind {
	var untrusted *tls.CertificateVerificationError
	var plain tls.RecordHeaderError
	var op *net.OpError
	switch {
	case errors.As(err, &untrusted):
		return preflight.FailedCertificate
	case errors.As(err, &plain):
		return preflight.FailedNoTLS
	case errors.As(err, &op) && op.Op == "remote error": // an alert: crypto/tls has no type for it
		return preflight.FailedClientCert
	}
	return ""
}

// unanswered says why a server did not answer a PING. Where go-redis' error leaves that
// open, it makes one more connection to find out.
func (i inspector) unanswered(ctx context.Context, addr string, err error) *preflight.Failure {
	f := failureOf(err)
	switch {
	case i.cfg.TLS != nil && f.Kind == preflight.FailedTimeout && speaksPlain(ctx, addr):
		f.Kind = preflight.FailedNoTLS
	case i.cfg.TLS == nil && f.Kind == preflight.FailedClosed:
		if said := farewell(ctx, addr); said != "" {
			f.Text = said
			if strings.HasPrefix(said, "ERR max number of clients") {
				f.Kind = preflight.FailedFull
			}
		}
	}
	return f
}

// farewell is the error that a server sends before it closes the connection without a
// request; "" if it sends nothing. A Redis that accepts no more connections does so, and
// one in protected mode. go-redis takes the error for an answer to HELLO, and drops it.
func farewell(ctx context.Context, addr string) string {
	dialer := net.Dialer{Timeout: redis.DialTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return ""
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(redis.IOTimeout))
	line, err := bufio.NewReader(conn).ReadString('\n')
	said, isError := strings.CutPrefix(strings.TrimSpace(line), "-")
	if err != nil || !isError {
		return ""
	}
	return said
}

// speaksPlain sends a PING without TLS and without a password. A Redis without TLS does
// not answer a TLS handshake: it takes it for a command that is not complete yet.
func speaksPlain(ctx context.Context, addr string) bool {
	dialer := net.Dialer{Timeout: redis.DialTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(redis.IOTimeout))
	if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
		return false
	}
	answer := make([]byte, 1)
	_, err = io.ReadFull(conn, answer)
	return err == nil && (answer[0] == '+' || answer[0] == '-') // +PONG or an error
}
