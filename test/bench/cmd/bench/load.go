package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"

	"eventgateway/test/bench/internal/load"
)

// loadCommand is the generator: options as JSON on standard input, the result as
// JSON on standard output.
func loadCommand(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("bench load", flag.ContinueOnError)
	if err := f.Parse(args); err != nil {
		return fmt.Errorf("parse flags: %w", err)
	}
	var o load.Options
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		return fmt.Errorf("read load options: %w", err)
	}
	// One thread serves all connections: waking a second one would double the CPU
	// time, on the cores that the measured server uses.
	runtime.GOMAXPROCS(1)
	result, err := load.Run(ctx, o)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		return fmt.Errorf("write load result: %w", err)
	}
	return nil
}

// generate runs the generator as a process of its own.
func generate(ctx context.Context, o load.Options) (load.Result, error) {
	var result load.Result
	o.Run = rand.Uint32()
	in, err := json.Marshal(o)
	if err != nil {
		return result, fmt.Errorf("encode load options: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return result, fmt.Errorf("locate own binary: %w", err)
	}
	command := exec.CommandContext(ctx, self, "load")
	command.Stdin, command.Stderr = bytes.NewReader(in), os.Stderr
	out, err := command.Output()
	if err != nil {
		return result, fmt.Errorf("run load generator: %w", err)
	}
	if err := json.Unmarshal(out, &result); err != nil {
		return result, fmt.Errorf("read load result: %w", err)
	}
	return result, nil
}
