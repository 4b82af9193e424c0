// Command own has our own repository judged by our own binary, as .ci/run does.
//
// It asks the merge gate twice, in a bare repository beside this one, so that it neither depends
// on how deep CI cloned, which refs it has or what is checked out, nor changes any of it:
//
//   - about the whole tree of HEAD, as one change to a repository that holds nothing but HEAD's
//     .sallyport/. That works in a shallow clone as well, and scans every file every time;
//   - about what HEAD adds to the remote's default branch, or else its last commit, by the rules
//     from before it. A shallow clone does not know what that is, and it is left out then.
//
// Both verdicts are printed as they are. Nobody's key is enrolled here yet, so the baseline's is
// a refusal, and the mode is observe. What fails the command is what needs no key to be judged: a
// reason of the set "own" (.sallyport/own), or a check that could not decide. It runs from HEAD's
// own files, so for whoever changes those it is advice, like everything in .ci/run.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
)

// enforced is the policy set whose reasons fail the command.
const enforced = "own"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	binary := flag.String("sallyport", "bin/sallyport", "the built `executable`")
	repo := flag.String("repo", ".", "the `repository`")
	flag.Parse()
	if err := run(ctx, *binary, *repo, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "own:", err)
		os.Exit(1)
	}
}

// errFound says that our own rules refuse.
var errFound = errors.New("our own rules refuse this")

// A gate is the bare repository in which is judged.
type gate struct {
	binary, dir string
	env         []string
}

func run(ctx context.Context, binary, repo string, out io.Writer) error {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "sallyport-own-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	g := &gate{binary: binary, dir: dir, env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "LC_ALL=C", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=own", "GIT_AUTHOR_EMAIL=own@sallyport.invalid", "GIT_COMMITTER_NAME=own", "GIT_COMMITTER_EMAIL=own@sallyport.invalid",
		// A clone that another user made, as containers have them, is read all the same.
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
	}}
	there := func(args ...string) (string, error) {
		return g.git(ctx, nil, append([]string{"-C", repo}, args...)...)
	}
	objects, err := there("rev-parse", "--path-format=absolute", "--git-path", "objects")
	if err != nil {
		return err
	}
	head, err := there("rev-parse", "--verify", "HEAD^{commit}")
	if err != nil {
		return err
	}
	if _, err := g.git(ctx, nil, "init", "-q", "--bare", g.bare()); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(g.bare(), "objects", "info", "alternates"), []byte(objects+"\n"), 0o600); err != nil {
		return err
	}
	rules, err := there("ls-tree", head, "--", ".sallyport")
	if err != nil {
		return err
	}
	if rules == "" {
		return errors.New("HEAD holds no .sallyport: there are no rules to judge by")
	}

	fmt.Fprintf(out, "The whole tree of %.12s, as one change, by its own rules:\n\n", head)
	tree, err := g.git(ctx, []byte(rules+"\n"), "--git-dir", g.bare(), "mktree")
	if err != nil {
		return err
	}
	base, err := g.git(ctx, nil, "--git-dir", g.bare(), "commit-tree", "-m", "Rules", tree)
	if err != nil {
		return err
	}
	whole, err := g.git(ctx, nil, "--git-dir", g.bare(), "commit-tree", "-p", base, "-m", "Everything", head+"^{tree}")
	if err != nil {
		return err
	}
	refused, err := g.ask(ctx, base, whole, out)
	if err != nil {
		return err
	}

	switch base, why := g.before(there, head); base {
	case "":
		fmt.Fprintf(out, "\nWhat %.12s adds is not judged: %s\n", head, why)
	default:
		fmt.Fprintf(out, "\nWhat %.12s adds to %.12s, by the rules from before it:\n\n", head, base)
		more, err := g.ask(ctx, base, head, out)
		if err != nil {
			return err
		}
		refused = append(refused, more...)
	}
	if len(refused) > 0 {
		return fmt.Errorf("%w: %s", errFound, strings.Join(refused, "; "))
	}
	fmt.Fprintf(out, "\nOur own rules (.sallyport/%s) refuse nothing; the verdicts above are the baseline's.\n", enforced)
	return nil
}

func (g *gate) bare() string { return filepath.Join(g.dir, "repo.git") }

// before returns the commit from which HEAD is judged, or why there is none.
func (g *gate) before(there func(...string) (string, error), head string) (base, why string) {
	if shallow, err := there("rev-parse", "--is-shallow-repository"); err != nil || shallow != "false" {
		return "", "the clone is shallow"
	}
	if base, err := there("merge-base", "refs/remotes/origin/HEAD", head); err == nil && base != head {
		return base, ""
	}
	base, err := there("rev-parse", "--verify", "-q", head+"^1")
	if err != nil {
		return "", "it has no parent"
	}
	return base, ""
}

// ask has one change judged, prints the verdict, and returns what our own rules refuse.
func (g *gate) ask(ctx context.Context, base, head string, out io.Writer) (refused []string, err error) {
	if _, err := g.git(ctx, nil, "--git-dir", g.bare(), "update-ref", "refs/heads/main", base); err != nil {
		return nil, err
	}
	report := filepath.Join(g.dir, "decision.json")
	cmd := exec.CommandContext(ctx, g.binary, "check", "merge", "--repo", g.bare(), "--state", filepath.Join(g.dir, "state"),
		"--target", "main", "--base", base, "--head", head, "--output", "text=-", "--output", "json="+report)
	var stderr bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = g.env, out, &stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || (exit.ExitCode() != 2 && exit.ExitCode() != 3)) {
		return nil, fmt.Errorf("check merge: %w\n%s", err, stderr.Bytes())
	}
	b, err := os.ReadFile(report)
	if err != nil {
		return nil, err
	}
	var doc struct {
		Decision struct {
			Reasons []struct {
				Set, Place, Text string
			}
		}
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, fmt.Errorf("read the decision: %w", err)
	}
	for _, r := range doc.Decision.Reasons {
		if r.Set == enforced {
			refused = append(refused, fmt.Sprintf("%q %q", r.Place, r.Text))
		}
	}
	return refused, nil
}

func (g *gate) git(ctx context.Context, stdin []byte, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = g.env, bytes.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(stdout.String()), nil
}
