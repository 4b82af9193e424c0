package scene

import (
	"os"
	"syscall"
)

// memory is where Linux keeps files in memory, and enough what must be free there: containers often give
// it 64 MiB.
const (
	memory = "/dev/shm"
	enough = 4 << 30
)

// InMemory has temporary folders lie in memory where there is room, unless TMPDIR says where they lie.
// Scenes are copied hundreds of times and synced at every step, which is most of what their tests wait
// for; those that ask what a disk holds after a kill (test/crash) stay on one.
func InMemory() {
	var fs syscall.Statfs_t
	if os.Getenv("TMPDIR") != "" || syscall.Statfs(memory, &fs) != nil || int64(fs.Bavail)*fs.Bsize < enough { //nolint:gosec // blocks of a file system
		return
	}
	dir, err := os.MkdirTemp(memory, "sallyport-probe-")
	if err != nil {
		return
	}
	_ = os.Remove(dir)
	_ = os.Setenv("TMPDIR", memory)
}
