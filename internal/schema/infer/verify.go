package infer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"eventgateway/internal/event"
	"eventgateway/internal/schema"
)

// Verify loads the draft as a gateway does and sends every sample through the
// door that events come through. The error names the sample.
func (d *Draft) Verify(samples []Sample) error {
	// Without examples first: a sample that is refused would otherwise be
	// reported as an example, with no word on the file it came from.
	set, err := d.load(d.bare)
	if err != nil {
		return err
	}
	for _, s := range samples {
		_, err := set.Check(d.EventType, "", compact(s.value))
		var refused *event.Error
		if errors.As(err, &refused) {
			return fmt.Errorf("%s: the gateway would refuse this sample (%s): %s", s.Source, refused.Kind, refused.Detail)
		} else if err != nil {
			return fmt.Errorf("%s: %w", s.Source, err)
		}
	}
	_, err = d.load(d.Schema)
	return err
}

// load loads a schema as the only one of a folder.
func (d *Draft) load(schemaFile []byte) (set *schema.Set, err error) {
	dir, err := os.MkdirTemp("", "gateway-draft-")
	if err != nil {
		return nil, fmt.Errorf("make folder to try the draft in: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	folder := filepath.Join(dir, d.EventType)
	if err := os.Mkdir(folder, 0o700); err != nil {
		return nil, fmt.Errorf("try the draft: %w", err)
	}
	if err := os.WriteFile(filepath.Join(folder, "v1.json"), schemaFile, 0o600); err != nil {
		return nil, fmt.Errorf("try the draft: %w", err)
	}
	set, err = schema.Load(dir)
	var failed *schema.LoadError
	if errors.As(err, &failed) {
		p := failed.Problems[0]
		return nil, fmt.Errorf("the gateway would refuse the draft at %s: %s", p.Pointer, p.What)
	}
	return set, err
}
