// Command services starts and stops the servers that integration tests share.
//
//	services up     start Kafka, Redis and PostgreSQL in the background
//	services down   stop them and remove their data
//	services env    print the variables that tests read
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"eventgateway/test/services"
)

const usage = "usage: services up|down|env"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "services:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("read arguments: want one command; %s", usage)
	}
	switch args[0] {
	case "up":
		return services.Up(ctx, os.Stdout)
	case "down":
		return services.Down(ctx, os.Stdout)
	case "env":
		lines, err := services.EnvLines()
		if err == nil {
			fmt.Print(lines)
		}
		return err
	default:
		return fmt.Errorf("read arguments: no command %q; %s", args[0], usage)
	}
}
