package infer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"eventgateway/internal/event"
)

var versionName = regexp.MustCompile(`^v[1-9][0-9]{0,8}$`)

// CheckName says what is wrong with an event type's name. Names that start with
// "_" or "." mean something else in a schemas folder.
func CheckName(eventType string) error {
	switch {
	case !event.ValidTypeName(eventType):
		return fmt.Errorf("%q is not an event type; names are 1 to 200 of A-Z a-z 0-9 . _ -, for example orders.placed", eventType)
	case strings.HasPrefix(eventType, "_"), strings.HasPrefix(eventType, "."), strings.EqualFold(eventType, "README.md"):
		return fmt.Errorf("%q cannot be an event type: in a schemas folder such a name is a shared schema or ignored; take one such as orders.placed", eventType)
	}
	return nil
}

// Save writes the schema into a schemas folder as the version named, or as v1 of
// a type that is not there yet. It returns the file's path and never overwrites.
func (r *Result) Save(dir, version string) (path string, err error) {
	if err := CheckName(r.EventType); err != nil {
		return "", err
	}
	folder := filepath.Join(dir, r.EventType)
	newest, err := newestVersion(folder)
	if err != nil {
		return "", err
	}
	next := "v" + strconv.Itoa(newest+1)
	switch {
	case version == "" && newest > 0:
		return "", fmt.Errorf("%s is there already, up to v%d in %s; draft a further version with --version %s, or look at the draft with --stdout",
			r.EventType, newest, folder, next)
	case version == "":
		version = next
	case !versionName.MatchString(version):
		return "", fmt.Errorf("%q is not a version; versions are v1, v2, …: say --version %s", version, next)
	}
	path = filepath.Join(folder, version+".json")
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // the gateway runs as another user and must read it
		return "", fmt.Errorf("make folder for %s: %w", r.EventType, err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // as above
	if errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("%s is there already and is not overwritten; draft the next version with --version %s, or look at the draft with --stdout", path, next)
	}
	if err != nil {
		return "", fmt.Errorf("write schema: %w", err)
	}
	_, err = f.Write(r.Schema)
	if err := errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(path) // half a schema is of no use
		return "", fmt.Errorf("write schema: %w", err)
	}
	return path, nil
}

// newestVersion is the highest version in an event type's folder, 0 for none.
func newestVersion(folder string) (int, error) {
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("look for versions: %w", err)
	}
	newest := 0
	for _, entry := range entries {
		if name, ok := strings.CutSuffix(entry.Name(), ".json"); ok && versionName.MatchString(name) {
			n, err := strconv.Atoi(name[1:])
			if err == nil {
				newest = max(newest, n)
			}
		}
	}
	return newest, nil
}
