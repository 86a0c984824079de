package infer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"eventgateway/internal/event"
	"eventgateway/internal/schema"
)

// Verify loads the schema as a gateway does and checks every sample as it checks
// events. The error names the sample.
func (r *Result) Verify(samples []Sample) error {
	// Without examples first: a refused sample would otherwise be reported as an
	// example, without the file that it came from.
	set, err := r.load(r.bare)
	if err != nil {
		return err
	}
	for _, s := range samples {
		_, err := set.Check(r.EventType, "", compact(s.value))
		var refused *event.Error
		if errors.As(err, &refused) {
			return fmt.Errorf("%s: the gateway would refuse this sample (%s): %s", s.Source, refused.Kind, refused.Detail)
		} else if err != nil {
			return fmt.Errorf("%s: %w", s.Source, err)
		}
	}
	_, err = r.load(r.Schema)
	return err
}

// load loads a schema as the only one of a folder.
func (r *Result) load(schemaFile []byte) (set *schema.Set, err error) {
	dir, err := os.MkdirTemp("", "gateway-infer-")
	if err != nil {
		return nil, fmt.Errorf("make folder to try the schema in: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	folder := filepath.Join(dir, r.EventType)
	if err := os.Mkdir(folder, 0o700); err != nil {
		return nil, fmt.Errorf("try the schema: %w", err)
	}
	if err := os.WriteFile(filepath.Join(folder, "v1.json"), schemaFile, 0o600); err != nil {
		return nil, fmt.Errorf("try the schema: %w", err)
	}
	set, err = schema.Load(dir)
	var failed *schema.LoadError
	if errors.As(err, &failed) {
		p := failed.Problems[0]
		return nil, fmt.Errorf("the gateway would refuse the schema at %s: %s", p.Pointer, p.What)
	}
	return set, err
}
