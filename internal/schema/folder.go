package schema

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"

	"eventgateway/internal/event"
	"eventgateway/internal/filewatch"
)

// Limits of the folder: far above any real one, so that a wrong path (a home
// folder, for example) is refused and not read.
const (
	maxFileBytes   = 4 << 20
	maxFiles       = 10_000
	maxSharedDepth = 8
)

var versionFile = regexp.MustCompile(`^(v[1-9][0-9]{0,8})\.json$`)

// file is one schema file as found on disk.
type file struct {
	path      string // inside the folder, with slashes
	eventType string // "" for a shared schema
	version   string
	info      fs.FileInfo
	data      []byte
}

// folder is the schemas folder at one moment: its files and what does not belong.
type folder struct {
	dir      string
	files    []file // ordered by path
	problems []Problem
	unread   []Problem // files that could not be read
}

// digest identifies a state of the folder.
type digest [sha256.Size]byte

// scanner walks a folder. All access goes through an os.Root, which follows only
// symbolic links that stay inside.
type scanner struct {
	root   *os.Root
	fsys   fs.FS
	result folder
}

// scan lists the folder without reading its files.
func scan(dir string) folder {
	s, err := openScanner(dir)
	if err != nil {
		return folder{dir: dir, problems: []Problem{folderProblem(err)}}
	}
	defer s.close()
	s.top()
	return s.result
}

// read lists the folder and reads its files.
func read(dir string) folder {
	s, err := openScanner(dir)
	if err != nil {
		return folder{dir: dir, problems: []Problem{folderProblem(err)}}
	}
	defer s.close()
	s.top()
	for i := range s.result.files {
		f := &s.result.files[i]
		if f.data, err = s.readFile(f.path); err != nil {
			s.result.unread = append(s.result.unread, Problem{File: f.path, What: fmt.Sprintf("cannot be read: %v", reason(err))})
		}
	}
	return s.result
}

func openScanner(dir string) (*scanner, error) {
	if dir == "" {
		return nil, errors.New("no schemas folder is configured; name one that holds <event type>/v1.json")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &scanner{root: root, fsys: root.FS(), result: folder{dir: dir}}, nil
}

func (s *scanner) close() { _ = s.root.Close() } // opened for reading: nothing to lose

func folderProblem(err error) Problem {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Problem{What: "the folder does not exist; create it with <event type>/v1.json inside, or name another one"}
	case errors.Is(err, fs.ErrPermission):
		return Problem{What: "the folder may not be read; give the gateway's user read and search permission"}
	}
	return Problem{What: fmt.Sprintf("the folder cannot be opened: %v", reason(err))}
}

// reason drops the operation and the path that os puts before its errors.
func reason(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

func (s *scanner) problem(file, format string, args ...any) {
	s.result.problems = append(s.result.problems, Problem{File: file, What: fmt.Sprintf(format, args...)})
}

// list returns the entries of a folder, with links followed, without ignored ones.
func (s *scanner) list(dir string) []fs.FileInfo {
	entries, err := fs.ReadDir(s.fsys, dir)
	if err != nil {
		s.problem(dir, "cannot be listed: %v", reason(err))
		return nil
	}
	var infos []fs.FileInfo
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, ".") || strings.EqualFold(name, "README.md") {
			continue
		}
		info, err := fs.Stat(s.fsys, path.Join(dir, name))
		if err != nil {
			hint := ""
			if entry.Type()&fs.ModeSymlink != 0 {
				hint = "; a symbolic link must be relative and stay inside the schemas folder"
			}
			s.problem(path.Join(dir, name), "cannot be opened: %v%s", reason(err), hint)
			continue
		}
		infos = append(infos, named{info, name})
	}
	return infos
}

// named gives a file's info the name of the link that led to it.
type named struct {
	fs.FileInfo
	name string
}

func (n named) Name() string { return n.name }

func (s *scanner) top() {
	for _, info := range s.list(".") {
		name := info.Name()
		switch {
		case !info.IsDir():
			s.problem(name, "does not belong here; the schemas folder holds one folder per event type (%s), "+
				"shared schemas in folders that start with \"_\", and a README.md", suggestFolder(name))
		case strings.HasPrefix(name, "_"):
			s.shared(name, 1)
		case !event.ValidTypeName(name):
			s.problem(name, "is not an event type; names are 1 to 200 of A-Z a-z 0-9 . _ - (start it with \"_\" to share schemas, with \".\" to have it ignored)")
		default:
			s.eventType(name)
		}
	}
	if len(s.result.files) == 0 && len(s.result.problems) == 0 {
		s.problem("", "the folder holds no event type; add <event type>/v1.json, for example orders.placed/v1.json")
	}
}

func suggestFolder(name string) string {
	if stem, ok := strings.CutSuffix(name, ".json"); ok && event.ValidTypeName(stem) {
		return stem + "/v1.json"
	}
	return "<event type>/v1.json"
}

func (s *scanner) eventType(name string) {
	versions := 0
	for _, info := range s.list(name) {
		at := path.Join(name, info.Name())
		match := versionFile.FindStringSubmatch(info.Name())
		switch {
		case match == nil || !info.Mode().IsRegular():
			s.problem(at, "does not belong here; an event type's folder holds the files v1.json, v2.json, … and a README.md")
		default:
			versions++
			s.add(file{path: at, eventType: name, version: match[1], info: info})
		}
	}
	if versions == 0 {
		s.problem(name, "has no version; add %s/v1.json, or remove the folder", name)
	}
}

func (s *scanner) shared(dir string, depth int) {
	for _, info := range s.list(dir) {
		at := path.Join(dir, info.Name())
		switch {
		case info.IsDir() && depth < maxSharedDepth:
			s.shared(at, depth+1)
		case info.IsDir():
			s.problem(at, "is nested too deep; shared schemas may be %d folders deep", maxSharedDepth)
		case !info.Mode().IsRegular() || path.Ext(at) != ".json":
			s.problem(at, "does not belong here; a folder that starts with \"_\" holds shared schemas, files named *.json, and a README.md")
		default:
			s.add(file{path: at, info: info})
		}
	}
}

func (s *scanner) add(f file) {
	switch {
	case len(s.result.files) == maxFiles:
		return
	case len(s.result.files) == maxFiles-1:
		s.problem("", "the folder holds %d schema files or more; is it the right one?", maxFiles)
	case f.info.Size() > maxFileBytes:
		s.problem(f.path, "is larger than %d MiB", maxFileBytes>>20)
	}
	s.result.files = append(s.result.files, f)
}

func (s *scanner) readFile(name string) ([]byte, error) {
	f, err := s.fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // opened for reading: nothing to lose
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err == nil && len(data) > maxFileBytes {
		err = fmt.Errorf("larger than %d MiB", maxFileBytes>>20)
	}
	return data, err
}

// fingerprint identifies the folder's state by names, sizes, times and inodes.
func (f folder) fingerprint() digest {
	h := sha256.New()
	for _, file := range f.files {
		fmt.Fprintf(h, "%q %s\n", file.path, filewatch.Of(file.info))
	}
	fmt.Fprintf(h, "%q", f.problems)
	return digest(h.Sum(nil))
}

// content identifies the folder's state by what is in its files.
func (f folder) content() digest {
	h := sha256.New()
	for _, file := range f.files {
		fmt.Fprintf(h, "%q %d\n", file.path, len(file.data))
		h.Write(file.data)
	}
	fmt.Fprintf(h, "%q %q", f.problems, f.unread)
	return digest(h.Sum(nil))
}
