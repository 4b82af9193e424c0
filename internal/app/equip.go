package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport/deploy/ci"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
)

// EquipOptions say what init writes beside the governed files.
type EquipOptions struct {
	CI     string // github or gitlab: the forge whose job is written
	Into   string // the checkout that gets the job; empty for the repository itself
	URL    string // where the job downloads the judge from; empty for the forge's variable
	SHA256 string // of the judge; empty for that of this program
	Hooks  bool   // install the pre-push hook
}

// Equip writes a forge's job, a hook, or both. Like Init it overwrites nothing, and writes nothing
// at all if something is in the way.
func (a *App) Equip(ctx context.Context, o Options, e EquipOptions, dry bool) (plan InitPlan, err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return plan, err
	}
	defer done(&err, w.Close)
	plan.Repository = w.remoteName(ctx)
	type file struct {
		PlannedFile
		mode os.FileMode
	}
	var files []file
	if e.CI != "" {
		f, next, err := w.job(e)
		if err != nil {
			return plan, err
		}
		files, plan.Next = append(files, file{f, 0o644}), append(plan.Next, next...)
	}
	if e.Hooks {
		f, err := w.prePushFile(ctx)
		if err != nil {
			return plan, err
		}
		files = append(files, file{f, 0o755})
		plan.Next = append(plan.Next, "push as ever: the hook says what the gate would, and blocks nothing (git config sallyport.prePush block makes it)")
	}
	for _, f := range files {
		if _, err := os.Lstat(f.Path); err == nil {
			return plan, withHint(fmt.Errorf("%s is there already: nothing was written", f.Path), "move it away first, or compare it with what is written elsewhere: sallyport init --ci NAME --into FOLDER")
		}
		plan.Files = append(plan.Files, f.PlannedFile)
	}
	if dry {
		return plan, nil
	}
	for _, f := range files {
		if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
			return plan, err
		}
		if err := durable.CreateFile(f.Path, f.body, f.mode); err != nil {
			return plan, fmt.Errorf("write %s: %w", f.Path, err)
		}
	}
	return plan, nil
}

// job is the file with a forge's job, and what is left to do in the forge's settings.
func (w *workspace) job(e EquipOptions) (f PlannedFile, next []string, err error) {
	name, err := ci.File(e.CI)
	if err != nil {
		err = usagef("--ci: %w", err)
		return f, nil, err
	}
	into := e.Into
	if into == "" {
		into = w.repo.WorkTree()
	}
	if into == "" {
		return f, nil, withHint(errors.New("a bare repository has no work tree"), "name the checkout that gets the job: --into FOLDER")
	}
	if e.CI == ci.GitLab {
		if inside, err := within(w.repo.WorkTree(), into); err != nil {
			return f, nil, err
		} else if inside {
			return f, nil, withHint(errors.New("on GitLab a job in the project that it judges can be edited by whoever is judged"),
				"name a checkout of another project, to which agents cannot push: --into FOLDER")
		}
	}
	judge := ci.Judge{URL: e.URL, SHA256: strings.TrimPrefix(e.SHA256, "sha256:")}
	if judge.SHA256 == "" {
		if runtime.GOOS+"/"+runtime.GOARCH != "linux/amd64" {
			return f, nil, withHint(errors.New("this program is not the one that the forge's runners can execute"), "name the digest of the linux/amd64 release: --judge-sha256 DIGEST")
		}
		if judge.SHA256, err = ownDigest(); err != nil {
			return f, nil, err
		}
		judge.Version = "sallyport " + Version()
	}
	body, err := ci.Write(e.CI, judge)
	if err != nil {
		return f, nil, err
	}
	f = PlannedFile{filepath.Join(into, filepath.FromSlash(name)), "the job that asks the merge gate", body}
	variables := "SALLYPORT_ROOT (the pin)"
	if e.URL == "" {
		variables += " and SALLYPORT_URL (an https address of the executable sha256:" + judge.SHA256[:12] + "...)"
	}
	if e.CI == ci.GitHub {
		return f, []string{
			"best: move it to a repository of your organisation that agents cannot write to, and require it with a ruleset: \"Require workflows to pass before merging\"",
			"else: merge it into the default branch, require the check \"merge gate (sallyport)\", and restrict pushes to .github/workflows/**; without that a branch can bring a job of the same name",
			"set the variables " + variables + ", where no agent's token can",
			"the ruleset has no bypass list and blocks force pushes and deletion; docs/ci.md says why",
		}, nil
	}
	return f, []string{
		"commit it in that project, whose default branch only those may push to who may change the judge",
		"in the judged project: Settings > CI/CD > General pipelines > CI/CD configuration file: " + name + "@GROUP/PROJECT",
		"set the variables SALLYPORT_IMAGE, " + variables + ", and Settings > CI/CD > Variables > Minimum role to use pipeline variables: no one allowed",
		"Settings > Merge requests: \"Pipelines must succeed\" on, \"Skipped pipelines are considered successful\" off; protect the branch: nobody pushes; docs/ci.md says why",
	}, nil
}

