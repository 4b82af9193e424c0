//go:build !cgo

package main

import (
	"errors"
	"io"
)

// answer says that this build can do nothing.
func answer(_ []string, _ io.Reader, _ io.Writer) error {
	return errors.New("this sallyport-pkcs11 was built without cgo and can load no module: build it with CGO_ENABLED=1")
}
