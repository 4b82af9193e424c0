package confine

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// A builder builds the command's root in mount, process and user namespaces that are new. It
// resolves no symbolic link of the workspace or of the root it builds: every folder is reached
// by descriptors, so that what an earlier run planted leads nowhere.
type builder struct {
	old, root int
}

// mounts that nobody is to start a setuid program or find a device in.
const bindAttrs = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV

func buildRoot(rules []rule) (err error) {
	step := func(what string, e error) {
		if err == nil && e != nil {
			err = fmt.Errorf("%s: %w", what, e)
		}
	}
	step("making mounts private", unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	step("mounting the first root", unix.Mount("tmpfs", "/tmp", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"))
	if err != nil {
		return err
	}
	step("making folders", os.Mkdir("/tmp/old", 0o755))
	step("making folders", os.Mkdir("/tmp/new", 0o755))
	step("leaving the host's root", unix.PivotRoot("/tmp", "/tmp/old"))
	step("entering the first root", unix.Chdir("/"))
	step("mounting the command's root", unix.Mount("tmpfs", "/new", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"))
	if err != nil {
		return err
	}
	b := builder{}
	if b.old, err = unix.Open("/old", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return err
	}
	if b.root, err = unix.Open("/new", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return err
	}
	for _, r := range rules {
		if err := b.apply(r); err != nil {
			return fmt.Errorf("%s: %w", r, err)
		}
	}
	unix.Close(b.old)
	unix.Close(b.root)
	step("letting go of the host", unix.Unmount("/old", unix.MNT_DETACH))
	step("entering the root", unix.Chdir("/new"))
	step("entering the root", unix.PivotRoot(".", "."))
	step("entering the root", unix.Unmount(".", unix.MNT_DETACH))
	step("entering the root", unix.Chdir("/"))
	step("closing the root", unix.MountSetattr(-1, "/", 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}))
	return err
}

func (b *builder) apply(r rule) error {
	switch r.Kind {
	case bindRead:
		return b.bind(r.Source, r.Target, bindAttrs|unix.MOUNT_ATTR_RDONLY)
	case bindWrite, pin:
		return b.bind(r.Source, r.Target, bindAttrs)
	case absent:
		return b.bind("/dev/null", r.Target, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_RDONLY)
	case memory:
		mode := "mode=0700"
		if strings.HasSuffix(r.Target, "/tmp") {
			mode = "mode=1777"
		}
		return b.mount("tmpfs", r.Target, unix.MS_NOSUID|unix.MS_NODEV, mode)
	case masked:
		return b.mount("tmpfs", r.Target, unix.MS_NOSUID|unix.MS_NODEV|unix.MS_RDONLY, "mode=0755,size=4k")
	case folder:
		fd, err := b.folder(r.Target)
		if err == nil {
			unix.Close(fd)
		}
		return err
	case link:
		return b.link(r.Source, r.Target)
	case content:
		return b.file(r.Target, r.Data)
	case procs:
		return b.proc(r.Target)
	case devices:
		return b.dev(r.Target)
	}
	return fmt.Errorf("unknown rule %q", r.Kind)
}

// at opens a path below a root without following any link.
func at(root int, name string, flags uint64) (int, error) {
	return unix.Openat2(root, strings.TrimPrefix(path.Clean(name), "/"), &unix.OpenHow{
		Flags:   flags | unix.O_PATH | unix.O_CLOEXEC | unix.O_NOFOLLOW,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
}

// folder opens a folder of the root, and makes what is missing of it.
func (b *builder) folder(name string) (int, error) {
	fd, err := unix.Dup(b.root)
	if err != nil {
		return -1, err
	}
	for part := range strings.SplitSeq(strings.Trim(path.Clean(name), "/"), "/") {
		if part == "" || part == "." {
			continue
		}
		next, err := at(fd, part, unix.O_DIRECTORY)
		if errors.Is(err, unix.ENOENT) {
			if err = unix.Mkdirat(fd, part, 0o755); err == nil {
				next, err = at(fd, part, unix.O_DIRECTORY)
			}
		}
		unix.Close(fd)
		if err != nil {
			return -1, err
		}
		fd = next
	}
	return fd, nil
}

// target opens the place of a mount: a folder, or a file, as the source is.
func (b *builder) target(name string, dir bool) (int, error) {
	if dir {
		return b.folder(name)
	}
	parent, err := b.folder(path.Dir(name))
	if err != nil {
		return -1, err
	}
	defer unix.Close(parent)
	fd, err := at(parent, path.Base(name), 0)
	if !errors.Is(err, unix.ENOENT) {
		return fd, err
	}
	made, err := unix.Openat(parent, path.Base(name), unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o444)
	if err != nil {
		return -1, err
	}
	unix.Close(made)
	return at(parent, path.Base(name), 0)
}

func (b *builder) bind(source, target string, attrs uint64) error {
	from, err := at(b.old, source, 0)
	if err != nil {
		return fmt.Errorf("opening it: %w", err)
	}
	defer unix.Close(from)
	return b.bindFD(from, target, attrs)
}

func (b *builder) bindFD(from int, target string, attrs uint64) error {
	var st unix.Stat_t
	if err := unix.Fstat(from, &st); err != nil {
		return err
	}
	tree, err := unix.OpenTree(from, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE|unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return fmt.Errorf("copying its mount: %w", err)
	}
	defer unix.Close(tree)
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: attrs}); err != nil {
		return fmt.Errorf("restricting its mount: %w", err)
	}
	to, err := b.target(target, st.Mode&unix.S_IFMT == unix.S_IFDIR)
	if err != nil {
		return fmt.Errorf("finding its place: %w", err)
	}
	defer unix.Close(to)
	if err := unix.MoveMount(tree, "", to, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH); err != nil {
		return fmt.Errorf("mounting it: %w", err)
	}
	return nil
}

// mount mounts a new file system. The place is opened without following links; between that and the
// mount nothing of the command's runs.
func (b *builder) mount(kind, target string, flags uintptr, data string) error {
	fd, err := b.folder(target)
	if err != nil {
		return err
	}
	unix.Close(fd)
	return unix.Mount(kind, "/new"+path.Clean(target), kind, flags, data)
}

func (b *builder) link(to, name string) error {
	parent, err := b.folder(path.Dir(name))
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	return unix.Symlinkat(to, parent, path.Base(name))
}

func (b *builder) file(name, data string) error {
	parent, err := b.folder(path.Dir(name))
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	fd, err := unix.Openat(parent, path.Base(name), unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o444)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte(data))
	return err
}

func (b *builder) proc(target string) error {
	if err := b.mount("proc", target, unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return err
	}
	for _, name := range procCovered {
		fd, err := at(b.root, target+"/"+name, 0)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return err
		}
		err = b.bindFD(fd, target+"/"+name, bindAttrs|unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOEXEC)
		unix.Close(fd)
		if err != nil {
			return fmt.Errorf("covering %s: %w", name, err)
		}
	}
	return nil
}

var deviceFiles = []string{"null", "zero", "full", "random", "urandom", "tty"}

func (b *builder) dev(target string) error {
	if err := b.mount("tmpfs", target, unix.MS_NOSUID, "mode=0755,size=1m"); err != nil {
		return err
	}
	for _, name := range deviceFiles {
		if err := b.bind("/dev/"+name, target+"/"+name, unix.MOUNT_ATTR_NOSUID); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := b.mount("devpts", target+"/pts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620"); err != nil {
		return err
	}
	if err := b.mount("tmpfs", target+"/shm", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777"); err != nil {
		return err
	}
	for name, to := range map[string]string{"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		if err := b.link(to, target+"/"+name); err != nil {
			return err
		}
	}
	return nil
}
