// Command gateway publishes events posted over HTTP to Kafka, once per
// idempotency key.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"eventgateway/internal/cli"
)

// version is set at build time: -ldflags "-X main.version=…".
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(cli.Run(ctx, version, os.Args[1:], os.Stdout, os.Stderr))
}
