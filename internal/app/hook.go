package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/config"
	"github.com/sallyport-dev/sallyport/internal/policy"
	"github.com/sallyport-dev/sallyport/internal/render"
)

// PreReceiveOptions say which refs a server gates whatever the configuration says.
type PreReceiveOptions struct {
	Refs []string
	// Pushers are the ways in which the server authenticates who pushes. Those that name somebody
	// have to agree.
	Pushers []PusherSource
}

// A push is one line of what git tells a pre-receive hook.
type push struct{ before, after, ref string }

// maxPushes bounds the refs of one push.
const maxPushes = 1000

// PreReceive judges the refs that are being pushed and prints, for the pusher, why one is
// refused. It returns the status to exit with: 0 accepts the push, anything else refuses all of
// it. A ref whose decision cannot be made is refused.
func (a *App) PreReceive(ctx context.Context, o Options, h PreReceiveOptions) (int, error) {
	if o.Repo == "" || o.Repo == "." {
		o.Repo = orDefault(a.Getenv("GIT_DIR"), ".")
	}
	pushes, err := readPushes(a.Stdin)
	if err != nil {
		return sallyport.ExitUndecided, err
	}
	status := 0
	for _, p := range pushes {
		s, err := a.judgePush(ctx, o, h, p, pushes)
		if err != nil {
			a.tell(p.ref, err)
			s = sallyport.ExitUndecided
		}
		if s != 0 && status == 0 {
			status = s
		}
	}
	return status, nil
}

// tell prints why nothing could be decided about a ref: one line for whoever pushes, who sees
// "remote:" before it, and what to do next where that is known.
func (a *App) tell(ref string, err error) {
	fmt.Fprintf(a.Stderr, "sallyport: %s: %s\n", render.Clean(ref), render.Clean(err.Error()))
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		fmt.Fprintf(a.Stderr, "sallyport: hint: %s\n", render.Clean(hinted.Hint()))
	}
}

func readPushes(r io.Reader) ([]push, error) {
	var pushes []push
	sc := bufio.NewScanner(io.LimitReader(r, 16<<20))
	sc.Buffer(nil, 64<<10)
	for sc.Scan() {
		// A ref name holds no space; see git-check-ref-format.
		f := strings.SplitN(sc.Text(), " ", 3)
		if len(f) != 3 || !strings.HasPrefix(f[2], "refs/") {
			return nil, fmt.Errorf("read what is pushed: %q is not \"old new ref\"", sc.Text())
		}
		if len(pushes) == maxPushes {
			return nil, fmt.Errorf("a push of more than %d refs is refused", maxPushes)
		}
		pushes = append(pushes, push{f[0], f[1], f[2]})
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("read what is pushed: %w", err)
	}
	if len(pushes) == 0 {
		// Git runs no hook for nothing: a script around this one has read the lines, or lost them.
		return nil, withHint(errors.New("read what is pushed: standard input is empty"), "pass the hook's standard input on, as in: exec sallyport hook pre-receive ...")
	}
	return pushes, nil
}

// judgePush decides about one ref, in a workspace of its own.
func (a *App) judgePush(ctx context.Context, o Options, h PreReceiveOptions, p push, all []push) (status int, err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return 0, err
	}
	defer done(&err, w.Close)
	for _, other := range all {
		if other.ref == EvidenceRef && !isZeroID(other.after) {
			w.pushedEvidence = append(w.pushedEvidence, other.after)
		}
	}
	// Git writes through a symbolic ref: what is pushed to another name of main is pushed to main.
	ref, err := w.repo.UpdatedRef(ctx, p.ref)
	if err != nil {
		return 0, err
	}
	if ref == EvidenceRef {
		return 0, w.grows(ctx, p)
	}
	// Asked first: what a ref that is not gated points to need not even be a commit.
	gated, err := w.gated(ctx, h, ref, p.ref)
	if err != nil || !gated {
		return 0, err
	}
	w.target = Target{Ref: ref, Action: "update", Base: p.before, Head: p.after, Branch: strings.TrimPrefix(ref, "refs/heads/")}
	switch {
	case isZeroID(p.after):
		w.target.Action, w.target.Head = "delete", ""
	case isZeroID(p.before):
		w.target.Action, w.target.Base = "create", ""
		if err := w.createdOnServer(ctx); err != nil {
			return 0, err
		}
	default:
		onTop, err := w.differ(ctx).IsAncestor(ctx, p.before, p.after)
		if err != nil {
			return 0, err
		}
		if !onTop {
			w.target.Action = "rewrite"
		}
	}
	w.pushing = pushing{h.Pushers, all}
	r, err := w.check(ctx)
	if err != nil {
		return 0, err
	}
	if r.Note != "" {
		fmt.Fprintf(a.Stderr, "sallyport: note: %s\n", render.Clean(r.Note))
	}
	if r.Decision.Outcome != sallyport.Open || len(r.Decision.Advice) > 0 {
		if err := render.Text(a.Stderr, r.Decision, r.Receipt.ID, render.Options{Width: 78}); err != nil {
			return 0, err
		}
	}
	return r.Decision.ExitStatus(), nil
}

