//go:build unix

package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/change"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/key"
	"github.com/sallyport-dev/sallyport/predicate"
)

// What is blamed: a file of so many lines, by so many commits, of which each run made ten and left
// the third ten to persons. Every fourth run's commits were rebased since, so that only their hunks tell.
const (
	blameLines   = 5000
	blameCommits = 1000
	blameRun     = 10
	blameFile    = "src/large.go"
	blameRepo    = "example.com/bench/blame"

	aimBlame = 1.2 // warm, of git blame
)

// blame measures agent blame beside git blame.
func (b *bench) blame(ctx context.Context) error {
	repo, state := filepath.Join(b.dir, "blame.git"), filepath.Join(b.dir, "blame-state")
	runs, err := b.blameStage(ctx, repo, state)
	if err != nil {
		return err
	}
	floor := []string{b.git, "-C", repo, "blame", "HEAD", "--", blameFile}
	ours := []string{b.binary, "agent", "blame", "--repo", repo, "--state", state, "--target", "main", "HEAD", blameFile}
	bare := []string{b.binary, "agent", "blame", "--repo", repo, "--state", filepath.Join(b.dir, "blame-empty"), "--target", "main", "HEAD", blameFile}
	if _, err := b.measure(ctx, floor); err != nil {
		return err
	}
	answer := exec.CommandContext(ctx, ours[0], append(ours[1:], "--json")...) //nolint:gosec // the program that is measured
	answer.Env = b.env
	out, err := answer.Output()
	if err != nil {
		return fmt.Errorf("agent blame: %w", err)
	}
	var told struct {
		Totals struct{ Lines, Attested int }
	}
	if err := json.Unmarshal(out, &told); err != nil || told.Totals.Lines != blameLines {
		return fmt.Errorf("agent blame: %d lines, %w", told.Totals.Lines, err)
	}
	var f, cold, warm, none []measured
	for range max(5, b.rounds) {
		for _, name := range []string{"cache.db", "cache.db-wal", "cache.db-shm"} {
			if err := os.RemoveAll(filepath.Join(state, name)); err != nil {
				return err
			}
		}
		for _, step := range []struct {
			args []string
			into *[]measured
		}{{floor, &f}, {ours, &cold}, {ours, &warm}, {bare, &none}} {
			m, err := b.measure(ctx, step.args)
			if err != nil {
				return err
			}
			*step.into = append(*step.into, m)
		}
	}
	fmt.Fprintf(b.out, "\nagent blame: a SYNTHETIC file of %d lines by %d commits, %d runs with evidence for %d of the lines; %d rounds, medians\n",
		blameLines, blameCommits, runs, told.Totals.Attested, len(f))
	w := table(b.out)
	fmt.Fprintln(w, "\tleast ms\tmedian ms\tCPU ms\tof git blame\t")
	for _, r := range []struct {
		name string
		m    []measured
	}{{"git blame", f}, {"cold", cold}, {"warm", warm}, {"no evidence", none}} {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.2f\t\n", r.name, ms(least(r.m)), ms(median(walls(r.m))), ms(median(cpus(r.m))), ratio(median(walls(r.m)), median(walls(f))))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	times := ratio(median(walls(warm)), median(walls(f)))
	fmt.Fprintf(b.out, "aim: warm within %.1f times git blame (%s)\n", aimBlame, met(times <= aimBlame))
	return nil
}

func least(ms []measured) time.Duration {
	d := ms[0].wall
	for _, m := range ms {
		d = min(d, m.wall)
	}
	return d
}

// blameStage makes the repository and the evidence of its runs.
func (b *bench) blameStage(ctx context.Context, repo, state string) (runs int, err error) {
	k, err := key.Generate(filepath.Join(b.dir, "blame.key"), "supervisor")
	if err != nil {
		return 0, err
	}
	if _, err := b.measure(ctx, []string{b.git, "init", "-q", "--bare", "-b", "main", repo}); err != nil {
		return 0, err
	}
	if err := b.blameImport(ctx, repo, k); err != nil {
		return 0, err
	}
	r, err := git.Open(ctx, repo)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	out, err := r.Output(ctx, 1<<20, nil, "rev-list", "--reverse", b.blameHead(ctx, r))
	if err != nil {
		return 0, err
	}
	ids := strings.Fields(string(out))
	trees, err := r.Trees(ctx, ids)
	if err != nil {
		return 0, err
	}
	var steps []change.Step
	for i := 1; i < len(ids); i++ {
		steps = append(steps, change.Step{Old: trees[i-1], New: trees[i], Path: blameFile})
	}
	made, err := change.New(r, nil).Made(ctx, steps)
	if err != nil {
		return 0, err
	}
	dir := evidence.NewDir(filepath.Join(state, "evidence"))
	for from := 1; from+blameRun <= len(ids); from += blameRun {
		if from/blameRun%3 == 2 {
			continue // persons'
		}
		runs++
		run := predicate.AgentRun{
			RunID: fmt.Sprintf("run-%d", runs), Agent: predicate.Agent{Name: "claude-code"}, Operator: "alice", Repository: blameRepo,
			StartedAt: predicate.FormatTime(time.Unix(1_750_000_000, 0)), EndedAt: predicate.FormatTime(time.Unix(1_750_000_000+int64(runs), 0)),
			Supervisor: predicate.Supervisor{Version: "bench", Separation: predicate.SeparationHost},
			Changes:    predicate.Changes{Commits: []string{}, Hunks: []string{}, Blobs: []predicate.Blob{}},
			Sealed:     true, Records: 1, RecordHead: string(sallyport.SHA256([]byte("x"))), Conclusion: predicate.ConclusionSuccess,
		}
		for i := from; i < from+blameRun; i++ {
			id := ids[i]
			if runs%4 == 0 {
				sum := sha256.Sum256([]byte(id))
				id = hex.EncodeToString(sum[:20])
			}
			run.Changes.Commits = append(run.Changes.Commits, id)
			for _, h := range made[i-1].Hunks {
				run.Changes.Hunks = append(run.Changes.Hunks, h.Digest.Hex())
			}
		}
		body, err := sallyport.EncodeJSON(run)
		if err != nil {
			return 0, err
		}
		st := sallyport.Statement{Type: sallyport.StatementType, PredicateType: predicate.AgentRunType, Predicate: body}
		for _, c := range run.Changes.Commits {
			st.Subject = append(st.Subject, sallyport.StatementSubject{Digest: map[string]string{"gitCommit": c}})
		}
		bundle, err := evidence.Sign(ctx, st, k)
		if err != nil {
			return 0, err
		}
		if _, err := dir.Put(ctx, bundle); err != nil {
			return 0, err
		}
	}
	return runs, nil
}

func (b *bench) blameHead(ctx context.Context, r *git.Repo) string {
	head, err := r.Resolve(ctx, "refs/heads/main")
	if err != nil {
		return "HEAD"
	}
	return head
}

// blameImport writes the history.
func (b *bench) blameImport(ctx context.Context, repo string, k *key.Key) error {
	var s strings.Builder
	w := bufio.NewWriter(&s)
	random := rand.New(rand.NewPCG(5, 6))
	m := &importer{w: w, rand: random, files: map[string][]string{}}
	lines := make([]string, blameLines)
	for i := range lines {
		lines[i] = m.text()
	}
	pem := strings.ReplaceAll(strings.TrimSpace(string(k.PublicPEM())), "\n", "\n      ")
	governed := map[string]string{
		".sallyport/sallyport.yaml": "version: 1\nrepository: " + blameRepo + "\nmode: enforce\n",
		".sallyport/roster.yaml":    "version: 1\npersons:\n  - id: alice\n    name: Alice Example\n    emails: [alice@example.com]\nagents:\n  - name: claude-code\n    operators: [alice]\n",
		".sallyport/trust.yaml": "version: 1\nkeys:\n  - name: supervisor\n    key: |\n      " + pem +
			"\n    principal: {kind: workload, name: supervisor}\n    types: [\"" + predicate.AgentRunType + "\"]\n    grade: observed\n",
	}
	for n := range blameCommits + 1 {
		message := fmt.Sprintf("Edit %d", n)
		if random.IntN(3) == 0 {
			message += "\n\nCo-authored-by: Claude <noreply@anthropic.com>\n"
		}
		fmt.Fprintf(w, "commit refs/heads/main\nmark :%d\ncommitter Alice Example <alice@example.com> %d +0000\ndata %d\n%s\n", n+1, 1_750_000_000+n*600, len(message), message)
		if n > 0 {
			fmt.Fprintf(w, "from :%d\n", n)
			for range 2 + random.IntN(4) { // a few places of a few lines
				at := random.IntN(len(lines) - 8)
				for i := range 1 + random.IntN(5) {
					lines[at+i] = m.text()
				}
			}
		} else {
			for name, text := range governed {
				fmt.Fprintf(w, "M 100644 inline %s\ndata %d\n%s\n", name, len(text), text)
			}
		}
		text := strings.Join(lines, "\n") + "\n"
		fmt.Fprintf(w, "M 100644 inline %s\ndata %d\n%s\n", blameFile, len(text), text)
	}
	w.WriteString("done\n")
	w.Flush()
	cmd := exec.CommandContext(ctx, b.git, "-C", repo, "fast-import", "--quiet", "--done")
	cmd.Env, cmd.Stdin = b.env, strings.NewReader(s.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git fast-import: %w\n%s", err, out)
	}
	return nil
}
