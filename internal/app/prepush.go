package app

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/render"
)

// maxAdvised bounds the branches that one push has judged: each takes as long as a check.
const maxAdvised = 8

// PrePush says, on the machine of whoever pushes and before anything is sent, what the gate would
// say about landing each branch that is pushed. It is advice: the clone, its configuration and this
// program are all in the hands of whoever is judged, and git push --no-verify skips it.
//
// It reads git's lines "local-ref local-oid remote-ref remote-oid" and returns the status to exit
// with, which is 0 unless git config sallyport.prePush is "block". A branch about which nothing
// can be decided is told, and blocks where refusals do.
func (a *App) PrePush(ctx context.Context, o Options) (int, error) {
	// Asked first: what is switched off costs a push nothing and cannot fail it.
	mode, _ := (&workspace{opts: o}).plainGit(ctx, "config", "--get", "sallyport.prePush")
	switch mode {
	case "off":
		_, _ = io.Copy(io.Discard, io.LimitReader(a.Stdin, 16<<20))
		return 0, nil
	case "", "advise", "block":
	default:
		fmt.Fprintf(a.Stderr, "sallyport: note: git config sallyport.prePush is %q; it is advise, block or off\n", render.Clean(mode))
	}
	lines, err := readPrePush(a.Stdin)
	if err != nil {
		return sallyport.ExitUndecided, err
	}
	// A push that a CI job makes is not what the job's event is about.
	here := *a
	here.Getenv = func(name string) string {
		if name == "GITHUB_ACTIONS" || name == "GITLAB_CI" {
			return ""
		}
		return a.Getenv(name)
	}
	status, judged := 0, 0
	for _, l := range lines {
		if l.remote == EvidenceRef || isZeroID(l.oid) || !strings.HasPrefix(l.remote, "refs/heads/") {
			continue
		}
		if judged++; judged > maxAdvised {
			fmt.Fprintf(a.Stderr, "sallyport: note: %d branches are judged before a push, the others are not\n", maxAdvised)
			break
		}
		s, err := here.advise(ctx, o, l)
		if err != nil {
			a.tell(l.remote, err)
			s = sallyport.ExitUndecided
		}
		if s != 0 && status == 0 {
			status = s
		}
	}
	if status != 0 && mode != "block" {
		fmt.Fprintln(a.Stderr, "sallyport: note: this is advice, and the push goes on (git config sallyport.prePush block stops it)")
		return 0, nil
	}
	return status, nil
}

// A pushLine is one line of what git tells a pre-push hook.
type pushLine struct{ local, oid, remote string }

// readPrePush reads git's lines. There are none when everything is up to date.
func readPrePush(r io.Reader) ([]pushLine, error) {
	var lines []pushLine
	sc := bufio.NewScanner(io.LimitReader(r, 16<<20))
	sc.Buffer(nil, 64<<10)
	for sc.Scan() {
		f := strings.Split(sc.Text(), " ")
		// What is pushed need not be a ref, and "HEAD~1" and "(delete)" hold no space either.
		if len(f) != 4 || !strings.HasPrefix(f[2], "refs/") {
			return nil, withHint(fmt.Errorf("read what is pushed: %q is not \"local oid remote oid\"", sc.Text()), "git runs this as its pre-push hook: sallyport init --hooks")
		}
		if len(lines) == maxPushes {
			return nil, fmt.Errorf("a push of more than %d refs is not read", maxPushes)
		}
		lines = append(lines, pushLine{f[0], f[1], f[2]})
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("read what is pushed: %w", err)
	}
	return lines, nil
}

// advise prints what the gate would say about one branch.
func (a *App) advise(ctx context.Context, o Options, l pushLine) (status int, err error) {
	target, landed, err := a.lands(ctx, o, l)
	if err != nil || landed {
		return 0, err
	}
	o.Target = TargetOptions{Ref: target, Head: l.oid}
	r, err := a.CheckMerge(ctx, o)
	if err != nil || r.Decision.Outcome == sallyport.Open {
		return 0, err
	}
	fmt.Fprintf(a.Stderr, "sallyport: if %s were to land on %s:\n\n", render.Clean(l.remote), render.Clean(target))
	if err := render.Text(a.Stderr, r.Decision, r.Receipt.ID, render.Options{Width: 78}); err != nil {
		return 0, err
	}
	return r.Decision.ExitStatus(), nil
}

// lands finds the ref that a pushed branch is to reach: itself where the configuration in force
// gates it, else the default branch. Landed says that it brings nothing new.
func (a *App) lands(ctx context.Context, o Options, l pushLine) (target string, landed bool, err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return "", false, err
	}
	defer done(&err, w.Close)
	all := refs{w.repo, w.differ(ctx)}
	if err := w.findTip(ctx); err != nil {
		return "", false, err
	}
	tip := w.target.Base
	target = w.target.Ref
	if err := w.governed(ctx, ""); err != nil {
		return "", false, err
	}
	if remote := tipOf(ctx, all, l.remote); w.cfg.Gated(l.remote) && strings.HasPrefix(remote, "refs/remotes/") {
		target = l.remote
		if tip, err = all.Resolve(ctx, remote); err != nil {
			return "", false, err
		}
	}
	landed, err = all.IsAncestor(ctx, l.oid, tip)
	return target, landed, err
}
