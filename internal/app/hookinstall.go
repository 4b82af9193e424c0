package app

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/sallyport-dev/sallyport/internal/hook"
)

// HookFile is one file that an installation of hooks writes.
type HookFile struct {
	Path    string `json:"path"`
	State   string `json:"state"` // unchanged, new, changed or removed
	Backup  string `json:"backup,omitempty"`
	Content []byte `json:"-"`
}

// HookInstall is what an installation did, or would do.
type HookInstall struct {
	Agent hook.Agent `json:"agent"`
	Tier  hook.Tier  `json:"tier"`
	Files []HookFile `json:"files"`
	// Opens says in which cases the agent goes on although nobody agreed.
	Opens []string `json:"fails_open"`
}

// InstallHooks writes the settings that make an agent call Sallyport's hooks. Nothing is written where dry is
// true. A file that is changed is kept beside itself first. No link is read or written through: neither one in the
// file's place, nor one below the repository, the home or the root that is installed into.
func (a *App) InstallHooks(agent hook.Agent, o hook.Options, dry bool) (HookInstall, error) {
	res := HookInstall{Agent: agent, Tier: o.Tier, Files: []HookFile{}, Opens: hook.Opens(agent)}
	if o.Binary == "" {
		bin, err := os.Executable()
		if err != nil {
			return res, fmt.Errorf("find this program: %w", err)
		}
		o.Binary = bin
	}
	if o.Home == "" {
		o.Home = a.Getenv("HOME")
	}
	if o.Project == "" {
		dir, err := os.Getwd()
		if err != nil {
			return res, err
		}
		if o.Project = repositoryAbove(dir); o.Project == "" && o.Tier == hook.Project {
			return res, withHint(errors.New("no repository here"), "run it inside one, or choose --managed or --user")
		}
	}
	base := o.Project
	switch o.Tier {
	case hook.Managed:
		base = filepath.Join("/", o.Root)
	case hook.User:
		base = o.Home
	}
	before := map[string][]byte{}
	o.Read = func(path string) ([]byte, error) {
		dir, err := openWithoutLinks(base, filepath.Dir(path), false)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		defer dir.close()
		b, err := dir.read(filepath.Base(path), 4<<20)
		before[path] = b
		return b, err
	}
	files, err := hook.Settings(agent, o)
	if err != nil {
		return res, err
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		f := HookFile{Path: path, Content: files[path]}
		old, known := before[path]
		if !known {
			if old, err = o.Read(path); err != nil {
				return res, err
			}
		}
		switch {
		case old == nil && f.Content == nil, old != nil && f.Content != nil && string(old) == string(f.Content):
			f.State = "unchanged"
		case f.Content == nil:
			f.State = "removed"
		case old == nil:
			f.State = "new"
		default:
			f.State = "changed"
		}
		if !dry {
			if err := f.apply(base, old); err != nil {
				return res, withHint(err, "managed settings need an administrator: sudo sallyport hook install …; --dry-run shows what would be written")
			}
		}
		res.Files = append(res.Files, f)
	}
	return res, nil
}

func (f *HookFile) apply(base string, old []byte) error {
	if f.State == "unchanged" {
		return nil
	}
	dir, err := openWithoutLinks(base, filepath.Dir(f.Path), true)
	if err != nil {
		return err
	}
	defer dir.close()
	name, mode := filepath.Base(f.Path), fs.FileMode(0o644)
	info, err := dir.stat(name)
	if err != nil {
		return err
	}
	if info != nil {
		mode = info.Mode().Perm()
	}
	if old != nil {
		backup := name + ".before-sallyport"
		f.Backup = f.Path + ".before-sallyport"
		if was, err := dir.stat(backup); err != nil {
			return err
		} else if was == nil {
			if err := dir.write(backup, old, mode); err != nil {
				return err
			}
		}
	}
	if f.Content == nil {
		return dir.root.Remove(name)
	}
	return dir.write(name, f.Content, mode)
}
