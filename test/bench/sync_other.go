//go:build unix && !linux

package main

import "os"

// fdatasync makes what was written to f durable. Go knows no other way here.
func fdatasync(f *os.File) error { return f.Sync() }
