//go:build unix

package crash

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	sys "syscall"

	"github.com/sallyport-dev/sallyport/test/scene"
)

// nobody is who runs a check that must not write, where the test itself runs as superuser.
const nobody = 65534

// asReader takes the right to write the state folder away and makes cmd run as somebody to whom
// that matters. The repository and its keys may be read.
func (s *site) asReader(cmd *exec.Cmd) error {
	tmp := filepath.Join(s.Dir, "reader")
	if err := os.Mkdir(tmp, 0o777); err != nil {
		return err
	}
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &sys.SysProcAttr{Credential: &sys.Credential{Uid: nobody, Gid: nobody}}
		// Folders above a test's own may be closed to others.
		for dir := s.Dir; dir != filepath.Clean(os.TempDir()) && dir != "/"; dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o755); err != nil {
				return err
			}
		}
		if err := os.Chmod(filepath.Dir(scene.Binary()), 0o755); err != nil {
			return err
		}
		err := filepath.WalkDir(s.state, func(p string, d fs.DirEntry, err error) error {
			return errors.Join(err, os.Lchown(p, nobody, nobody))
		})
		if err != nil {
			return err
		}
	}
	cmd.Env = append(cmd.Env, "TMPDIR="+tmp, "HOME="+tmp)
	return errors.Join(os.Chmod(tmp, 0o777), os.Chmod(s.state, 0o500))
}
