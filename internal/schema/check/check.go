package check

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"eventgateway/internal/schema"
	"eventgateway/internal/schema/compat"
)

// Compatibility says which changes of a published version are errors.
type Compatibility string

// Compatibilities.
const (
	None     Compatibility = "none"
	Backward Compatibility = "backward" // existing publishers are still accepted
	Forward  Compatibility = "forward"  // existing consumers can read new events
	Full     Compatibility = "full"     // both
)

// Config says what to check.
type Config struct {
	Dir           string
	Against       string        // a folder or a git ref to compare with; "" for none
	Compatibility Compatibility // for Against
	Strict        bool          // CannotTell is an error
}

// Run checks. The result has the problems of a folder that does not load, and
// breaking changes; the error is for a check that could not be made.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	r := &Result{Problems: []Problem{}, Warnings: []Problem{}, Changes: []Change{}, Summary: Summary{Dir: cfg.Dir}}
	if cfg.Against != "" {
		r.Summary.Against, r.Summary.Compatibility = cfg.Against, cfg.Compatibility
	}
	now, err := schema.Load(cfg.Dir)
	var failed *schema.LoadError
	if errors.As(err, &failed) {
		r.Problems = append(r.Problems, cfg.problems(failed.Problems)...)
		r.count()
		return r, nil
	} else if err != nil {
		return nil, err
	}
	r.Warnings = append(r.Warnings, cfg.problems(now.Warnings())...)
	for _, t := range now.Types() {
		r.Summary.EventTypes++
		r.Summary.Versions += len(t.Versions)
	}
	var changes []schema.Change
	if cfg.Against != "" {
		if changes, err = against(ctx, cfg, now); err != nil {
			return nil, err
		}
	}
	for _, c := range append(changes, now.VersionChanges()...) {
		r.Changes = append(r.Changes, Change{
			Severity: cfg.severity(c), EventType: c.EventType, Version: c.Version, Since: c.Since,
			Kind: c.Kind, Verdict: c.Verdict, Direction: c.Direction,
			File: display(cfg.Dir, c.File), Line: c.Line, Pointer: c.Pointer, Keyword: c.Keyword,
			Message: c.Message, Witness: c.Witness,
		})
	}
	r.count()
	return r, nil
}

func (cfg Config) problems(found []schema.Problem) []Problem {
	var all []Problem
	for _, p := range found {
		all = append(all, Problem{File: display(cfg.Dir, p.File), Line: p.Line, Pointer: p.Pointer, Message: p.What})
	}
	return all
}

// against loads the older state and compares.
func against(ctx context.Context, cfg Config, now *schema.Set) ([]schema.Change, error) {
	dir := cfg.Against
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		tmp, err := os.MkdirTemp("", "gateway-schemas-")
		if err != nil {
			return nil, fmt.Errorf("make folder for the schemas of %s: %w", cfg.Against, err)
		}
		defer func() { _ = os.RemoveAll(tmp) }()
		found, err := checkOut(ctx, cfg.Dir, cfg.Against, tmp)
		if err != nil {
			return nil, err
		}
		if !found {
			return []schema.Change{{
				Kind: schema.TypeAdded, Verdict: compat.CannotTell, Direction: schema.Both,
				Message: fmt.Sprintf("%s has no such folder, so nothing was compared: right if it is new; "+
					"if it was renamed, unpack the old one and name it with --against", cfg.Against),
			}}, nil
		}
		dir = tmp
	}
	before, err := schema.Load(dir)
	if err != nil {
		var failed *schema.LoadError
		if errors.As(err, &failed) {
			failed.Dir = cfg.Against
		}
		return nil, fmt.Errorf("nothing can be compared with %s: %w\nname a state that loads with --against", cfg.Against, err)
	}
	return schema.Changes(before, now), nil
}

// severity applies the policy to a change.
func (cfg Config) severity(c schema.Change) Severity {
	demanded := c.Direction == schema.Both || cfg.Compatibility == Full || string(c.Direction) == string(cfg.Compatibility)
	switch {
	case c.Since != "": // a new version may be breaking
		return Note
	case c.Verdict == compat.Compatible || cfg.Compatibility == None || !demanded:
		return Note
	case c.Verdict == compat.Breaking || cfg.Strict:
		return Error
	}
	return Warning
}

// display is a path that editors and code hosts can open: relative to the working
// directory if it is inside.
func display(dir, file string) string {
	path := filepath.Join(dir, filepath.FromSlash(file))
	if cwd, err := os.Getwd(); err == nil && filepath.IsAbs(path) {
		if rel, err := filepath.Rel(cwd, path); err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
			path = rel
		}
	}
	return filepath.ToSlash(path)
}
