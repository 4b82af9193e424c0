package app

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/config"
	"github.com/sallyport-dev/sallyport/internal/run"
	"github.com/sallyport-dev/sallyport/internal/run/confine"
	"github.com/sallyport-dev/sallyport/internal/run/profile"
	"github.com/sallyport-dev/sallyport/internal/run/record"
	"github.com/sallyport-dev/sallyport/predicate"
)

// RunOptions say which agent to run, and how.
type RunOptions struct {
	Agent     string // as the roster names it; empty for what the command is recognised as
	Operator  string // id in the roster; empty for the person whose address git would put on a commit
	Key       string // that signs the record
	Authority string // or that certifies one for this run
	Worktree  bool   // in a work tree of its own, on the branch agent/RUN
	Model     string // for agents that have to be told

	Args           []string
	Environ        []string
	Stdin          *os.File
	Stdout, Stderr *os.File
	Signals        <-chan os.Signal
}

// A RunReport is what became of a run.
type RunReport struct {
	RunID       string               `json:"run_id"`
	Agent       string               `json:"agent"`
	Version     string               `json:"agent_version,omitempty"`
	Operator    string               `json:"operator"`
	Repository  string               `json:"repository"`
	Workspace   string               `json:"workspace"`
	Branch      string               `json:"branch,omitempty"`
	Separation  predicate.Separation `json:"separation"`
	Grade       sallyport.Grade      `json:"grade"`
	Sandbox     *predicate.Sandbox   `json:"sandbox"`
	Conclusion  predicate.Conclusion `json:"conclusion"`
	ExitStatus  int                  `json:"exit_status"`
	Sealed      bool                 `json:"sealed"`
	Records     int64                `json:"records"`
	RecordHead  string               `json:"record_head,omitempty"`
	Attestation sallyport.Digest     `json:"attestation,omitempty"`
	Commits     []string             `json:"commits"`
	Files       []changedFile        `json:"files"`
	Notes       []string             `json:"notes"`
}

func (r *RunReport) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// ErrNotSealed is wrapped when a run ended and its record could not be sealed.
var ErrNotSealed = errors.New("the run's record is not sealed")

// Run runs an agent under supervision and seals what it did. The error is about the supervision: with
// none, the command's exit status is in the report.
func (a *App) Run(ctx context.Context, o Options, ro RunOptions) (_ *RunReport, err error) {
	if len(ro.Args) == 0 {
		return nil, usagef("name the agent's command, after --")
	}
	w, err := a.open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { done(&err, w.Close) }()
	if w.repo.WorkTree() == "" {
		return nil, withHint(errors.New("this repository has no work tree for an agent to work in"), "run it in a checkout, or name one with --repo")
	}
	rep := &RunReport{RunID: newRunID(), Separation: predicate.SeparationNone, Grade: sallyport.Declared, Commits: []string{}, Files: []changedFile{}, Notes: []string{}}
	if err := w.policyForRun(ctx, rep); err != nil {
		return nil, err
	}
	p, err := w.whoRuns(ctx, &ro, rep)
	if err != nil {
		return nil, err
	}
	cage, err := w.cage(ctx, rep)
	if err != nil {
		return nil, err
	}
	s := &sealer{ro: &ro}
	if err := s.openKeys(ctx, w); err != nil {
		return nil, err
	}
	if ro.Worktree {
		if w, err = w.ownWorkTree(ctx, rep); err != nil {
			return nil, err
		}
	}
	return rep, w.supervised(ctx, rep, s, p, cage)
}