// within reports whether path lies in folder, links resolved as far as they exist.
func within(folder, path string) (bool, error) {
	if folder == "" {
		return false, nil
	}
	f, err := resolved(folder)
	if err != nil {
		return false, err
	}
	p, err := resolved(path)
	if err != nil {
		return false, err
	}
	rel, err := filepath.Rel(f, p)
	if err != nil {
		return false, err
	}
	return rel == "." || (rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))), nil
}

func resolved(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	r, err := filepath.EvalSymlinks(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", withHint(fmt.Errorf("%s does not exist", path), "make the folder first: it is a checkout of the repository that holds the job")
	}
	return r, err
}

// ownDigest returns the SHA-256 of the executable that runs.
func ownDigest() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	f, err := os.Open(self)
	if err != nil {
		return "", fmt.Errorf("read this program: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read this program: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// prePushHook is what git runs before it pushes. It is found on the PATH at that time: a clone
// outlives the place of a program.
const prePushHook = `#!/bin/sh
# Written by "sallyport init --hooks". It tells early what the gate will refuse. It is advice:
# whoever pushes can skip it (git push --no-verify), and the gate asks again where they cannot.
command -v sallyport >/dev/null 2>&1 || { echo "sallyport: note: not installed here, so nothing was checked before this push" >&2; exit 0; }
exec sallyport hook pre-push "$@"
`

// prePushFile is the hook of this clone. A hook that is there belongs to somebody, and so does a
// folder that core.hooksPath names.
func (w *workspace) prePushFile(ctx context.Context) (PlannedFile, error) {
	const line = `sallyport hook pre-push "$@"`
	dir, err := w.plainGit(ctx, "rev-parse", "--path-format=absolute", "--git-path", "hooks")
	if err != nil {
		return PlannedFile{}, err
	}
	path := filepath.Join(dir, "pre-push")
	have, err := os.ReadFile(path)
	switch {
	case err == nil && bytes.Contains(have, []byte("sallyport hook pre-push")):
		return PlannedFile{}, fmt.Errorf("%s calls sallyport already: nothing was written", path)
	case err == nil:
		return PlannedFile{}, withHint(fmt.Errorf("%s is there already and somebody else's: nothing was written", path),
			"call it from there with git's standard input: "+line)
	case !errors.Is(err, os.ErrNotExist):
		return PlannedFile{}, fmt.Errorf("look for a hook: %w", err)
	}
	if shared, err := w.plainGit(ctx, "config", "--get", "core.hooksPath"); err == nil && shared != "" {
		return PlannedFile{}, withHint(fmt.Errorf("core.hooksPath is %s, which other repositories may share: nothing was written", shared),
			"make "+path+" yourself: #!/bin/sh, then: exec "+line)
	}
	return PlannedFile{path, "says before a push what the gate would", []byte(prePushHook)}, nil
}

// plainGit asks git about this clone with the configuration of whoever works in it, which the
// repository that the gate reads deliberately does not see. The questions run no program.
func (w *workspace) plainGit(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", w.opts.Repo}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}
