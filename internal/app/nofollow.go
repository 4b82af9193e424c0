package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A plainFolder is a folder that was reached through folders only. Whoever can write above it, as an agent can in
// its repository, could otherwise lay a link there and have another file written, by root where root installs.
type plainFolder struct {
	root *os.Root
	path string
}

// openWithoutLinks opens dir, a folder in base or below it, and follows no link on the way from base: each part is looked
// at and then opened inside the one before, and has to be the same folder both times. With create it makes those that
// are missing. The error wraps [fs.ErrNotExist] if one is missing and is not to be made.
func openWithoutLinks(base, dir string, create bool) (*plainFolder, error) {
	rel, err := filepath.Rel(base, dir)
	if err != nil || !filepath.IsLocal(rel) {
		return nil, fmt.Errorf("%s is not below %s", dir, base)
	}
	if create {
		if err := os.MkdirAll(base, 0o755); err != nil { // what the user named, links included
			return nil, err
		}
	}
	at, err := os.OpenRoot(base)
	if err != nil {
		return nil, err
	}
	reached := base
	for part := range strings.SplitSeq(rel, string(filepath.Separator)) {
		if part == "." {
			continue
		}
		reached = filepath.Join(reached, part)
		next, err := stepInto(at, part, reached, create)
		at.Close()
		if err != nil {
			return nil, err
		}
		at = next
	}
	return &plainFolder{at, dir}, nil
}

func stepInto(at *os.Root, part, path string, create bool) (*os.Root, error) {
	info, err := at.Lstat(part)
	if errors.Is(err, fs.ErrNotExist) && create {
		if err := at.Mkdir(part, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		info, err = at.Lstat(part)
	}
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is a link or no folder, and nothing is written through it", path)
	}
	next, err := at.OpenRoot(part)
	if err != nil {
		return nil, err
	}
	if now, err := next.Stat("."); err != nil || !os.SameFile(info, now) {
		next.Close()
		return nil, fmt.Errorf("%s was exchanged while it was opened, and nothing is written through it", path)
	}
	return next, nil
}

func (f *plainFolder) close() { f.root.Close() }

// stat describes a regular file in the folder; nil: there is none. Anything else of that name is an error.
func (f *plainFolder) stat(name string) (fs.FileInfo, error) {
	info, err := f.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file, and is left alone", filepath.Join(f.path, name))
	}
	return info, nil
}

// read returns a regular file of at most limit bytes, or nil if there is none.
func (f *plainFolder) read(name string, limit int64) ([]byte, error) {
	info, err := f.stat(name)
	if info == nil || err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s: %d bytes, the limit is %d", filepath.Join(f.path, name), info.Size(), limit)
	}
	return f.root.ReadFile(name)
}

// write replaces a file, or creates it: readers see the old bytes or the new ones.
func (f *plainFolder) write(name string, data []byte, perm fs.FileMode) (err error) {
	tmp := fmt.Sprintf(".tmp-%s-%d-%d", name, os.Getpid(), time.Now().UnixNano())
	file, err := f.root.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, perm)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.root.Remove(tmp) // best effort; the error that matters is already set
			err = fmt.Errorf("write %s: %w", filepath.Join(f.path, name), err)
		}
	}()
	_, werr := file.Write(data)
	if err := errors.Join(werr, file.Chmod(perm), file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := f.root.Rename(tmp, name); err != nil {
		return err
	}
	d, err := f.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
