package api

import (
	"container/list"
	"sync"
)

// maxMadeBytes bounds what is kept of documents and pages. With hundreds of event types
// one of them has megabytes.
const maxMadeBytes = 32 << 20

// made keeps files that take CPU time to make, up to a number of bytes; those that nobody
// asked for longest go first. One is made at a time: to make them never takes more than
// one core.
type made struct {
	limit  int // bytes
	making sync.Mutex

	mu     sync.Mutex
	size   int // bytes
	byName map[string]*list.Element
	order  *list.List // of *madeFile, the one that was asked for last in front
	count  int        // how many were made
}

type madeFile struct {
	name string
	file file
}

func newMade(limit int) *made {
	return &made{limit: limit, byName: map[string]*list.Element{}, order: list.New()}
}

// get returns the file of this name, and makes it if there is none.
func (m *made) get(name string, build func() (file, error)) (file, error) {
	if f, ok := m.find(name); ok {
		return f, nil
	}
	m.making.Lock()
	defer m.making.Unlock()
	if f, ok := m.find(name); ok { // made while this one waited
		return f, nil
	}
	f, err := build()
	if err != nil {
		return file{}, err
	}
	m.keep(name, f)
	return f, nil
}

func (m *made) find(name string) (file, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.byName[name]
	if !ok {
		return file{}, false
	}
	m.order.MoveToFront(e)
	return e.Value.(*madeFile).file, true //nolint:forcetypeassert // nothing else is put in
}

func (m *made) keep(name string, f file) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.count++
	m.byName[name] = m.order.PushFront(&madeFile{name, f})
	for m.size += f.bytes(); m.size > m.limit; {
		last := m.order.Remove(m.order.Back()).(*madeFile) //nolint:forcetypeassert // nothing else is put in
		delete(m.byName, last.name)
		m.size -= last.file.bytes()
	}
}

// perFile is about what a file takes in memory besides its content.
const perFile = 512

func (f file) bytes() int { return len(f.plain) + len(f.zipped) + perFile }
