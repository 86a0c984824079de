package mutations

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"eventgateway/test/torture"
)

// Verdict is the result of one mutation.
type Verdict struct {
	Mutation   Mutation
	Client     string
	Violations int // of the rule that it breaks
	Events     int
	Faults     int
	Took       time.Duration
	Err        error // it could not be applied, built or run
}

// Found tells whether the suite reported it.
func (v Verdict) Found() bool { return v.Err == nil && v.Violations > 0 }

// ErrPending says that a mutation has no edits yet.
var ErrPending = errors.New("the mutation has no edits yet")

// Run mutates a copy of the sources in root, builds the gateway from it and tortures
// that, with client as its kafka.client unless that is empty, until the first violation
// that shows in the log, for at most limit.
func Run(ctx context.Context, root string, m Mutation, client string, seed uint64, limit time.Duration, out io.Writer) Verdict {
	v := Verdict{Mutation: m, Client: cmp.Or(client, m.Client)}
	dir, err := os.MkdirTemp("", "mutation-")
	if err != nil {
		v.Err = fmt.Errorf("create folder: %w", err)
		return v
	}
	defer func() { v.Err = errors.Join(v.Err, os.RemoveAll(dir)) }()
	binary := filepath.Join(dir, "gateway")
	if v.Err = Build(ctx, root, filepath.Join(dir, "sources"), binary, m); v.Err != nil {
		return v
	}
	o := torture.Defaults()
	o.Batches, o.Webhooks = 0, 0 // most mutations show first with single events
	o.Client = v.Client
	m.Options(&o)
	o.Seed, o.Binary, o.Duration, o.StopEarly, o.Out = seed, binary, limit, true, out
	o.Results = filepath.Join(dir, "results") // it is expected to fail: the report is not kept
	begun := time.Now()
	result, err := torture.Run(ctx, o)
	v.Took = time.Since(begun)
	if err != nil {
		v.Err = err
		return v
	}
	v.Violations, v.Events = result.Broken(m.breaks()), result.Accepted
	for _, n := range result.Faults {
		v.Faults += n
	}
	return v
}

// Build copies the sources, applies the mutation and builds the gateway.
func Build(ctx context.Context, root, dir, binary string, m Mutation) error {
	if len(m.Edits) == 0 {
		return fmt.Errorf("%s: %w", m.Name, ErrPending)
	}
	if err := copySources(root, dir); err != nil {
		return err
	}
	if err := m.Apply(dir); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", "torture", "-o", binary, "./cmd/gateway")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", m.Name, err, out)
	}
	return nil
}

// Apply edits the sources in dir.
func (m Mutation) Apply(dir string) error {
	for _, e := range m.Edits {
		path := filepath.Join(dir, e.File)
		raw, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("mutate %s: %w", m.Name, err)
		}
		if n := strings.Count(string(raw), e.Old); n != 1 {
			return fmt.Errorf("mutate %s: %s has the snippet %d times, not once:\n%s", m.Name, e.File, n, e.Old)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(raw), e.Old, e.New, 1)), 0o600); err != nil {
			return fmt.Errorf("mutate %s: %w", m.Name, err)
		}
	}
	return nil
}

// copySources copies what a build of the gateway needs.
func copySources(root, dir string) error {
	keep := []string{"cmd", "examples", "internal", "schemas"}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		top, _, nested := strings.Cut(rel, string(filepath.Separator))
		switch {
		case d.IsDir() && rel != "." && !slices.Contains(keep, top):
			return filepath.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, rel), 0o755)
		case !d.Type().IsRegular() || !nested && !slices.Contains([]string{".go", ".mod", ".sum", ".yaml"}, filepath.Ext(rel)):
			return nil
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, rel), raw, 0o600)
	})
	if err != nil {
		return fmt.Errorf("copy sources: %w", err)
	}
	return nil
}
