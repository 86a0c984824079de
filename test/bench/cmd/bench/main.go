package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

const usage = `usage: bench run|compare|calibrate|table|soak [flags]   (-h after a command lists its flags)`

// errMissed means that the measurement worked and a target or check failed.
var errMissed = errors.New("a target or a check failed")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := dispatch(ctx, os.Args[1:])
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func dispatch(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	name, args := args[0], args[1:]
	switch name {
	case "run":
		return runCommand(ctx, args)
	case "compare":
		return compareCommand(ctx, args)
	case "calibrate":
		return calibrateCommand(ctx, args)
	case "table":
		return tableCommand(ctx, args)
	case "soak":
		return soakCommand(ctx, args)
	case "load":
		return loadCommand(ctx, args)
	}
	return fmt.Errorf("unknown command %q\n%s", name, usage)
}
