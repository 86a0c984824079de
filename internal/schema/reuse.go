package schema

import (
	"bytes"
	"strings"
)

// reuse finds what a change of files did not affect in the set before: compiling
// hundreds of event types takes seconds, and most reloads change one.
type reuse struct {
	before *Set // nil: there is none
	files  *schemaFiles
}

// source is the parsed file, nil if it has changed.
func (r reuse) source(f file) *source {
	if r.before == nil {
		return nil
	}
	if s := r.before.files.byPath[f.path]; s != nil && !s.ownMeta && bytes.Equal(s.data, f.data) {
		return s
	}
	return nil
}

// has reports whether a file is reused.
func (r reuse) has(s *source) bool { return r.before != nil && r.before.files.byPath[s.path] == s }

// same reports whether a file, and every file that it refers to, is unchanged.
func (r reuse) same(s *source) bool {
	seen := map[*source]bool{s: true}
	for queue := []*source{s}; len(queue) > 0; queue = queue[1:] {
		next := queue[0]
		if !r.has(next) {
			return false
		}
		known := true
		findReference(next.tree, next.base(), "", func(target string) bool {
			u, _, _ := strings.Cut(target, "#")
			to := r.files.find(u)
			switch {
			case to == nil:
				known = false // an embedded "$id", or a metaschema
			case !seen[to]:
				seen[to] = true
				queue = append(queue, to)
			}
			return false // go on to the next one
		})
		if !known {
			return false
		}
	}
	return true
}

// version is the version of before, nil if anything that it consists of has changed.
func (r reuse) version(s *source) *version {
	if s.eventType == "" || !r.same(s) {
		return nil
	}
	t := r.before.types[s.eventType]
	if t == nil {
		return nil
	}
	return t.byName[s.version]
}
