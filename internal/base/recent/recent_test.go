package recent

import (
	"sync"
	"testing"
)

func TestMap(t *testing.T) {
	m := New[int, string](10)
	m.Put(1, "a", 4)
	m.Put(2, "b", 4)
	m.Put(1, "other", 1) // it has one
	m.Put(9, "large", 11)
	m.Put(9, "negative", -1)
	for k, want := range map[int]string{1: "a", 2: "b"} {
		if got, ok := m.Get(k); !ok || got != want {
			t.Errorf("%d: %q, %t", k, got, ok)
		}
	}
	if _, ok := m.Get(9); ok || m.Len() != 2 {
		t.Errorf("%d entries", m.Len())
	}
	m.Put(3, "c", 3) // the oldest goes
	if _, ok := m.Get(1); ok {
		t.Error("the oldest is still there")
	}
	m.Put(4, "d", 10) // all of them
	if m.Len() != 1 || m.used != 10 || len(m.order) != 1 {
		t.Errorf("%d entries of %d, %d in order", m.Len(), m.used, len(m.order))
	}
	if m.Put(5, "nothing", 0); m.Len() != 1 {
		t.Error("what has no size would have no bound")
	}
}

func TestMapTogether(t *testing.T) {
	m := New[int, int](50)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 1000 {
				m.Put(i*(g+1), i*(g+1), 1)
				if v, ok := m.Get(i); ok && v != i {
					t.Errorf("%d is %d", i, v)
				}
			}
		})
	}
	wg.Wait()
	if m.Len() != 50 {
		t.Errorf("%d entries", m.Len())
	}
}
