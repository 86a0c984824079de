package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// eventTypes names that many event types; each is its topic's name as well. All names have
// the same length, and those of fewer types are among those of more.
func eventTypes(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("bench.type-%03d", i)
	}
	return names
}

// writeEventTypes writes copies of a schema to dir, one for each name, with the name as
// its topic.
func writeEventTypes(dir string, schema []byte, names []string) error {
	var doc map[string]any
	if err := json.Unmarshal(schema, &doc); err != nil {
		return fmt.Errorf("parse schema: %w", err)
	}
	event, ok := doc["x-event"].(map[string]any)
	if !ok {
		return fmt.Errorf("parse schema: x-event is missing")
	}
	for _, name := range names {
		event["topic"] = name
		text, err := json.Marshal(doc)
		if err != nil {
			return fmt.Errorf("encode schema of %s: %w", name, err)
		}
		folder := filepath.Join(dir, name)
		if err := os.MkdirAll(folder, 0o750); err != nil {
			return fmt.Errorf("create event type %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(folder, "v1.json"), text, 0o600); err != nil {
			return fmt.Errorf("write schema of %s: %w", name, err)
		}
	}
	return nil
}
