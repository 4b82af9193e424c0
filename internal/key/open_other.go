//go:build !unix

package key

import "os"

func openFile(path string) (*os.File, error) { return os.Open(path) }
