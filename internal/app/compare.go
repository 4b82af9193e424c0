package app

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/artifact"
)

// What comparing two artifacts gives; see package artifact.
type (
	Comparison = artifact.Report
	Difference = artifact.Difference
)

// Compare says what differs between two files.
func (a *App) Compare(ctx context.Context, fileA, fileB string) (Comparison, error) {
	return compareFiles(ctx, fileA, fileB, [2]artifact.Facts{})
}

func compareFiles(ctx context.Context, fileA, fileB string, facts [2]artifact.Facts) (Comparison, error) {
	var in [2]artifact.Input
	for i, name := range []string{fileA, fileB} {
		f, info, err := openRegular(name)
		if err != nil {
			return Comparison{}, err
		}
		defer f.Close()
		in[i] = artifact.Input{Name: name, Data: f, Size: info.Size(), Facts: facts[i]}
	}
	r, err := artifact.Compare(ctx, in[0], in[1], artifact.Limits{})
	if errors.Is(err, artifact.ErrTooLarge) {
		return r, withHint(err, "sha256sum says whether they are equal")
	}
	return r, err
}

// openRegular opens a file and nothing else: of a pipe or a device each reader would get other
// bytes.
func openRegular(name string) (*os.File, os.FileInfo, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s is no file", sallyport.Path(name))
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file", sallyport.Path(name))
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}
