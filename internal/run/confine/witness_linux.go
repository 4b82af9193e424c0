package confine

import "os"

type witness struct{}

func newWitness(f *os.File, _ *Session, _ *Spec) (*witness, error) { f.Close(); return &witness{}, nil }
func (w *witness) close()                                          {}
