// Package recent keeps what was computed last, within a bound: a map whose oldest entries go when there is no
// room for a new one.
//
// What is in it is a matter of speed alone: whoever asks has to be able to do without, and has to be told
// nothing by what is not there. It is in memory and dies with the process.
package recent

import "sync"

// A Map holds values by key, each of a size that the caller says. It is safe for concurrent use, and keeps
// values as they were given: who puts something that can be changed in must not change it.
type Map[K comparable, V any] struct {
	mu    sync.Mutex
	room  int
	used  int
	found map[K]entry[V]
	order []K // oldest first
}

type entry[V any] struct {
	value V
	size  int
}

// New returns a map whose entries have at most the size room together.
func New[K comparable, V any](room int) *Map[K, V] {
	return &Map[K, V]{room: room, found: map[K]entry[V]{}}
}

// Get returns the value of a key, if it is still there.
func (m *Map[K, V]) Get(k K) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.found[k]
	return e.value, ok
}

// Put keeps a value, unless the key has one or the value is larger than the whole room.
func (m *Map[K, V]) Put(k K, v V, size int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.found[k]; ok || size <= 0 || size > m.room {
		return
	}
	for m.used+size > m.room {
		oldest := m.order[0]
		m.order = m.order[1:]
		m.used -= m.found[oldest].size
		delete(m.found, oldest)
	}
	m.found[k], m.used, m.order = entry[V]{v, size}, m.used+size, append(m.order, k)
}

// Len returns how many entries there are.
func (m *Map[K, V]) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.found)
}