// createdOnServer compares a new ref with the server's default branch, if there is one.
func (w *workspace) createdOnServer(ctx context.Context) error {
	head, tip, err := w.serverDefault(ctx)
	if err != nil || tip == "" || head == w.target.Ref {
		return err
	}
	return w.createdFrom(ctx, tip)
}

// serverDefault returns the server's default branch and its tip, which is empty while the branch
// is not born. Whatever else keeps it from being read is an error.
func (w *workspace) serverDefault(ctx context.Context) (ref, tip string, err error) {
	if ref, err = w.repo.SymbolicHead(ctx); err != nil {
		return "", "", fmt.Errorf("find the server's default branch: %w", err)
	}
	tip, err = w.repo.Ref(ctx, ref)
	if errors.Is(err, git.ErrNotFound) {
		return ref, "", nil
	}
	return ref, tip, err
}

// createdFrom finds what a new ref adds to the default branch, whose tip is given: that is what
// is judged, under the default branch's policy. Where the two share no history, all of it is
// new.
func (w *workspace) createdFrom(ctx context.Context, tip string) error {
	w.policyAt = tip
	base, err := w.differ(ctx).MergeBase(ctx, tip, w.target.Head)
	if errors.Is(err, git.ErrNotFound) {
		return nil
	}
	w.target.Base = base
	return err
}

// gated reports whether a push that goes by these names goes through the gate: because the
// server's hook names one of them, or because the configuration in force at the default branch
// does.
func (w *workspace) gated(ctx context.Context, h PreReceiveOptions, names ...string) (bool, error) {
	for _, pattern := range h.Refs {
		if slices.ContainsFunc(names, func(name string) bool { return config.MatchRef(qualify(pattern), name) }) {
			return true, nil
		}
	}
	cfg, err := w.serverConfig(ctx)
	if err != nil {
		return false, err
	}
	if cfg == nil { // then only the hook's own --ref says what is gated
		if len(h.Refs) == 0 {
			fmt.Fprintln(w.app.Stderr, "sallyport: warning: this hook gates nothing: it names no --ref, and the default branch holds no configuration")
		}
		return false, nil
	}
	return slices.ContainsFunc(names, cfg.Gated), nil
}

// serverConfig reads the configuration in force on the server: that of the default branch under
// the pin, which what is pushed has no part in. It is nil where there is none. A server with a
// pin and nothing that matches it gates everything: the pin says that there should be rules.
func (w *workspace) serverConfig(ctx context.Context) (*config.Config, error) {
	pin, err := w.app.pin(w.opts)
	if err != nil {
		return nil, err
	}
	head, tip, err := w.serverDefault(ctx)
	if err != nil {
		return nil, err
	}
	strict := config.Default()
	if tip == "" && !pin.Zero() {
		return &strict, nil
	}
	gov, err := w.resolve(ctx, pin, tip, "")
	if errors.Is(err, policy.ErrNoRoot) {
		return &strict, nil
	}
	if err != nil {
		return nil, err
	}
	b, ok := gov.Files[configPath]
	if !ok {
		return nil, nil
	}
	cfg, err := config.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s at %s: %w", configPath, head, err)
	}
	return &cfg, nil
}
