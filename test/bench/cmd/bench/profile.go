package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"eventgateway/test/bench/internal/load"
	"eventgateway/test/bench/internal/report"
	"eventgateway/test/bench/internal/target"
)

// profile takes a CPU profile under the greatest closed-loop load, outside the measured
// rounds. A gateway that serves no profiles is not an error.
func (s *session) profile(ctx context.Context, spec target.Spec) (err error) {
	server, err := target.Start(ctx, spec, s.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	pprof := "http://" + server.Admin + "/debug/pprof/"
	var status target.StatusError
	switch _, err := target.Get(ctx, pprof); {
	case errors.As(err, &status) && status == http.StatusNotFound:
		fmt.Fprintln(os.Stderr, "no profile: the admin listener does not serve /debug/pprof/")
		return nil
	case err != nil:
		return fmt.Errorf("look for profiles: %w", err)
	}
	type answer struct {
		text []byte
		err  error
	}
	taken := make(chan answer, 1)
	seconds := max(1, int(s.options.duration/time.Second))
	go func() {
		text, err := target.Get(ctx, fmt.Sprintf("%sprofile?seconds=%d", pprof, seconds))
		taken <- answer{text, err}
	}()
	connections := 1
	for _, n := range s.options.connections {
		connections = max(connections, n)
	}
	_, err = s.measure(ctx, server, load.Options{Connections: connections, Duration: s.options.duration})
	got := <-taken
	if err = errors.Join(err, got.err); err != nil {
		return fmt.Errorf("take profile: %w", err)
	}
	path := filepath.Join(s.options.resultsDir, spec.Name+"-"+time.Now().UTC().Format("20060102T150405")+".cpu.prof")
	if err := report.WriteFile(path, got.text); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "written:", path)
	return nil
}