// newRunID returns an id that nobody can guess, in letters that a branch may have.
func newRunID() string {
	var b [10]byte
	rand.Read(b[:]) // never fails: see crypto/rand
	return time.Now().UTC().Format("20060102") + "-" + strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

// policyForRun loads what is in force. Where nothing is, the strict defaults are.
func (w *workspace) policyForRun(ctx context.Context, rep *RunReport) error {
	err := w.findTip(ctx)
	if err == nil {
		err = w.governed(ctx, "")
	}
	if errors.Is(err, ErrNoTarget) {
		return withHint(fmt.Errorf("it is not known which branch the run's work will land on, and so not what is in force: %w", err), "--target main")
	}
	if err != nil {
		return err
	}
	rep.Repository, rep.Workspace = w.repository(), w.repo.WorkTree()
	return nil
}

// whoRuns settles agent and operator.
func (w *workspace) whoRuns(ctx context.Context, ro *RunOptions, rep *RunReport) (profile.Profile, error) {
	p, err := agentName(ro.Args)
	if err != nil {
		return p, usagef("%s: name the agent with --agent", err)
	}
	if ro.Agent != "" && ro.Agent != p.Name {
		p = profile.Named(ro.Agent)
	}
	rep.Agent = p.Name
	if len(ro.Agent) > 100 || strings.ContainsFunc(rep.Agent, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return p, usagef("--agent %.100q is no name", ro.Agent)
	}
	if _, ok := w.roster.AgentApproved(rep.Agent); !ok && len(w.gov.Files) > 0 {
		rep.note("the roster in force does not approve the agent %s: the gate will say so (agents: in %s)", rep.Agent, rosterPath)
	}
	// It goes into configuration files, as it is.
	if len(ro.Model) > 200 || strings.ContainsFunc(ro.Model, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"'\\`$", r) }) {
		return p, usagef("--model %.100q is no model's name", ro.Model)
	}
	rep.Operator = ro.Operator
	if rep.Operator == "" {
		_, email := w.app.gitUser(ctx, w.repo.WorkTree())
		if person, ok := w.roster.PersonByEmail(email); ok {
			rep.Operator = person.ID
		} else if len(w.gov.Files) > 0 {
			return p, withHint(fmt.Errorf("no person of the roster in force has git's address %.100q, so that it is not known who starts this run", email), "--operator ID, as "+rosterPath+" has it")
		} else {
			rep.Operator = orDefault(email, "unknown")
		}
	}
	if _, ok := w.roster.Person(rep.Operator); !ok {
		if ro.Operator != "" && len(w.gov.Files) > 0 {
			return p, withHint(fmt.Errorf("the roster in force has no person %.100q", ro.Operator), "--operator ID, as "+rosterPath+" has it")
		}
		rep.note("no roster in force knows the operator %s: no gate accepts this run", rep.Operator)
	}
	return p, nil
}

// cage chooses what confines the run, by what the configuration in force asks: the best mechanism that
// can be had, of those that it allows.
func (w *workspace) cage(ctx context.Context, rep *RunReport) (run.Cage, error) {
	install, why := "", ""
	for _, o := range confine.Available(ctx) {
		switch allowed := w.cfg.Runs.Mechanisms; {
		case len(allowed) > 0 && !slices.Contains(allowed, string(o.Mechanism)):
		case o.Usable:
			return run.Confined{Mechanism: o.Mechanism, Hidden: []string{w.dir}}, nil
		case install == "":
			install, why = o.Install, ": "+string(o.Mechanism)+": "+o.Why
		}
	}
	if w.cfg.Runs.Confined() {
		return nil, withHint(errors.New("the configuration in force asks for confinement, and this system offers none that it allows"+why),
			orDefault(install, "install bubblewrap")+"; or, if runs may go on without, set runs: {confinement: "+config.ConfinementOptional+"} in "+configPath+" on the target branch")
	}
	rep.note("nothing confines this run, so that the agent reaches what you reach%s", why)
	return run.Open{}, nil
}

// ownWorkTree makes a work tree for the run and returns the workspace there, under the same rules.
func (w *workspace) ownWorkTree(ctx context.Context, rep *RunReport) (*workspace, error) {
	head, err := w.repo.Resolve(ctx, "HEAD")
	if err != nil {
		return w, withHint(fmt.Errorf("find the commit for the run's work tree: %w", err), "there has to be a commit to begin at")
	}
	rep.Branch = "agent/" + rep.RunID
	dir := filepath.Join(filepath.Dir(w.repo.WorkTree()), filepath.Base(w.repo.WorkTree())+".runs", rep.RunID)
	if err := w.repo.AddWorkTree(ctx, head, dir, rep.Branch); err != nil {
		return w, err
	}
	rep.Workspace = dir
	return w.reopened(ctx, dir)
}

