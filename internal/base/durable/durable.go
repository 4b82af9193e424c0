// Package durable writes files that are still there after the power fails, and locks folders
// against a second writer.
//
// A write on a POSIX file system is safe only after three things happened in this order: the
// content was synced (fsync of the file), the name points at it (rename), and the name itself
// was synced (fsync of the folder). Leaving out the first may keep the name and lose the bytes;
// leaving out the last may lose the name. Every function here that returns nil has done what
// applies to it, so what it wrote survives a kill at any moment and a power cut after it returned.
//
//   - [WriteFile] replaces a file or creates it. Readers see the old bytes or the new ones, never
//     a mixture and never an empty file.
//   - [CreateFile] is the same for a file that must not exist yet; of two processes that create
//     it at once, exactly one succeeds.
//   - [MkdirAll] creates folders; each new name is synced in its parent.
//   - [Acquire] takes an advisory lock (flock) on a file and waits no longer than its context
//     allows. The kernel drops the lock when its holder dies, so a lock cannot go stale.
//
// A kill between creating the temporary file and renaming it leaves a file named ".tmp-…" beside
// the target. Nothing reads it, and [RemoveTemporary] deletes old ones.
//
// What is not covered: drives that acknowledge a flush they did not make, file systems without
// fsync of folders or flock (some network ones), and a program that ignores the lock.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// tmpPrefix starts the name of every temporary file.
const tmpPrefix = ".tmp-"

// WriteFile atomically replaces the file at path with data, or creates it, with permissions perm
// (before umask). The folder must exist.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	return write(path, data, perm, os.Rename)
}

// CreateFile is [WriteFile] for a file that must not exist: if it does, the error wraps
// [fs.ErrExist] and the file is untouched.
func CreateFile(path string, data []byte, perm fs.FileMode) error {
	return write(path, data, perm, func(tmp, path string) error {
		// A link fails when the name is taken, which rename does not.
		if err := os.Link(tmp, path); err != nil {
			return err
		}
		return os.Remove(tmp)
	})
}

// write puts data into a synced temporary file, lets publish give it its name, and syncs the
// folder.
func write(path string, data []byte, perm fs.FileMode, publish func(tmp, path string) error) (err error) {
	dir := filepath.Dir(path)
	// The folder is opened first and held: an error that the kernel meets while writing its
	// metadata is then reported by this very descriptor.
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer d.Close()
	f, err := os.CreateTemp(dir, tmpPrefix+filepath.Base(path)+"-")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	tmp := f.Name()
	defer func() {
		if err != nil {
			os.Remove(tmp) // best effort; the error that matters is already set
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	if err := fill(f, data, perm); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := publish(tmp, path); err != nil {
		return err
	}
	return d.Sync()
}

func fill(f *os.File, data []byte, perm fs.FileMode) error {
	if err := f.Chmod(perm); err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
}

// MkdirAll creates path and any parents that are missing, with permissions perm (before umask).
// It is no error if path is a folder already.
func MkdirAll(path string, perm fs.FileMode) error {
	path = filepath.Clean(path)
	switch fi, err := os.Stat(path); {
	case err == nil && fi.IsDir():
		return nil
	case err == nil:
		return fmt.Errorf("make folder %s: a file is in the way", path)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("make folder: %w", err)
	}
	parent := filepath.Dir(path)
	if err := MkdirAll(parent, perm); err != nil {
		return err
	}
	if err := os.Mkdir(path, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make folder: %w", err)
	}
	// Also when another process won the race: it may not have synced yet.
	return SyncDir(parent)
}

// SyncDir makes the names in a folder durable. Callers that rename or remove files themselves
// need it; the other functions of this package call it.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync folder %s: %w", dir, err)
	}
	return nil
}

// RemoveTemporary deletes the temporary files in dir that are older than age, left by processes
// that were killed. Younger ones may belong to a writer that is at work.
func RemoveTemporary(dir string, age time.Duration) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("remove temporary files: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), tmpPrefix) || !e.Type().IsRegular() {
			continue
		}
		fi, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) || err == nil && time.Since(fi.ModTime()) < age {
			continue
		}
		if err == nil {
			err = os.Remove(filepath.Join(dir, e.Name()))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove temporary files: %w", err)
		}
	}
	return nil
}
