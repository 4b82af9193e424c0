package rebuild

import (
	"context"
	"errors"
	"os"
	"os/exec"
)

const (
	otherID     = 0
	nonBlocking = 0
)

func ownGroup(*exec.Cmd, bool, bool) {}

func canNamespace(context.Context, bool) error { return errors.New("only Linux has user namespaces") }

func endGroup(pid int) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return p.Kill()
}

func (r *runner) masked(fn func() error) error { return fn() }