// reopened returns the workspace with its repository opened anew, under the rules that are in force, and
// closes this one.
func (w *workspace) reopened(ctx context.Context, dir string) (*workspace, error) {
	repo, err := git.Open(ctx, dir)
	if err != nil {
		return w, err
	}
	n := &workspace{app: w.app, opts: w.opts, repo: repo, dir: w.dir, gov: w.gov, cfg: w.cfg, roster: w.roster, trust: w.trust, keyless: w.keyless,
		signatures: w.signatures, target: w.target, policies: w.policies, sets: w.sets, data: w.data, advice: w.advice}
	return n, w.Close()
}

// supervised runs the agent in the workspace and seals what it did.
func (w *workspace) supervised(ctx context.Context, rep *RunReport, s *sealer, p profile.Profile, cage run.Cage) (err error) {
	home, err := newHome(w.app.homes(w), rep.RunID)
	if err != nil {
		return err
	}
	defer home.remove()
	env, err := runEnviron(s.ro.Environ, w.cfg.Runs.Environment, p, home)
	if err != nil {
		return err
	}
	rep.Version = agentVersion(ctx, rep, s.ro.Args, p, env)
	if s.start, err = w.snapshot(ctx); err != nil {
		return err
	}
	s.begin(w, rep)
	if s.run.Anchor, err = w.logHead(ctx); err != nil {
		return err
	}
	token := newToken()
	j, err := w.newRunJournal(rep, s)
	if err != nil {
		return fmt.Errorf("begin the run's record: %w", err)
	}
	defer j.w.Close() //nolint:errcheck // of a record that was not sealed, which says so itself
	if n := len(s.start.dirty); n > 0 {
		rep.note("%d file(s) were changed here before the run and not committed: nobody vouches for what becomes of them", n)
	}
	s.traffic = newRunTraffic()
	gateCtx, stop := context.WithCancel(ctx)
	defer stop()
	gate, err := w.runGate(gateCtx, rep, j, token, s.traffic)
	if err != nil {
		return err
	}
	name, email := w.app.gitUser(ctx, w.repo.WorkTree())
	var prepared error
	var etc map[string]string
	_, confined := cage.(run.Confined)
	outcome, runErr := run.Supervise(ctx, run.Options{
		ID: rep.RunID, Folder: home.socket, Token: token, Cage: cage, Journal: j, Start: s.run, Signals: s.ro.Signals, Now: w.app.now,
		Started: func(c string) { s.run.Command.Arguments = c },
		Gateway: gate, Etc: func() map[string]string { return etc },
		Every: w.cfg.Runs.Every(),
		Process: run.Process{
			Args: s.ro.Args, Env: env, Dir: w.repo.WorkTree(), Home: home.dir, Workspace: w.repo.WorkTree(), UID: -1, GID: -1,
			ReadOnly: w.cfg.Runs.Read, ReadWrite: w.cfg.Runs.Write, Protected: instructed,
			Stdin: s.ro.Stdin, Stdout: s.ro.Stdout, Stderr: s.ro.Stderr,
		},
		Environ: func(port int) []string {
			f := profile.Fill{Gateway: fmt.Sprintf("http://127.0.0.1:%d", port), Token: token, Home: home.dir, Model: s.ro.Model}
			prepared = home.generate(p, f, gitIdentity(name, email))
			var installed bool
			var err error
			if confined {
				etc, err = runHooks(rep.Agent, f)
				installed = len(etc) > 0
			} else {
				installed, err = homeHooks(rep.Agent, home.dir, f)
			}
			if prepared = errors.Join(prepared, err); err == nil && installed {
				s.run.Hooks = &predicate.HookBeats{Installed: true}
			}
			return gatewayEnviron(p, f, rep.RunID)
		},
		Checkpoint: func(ctx context.Context, t run.Tally, c run.Confinement) error { return w.checkpoint(ctx, s, j, t, c) },
	})
	runErr = errors.Join(runErr, prepared)
	rep.ExitStatus, rep.Conclusion = outcome.ExitStatus, outcome.Conclusion
	if runErr != nil {
		rep.Conclusion = predicate.ConclusionAborted
	}
	return w.seal(context.WithoutCancel(ctx), rep, s, j, outcome, runErr)
}

func newToken() string {
	var b [20]byte
	rand.Read(b[:]) // never fails: see crypto/rand
	return "sallyport-run-" + strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

// begin fills in what is known of a run before it starts.
func (s *sealer) begin(w *workspace, rep *RunReport) {
	s.run = predicate.AgentRun{
		RunID: rep.RunID, Agent: predicate.Agent{Name: rep.Agent, Version: rep.Version}, Operator: rep.Operator, Repository: rep.Repository,
		StartedAt: predicate.FormatTime(s.start.at), EndedAt: predicate.FormatTime(s.start.at),
		Supervisor: predicate.Supervisor{Version: Version(), Separation: rep.Separation},
		Changes:    predicate.Changes{Hunks: []string{}, Blobs: []predicate.Blob{}, Commits: []string{}},
		Conclusion: predicate.ConclusionAborted, Configuration: w.instructions(s.start), Servers: w.servers(),
		Command: &predicate.Command{Name: filepath.Base(s.ro.Args[0])},
	}
	if file, err := exec.LookPath(s.ro.Args[0]); err == nil {
		if d, err := digestFile(file); err == nil {
			s.run.Command.Digest = string(d)
		}
	}
}

// versionWait bounds what an agent may take to tell its version.
const versionWait = 20 * time.Second

// agentVersion asks an agent that is known for its version. It runs before the run, by the operator's
// will, in the run's environment; not as root, if it is another user's.
func agentVersion(ctx context.Context, rep *RunReport, args []string, p profile.Profile, env []string) string {
	recognised, ok := profile.Recognise(args)
	if len(p.Version) == 0 || !ok || recognised.Name != p.Name {
		return ""
	}
	program := args[:1]
	if len(recognised.Programs) > 0 && !contains(recognised.Programs, filepath.Base(args[0])) && len(args) > 1 {
		program = args[:2] // an interpreter and the script
	}
	if !safeToAsk(program) {
		rep.note("%s is not asked for its version: others than root can write it, and this is root", filepath.Base(program[len(program)-1]))
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, versionWait)
	defer cancel()
	cmd := exec.CommandContext(ctx, program[0], append(append([]string{}, program[1:]...), p.Version...)...)
	cmd.Env, cmd.WaitDelay, cmd.Dir = env, time.Second, os.TempDir()
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return versionIn(string(out))
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

// versionIn returns the first word of a text that begins with a digit, or with a v and a digit.
func versionIn(s string) string {
	for _, word := range strings.Fields(s) {
		v := strings.TrimPrefix(word, "v")
		if v != "" && v[0] >= '0' && v[0] <= '9' && strings.Contains(v, ".") && len(v) <= 64 {
			return strings.Map(func(r rune) rune {
				if r <= ' ' || r >= 0x7f {
					return -1
				}
				return r
			}, v)
		}
	}
	return ""
}

// checkpoint signs and keeps what a run has done so far.
func (w *workspace) checkpoint(ctx context.Context, s *sealer, j runJournal, t run.Tally, c run.Confinement) error {
	fresh, err := w.freshly(ctx)
	if err != nil {
		return err
	}
	defer fresh.repo.Close()
	bundle, err := s.checkpoint(ctx, fresh, j, t, c)
	if err != nil {
		return err
	}
	_, err = s.file(ctx, fresh, bundle)
	return err
}

// freshly opens the workspace a second time: git's helper processes of before the run may be among
// what was ended with it.
func (w *workspace) freshly(ctx context.Context) (*workspace, error) {
	repo, err := git.Open(ctx, w.repo.WorkTree())
	if err != nil {
		return nil, fmt.Errorf("open the workspace after the run: %w", err)
	}
	if repo.CommonDir() != w.repo.CommonDir() || repo.GitDir() != w.repo.GitDir() {
		return nil, errors.Join(errors.New("the workspace belongs to another repository than before the run"), repo.Close())
	}
	n := *w
	n.repo, n.diff, n.cache = repo, nil, nil
	return &n, nil
}

// seal compares the workspace with what it was, ends the record and signs.
func (w *workspace) seal(ctx context.Context, rep *RunReport, s *sealer, j runJournal, outcome run.Outcome, runErr error) error {
	unsealed := func(err error) error {
		return withHint(fmt.Errorf("%w: %w", ErrNotSealed, err), "what the agent wrote is in the workspace, and no run vouches for it")
	}
	if errors.Is(runErr, run.ErrRecord) || errors.Is(runErr, run.ErrLeft) {
		return unsealed(runErr) // a record that could not be written, or that somebody may still be adding to, is not sealed
	}
	fresh, err := w.freshly(ctx)
	if err != nil {
		return unsealed(err)
	}
	defer fresh.repo.Close()
	end, err := fresh.changed(ctx, s.start)
	if err != nil {
		return unsealed(err)
	}
	for _, f := range end.files {
		if err := j.Append(run.KindWrite, f); err != nil {
			return unsealed(err)
		}
	}
	for _, c := range end.changes.Commits {
		if err := j.Append("commit", map[string]string{"commit": c}); err != nil {
			return unsealed(err)
		}
	}
	for _, m := range end.moved {
		if err := j.Append("ref", m); err != nil {
			return unsealed(err)
		}
	}
	reason := ""
	if runErr != nil {
		reason = runErr.Error()
	}
	sealed, err := j.w.Seal(record.End{Conclusion: string(rep.Conclusion), Reason: oneLineOf(reason), ExitStatus: outcome.ExitStatus})
	if err != nil {
		return unsealed(err)
	}
	s.run.Records, s.run.RecordHead = sealed.Records, sealed.Head.String()
	s.traffic.commitment = string(sealed.Prompts)
	s.run.Sealed, s.run.Conclusion, s.run.EndedAt = true, rep.Conclusion, predicate.FormatTime(w.app.now())
	s.run.Command.ExitStatus = int64(min(max(outcome.ExitStatus, 0), 255))
	st, err := s.statement(end, outcome.Tally, outcome.Confinement)
	if err != nil {
		return unsealed(err)
	}
	bundle, err := s.sign(ctx, fresh, st)
	if err != nil {
		return unsealed(err)
	}
	if rep.Attestation, err = s.file(ctx, fresh, bundle); err != nil {
		return unsealed(err)
	}
	rep.Sealed, rep.Records, rep.RecordHead = true, s.run.Records, s.run.RecordHead
	rep.Commits, rep.Files = end.changes.Commits, end.files
	var body predicate.AgentRun
	if body, err = predicate.DecodeAgentRun(st.Predicate); err == nil {
		rep.Sandbox = body.Sandbox
	}
	rep.tell(end)
	// What is sealed stays so if the log can't take it: sallyport record anchor does it again.
	if _, err := w.anchorRecord(ctx, j.w.Dir()); err != nil {
		rep.note("the record is not in the log yet, where sallyport record anchor puts it: %v", err)
	}
	return runErr
}

// tell says what the record does not vouch for.
func (r *RunReport) tell(end *runEnd) {
	if n := len(end.foreign); n > 0 {
		r.note("%d commit(s) appeared that were in the repository before the run: it vouches for its own commits, and for no file or hunk", n)
	}
	if end.mixed && len(end.foreign) == 0 {
		r.note("commits that are not the run's stand among its work: it vouches for its own commits, and for no file, hunk or tree")
	}
	if end.leftOut > 0 {
		r.note("%d changed file(s) are left out, since they had changes before the run", end.leftOut)
	}
	if end.uncommitted > 0 {
		r.note("%d file(s) are changed and in no commit: the run vouches for its commits alone", end.uncommitted)
	}
	if r.Separation == predicate.SeparationNone {
		r.note("the grade is declared: the supervisor ran under your own user, which is the agent's too (docs/runs.md)")
	}
}
