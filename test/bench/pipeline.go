//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// aims of the pipeline: times as fast as the chain of an npm application and of a Go service, and
// with nothing new; of the chain's peak memory at most this part.
const (
	aimNPM       = 8.0
	aimGo        = 12.0
	aimUnchanged = 28.0
	aimMemory    = 0.5
	aimSBOM      = 100 * time.Millisecond
)

// benchPolicy is the merge gate's while the bench makes its repository: what was committed by people who
// signed nothing would wait for approvals otherwise, and no release could be measured that is open.
const benchPolicy = `package sallyport.merge

deny contains {"code": "secret", "outcome": "shut", "text": "a secret"} if {
	some finding in input.findings
	finding.kind == "secret"
	finding.severity == "critical"
	not input.change
}
`

// A releaseBench is one repository, ready to be released.
type releaseBench struct {
	*bench
	name, repo, base, head string
	key, state, pin        string
	npm                    bool
}

// artifactSize is that of the file which both release, in bytes.
const artifactSize = 20 << 20

// pipelines measures the pipeline beside the same work chained by hand, over each repository.
func (b *bench) pipelines(ctx context.Context, repos []string) error {
	built, err := b.buildPeers(ctx)
	if err != nil {
		return err
	}
	for _, repo := range repos {
		r, err := b.prepareRelease(ctx, repo)
		if err != nil {
			return fmt.Errorf("%s: %w", repo, err)
		}
		if err := r.compare(ctx, built); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return nil
}

// prepareRelease clones a repository, adopts the release gate twenty commits ago, and has the merge gate judge what
// came since. None of it is measured: it is there before a release begins.
func (b *bench) prepareRelease(ctx context.Context, from string) (*releaseBench, error) {
	dir, err := os.MkdirTemp(b.dir, "release")
	if err != nil {
		return nil, err
	}
	r := &releaseBench{bench: b, repo: filepath.Join(dir, "tree"), key: filepath.Join(dir, "release"), state: filepath.Join(dir, "state")}
	r.name = strings.TrimSuffix(filepath.Base(strings.TrimSuffix(from, "/repo")), ".git")
	if err := r.do(ctx, b.git, "clone", "-q", "--no-local", from, r.repo); err != nil {
		return nil, err
	}
	keep := b.repo
	b.repo = filepath.Join(r.repo, ".git")
	head, _, err := b.history(ctx)
	if err == nil {
		r.base, _, err = b.base(ctx, head, 20)
	}
	b.repo = keep
	if err != nil {
		return nil, err
	}
	_, err = os.Stat(filepath.Join(r.repo, "package-lock.json"))
	r.npm = err == nil
	if err := os.Mkdir(r.state, 0o700); err != nil {
		return nil, err
	}
	for _, k := range []string{r.key, filepath.Join(r.state, "verifier.key")} {
		if err := r.do(ctx, b.binary, "key", "generate", k); err != nil {
			return nil, err
		}
	}
	if err := r.govern(ctx); err != nil {
		return nil, err
	}
	return r, r.do(ctx, b.binary, "check", "merge", "--repo", r.repo, "--state", r.state, "--root", r.pin, "--target", "bench", "--base", r.base, "--head", r.head)
}

// govern commits what governs, and an artifact's seed beside the repository.
func (r *releaseBench) govern(ctx context.Context) error {
	keyEntry := func(name, path, types string) (string, error) {
		out, err := exec.CommandContext(ctx, r.binary, "key", "show", path).Output()
		_, pem, _ := strings.Cut(string(out), "\n")
		return fmt.Sprintf("  - name: %s\n    key: |\n      %s\n    principal: {kind: workload, name: %s}\n    types: [%s]\n    grade: observed\n",
			name, strings.ReplaceAll(strings.TrimSpace(pem), "\n", "\n      "), name, types), err
	}
	verifier, err := keyEntry("verifier", filepath.Join(r.state, "verifier.key"), "https://slsa.dev/verification_summary/v1")
	if err != nil {
		return err
	}
	release, err := keyEntry("release", r.key, "https://slsa.dev/provenance/v1, https://cyclonedx.org/bom, https://in-toto.io/attestation/reference/v0.1, https://in-toto.io/attestation/test-result/v0.1")
	if err != nil {
		return err
	}
	seed := filepath.Join(filepath.Dir(r.repo), "seed")
	random, err := os.Open("/dev/urandom")
	if err != nil {
		return err
	}
	defer random.Close()
	b := make([]byte, artifactSize)
	if _, err := random.Read(b); err != nil {
		return err
	}
	governed := filepath.Join(r.repo, ".sallyport")
	for _, f := range []struct{ name, text string }{
		{seed, string(b)},
		{filepath.Join(governed, "bench", "merge.rego"), benchPolicy},
		{filepath.Join(governed, "trust.yaml"), "version: 1\nkeys:\n" + verifier + release},
		{filepath.Join(governed, "roster.yaml"), "version: 1\npersons:\n  - {id: bench, name: Bench, emails: [bench@example.com], roles: [reviewer]}\n"},
		{filepath.Join(governed, "sallyport.yaml"), fmt.Sprintf(`version: 1
repository: example.com/bench/%s
policy: {sets: [bench]}
gates: {release: {adoption: %s}}
pipeline:
  tests: [{name: unit, run: ["true"]}]
  build: {run: [cp, %q, dist-of-bench]}
  artifacts: [dist-of-bench]
`, "app", r.base, seed)},
	} {
		if err := os.MkdirAll(filepath.Dir(f.name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(f.name, []byte(f.text), 0o644); err != nil {
			return err
		}
	}
	out, err := r.text(ctx, r.binary, "root", "init", "--repo", r.repo)
	if err != nil {
		return err
	}
	if r.pin = regexp.MustCompile(`sha256:[0-9a-f]{64}`).FindString(out); r.pin == "" {
		return fmt.Errorf("root init prints no digest: %s", out)
	}
	ignore, err := os.OpenFile(filepath.Join(r.repo, ".gitignore"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	fmt.Fprintln(ignore, "\n/dist-of-bench")
	if err := ignore.Close(); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"checkout", "-q", "-B", "bench"}, {"add", "-f", ".sallyport", ".gitignore"},
		{"-c", "user.name=Bench", "-c", "user.email=bench@example.com", "commit", "-q", "-m", "Adopt the release gate"},
	} {
		if err := r.do(ctx, append([]string{r.git, "-C", r.repo}, args...)...); err != nil {
			return err
		}
	}
	r.head, err = r.text(ctx, r.git, "-C", r.repo, "rev-parse", "HEAD")
	r.head = strings.TrimSpace(r.head)
	return err
}

func (r *releaseBench) text(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env, cmd.Dir = r.env, r.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

func (r *releaseBench) do(ctx context.Context, args ...string) error {
	_, err := r.text(ctx, args...)
	return err
}

// byHandSteps is the chain: what a team runs between "tests pass" and "publish", a process each. It makes two
// attestations and a signature where the pipeline makes seven, tells nothing of who ran it, and its gate is five rules over a document that
// the bench wrote.
func (r *releaseBench) byHandSteps(ctx context.Context, built map[string]string, dir string) ([][]string, error) {
	at := func(name string) string { return filepath.Join(dir, name) }
	r.env = append(r.env, "SYFT_CHECK_FOR_APP_UPDATE=false", "COSIGN_PASSWORD=bench", "SYFT_GOLANG_SEARCH_REMOTE_LICENSES=false")
	seed := filepath.Join(filepath.Dir(r.repo), "seed")
	for name, text := range map[string]string{"policy.rego": byHand, "input.json": `{"pull_request": {"from_agent": true, "has_attestation": false, "human_approved": false}}`} {
		if err := os.WriteFile(at(name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	cosign := built["cosign"]
	if err := r.do(ctx, cosign, "generate-key-pair", "--output-key-prefix", at("cosign")); err != nil {
		return nil, err
	}
	if err := r.do(ctx, cosign, "signing-config", "create", "--out", at("signing.json")); err != nil {
		return nil, err
	}
	attest := func(predicate, typ, bundle string) []string {
		return []string{cosign, "attest-blob", "--yes", "--key", at("cosign.key"), "--signing-config", at("signing.json"), "--predicate", at(predicate), "--type", typ, "--bundle", at(bundle), at("artifact")}
	}
	return [][]string{
		{built["gitleaks"], "git", "--no-banner", "--log-level", "error", "--exit-code", "0", "--report-path", at("leaks.json"), "--log-opts", r.base + ".." + r.head, r.repo},
		{"cp", seed, at("artifact")},
		{built["syft"], "scan", "dir:" + r.repo, "--quiet", "--output", "cyclonedx-json=" + at("cdx.json"), "--output", "spdx-json=" + at("spdx.json")},
		attest("cdx.json", "cyclonedx", "cdx.bundle"),
		attest("spdx.json", "spdxjson", "spdx.bundle"),
		{cosign, "sign-blob", "--yes", "--key", at("cosign.key"), "--signing-config", at("signing.json"), "--bundle", at("sig.bundle"), at("artifact")},
		{built["opa"], "eval", "--format", "raw", "--data", at("policy.rego"), "--input", at("input.json"), "data.agent.policy.deny"},
		{cosign, "verify-blob-attestation", "--key", at("cosign.pub"), "--insecure-ignore-tlog", "--bundle", at("cdx.bundle"), "--type", "cyclonedx", at("artifact")},
		{cosign, "verify-blob", "--key", at("cosign.pub"), "--insecure-ignore-tlog", "--bundle", at("sig.bundle"), at("artifact")},
	}, nil
}

// compare runs both in turns.
func (r *releaseBench) compare(ctx context.Context, built map[string]string) error {
	env := r.env
	defer func() { r.bench.env = env }()
	var first, again, bill []measured
	var chain [][]measured
	for round := range r.rounds + 1 { // the first only reads everything into memory
		dir, err := os.MkdirTemp(r.dir, "chain")
		if err != nil {
			return err
		}
		r.bench.env = env
		steps, err := r.byHandSteps(ctx, built, dir)
		if err != nil {
			return err
		}
		var took []measured
		for _, s := range steps {
			m, err := r.measure(ctx, s)
			if err != nil {
				return err
			}
			took = append(took, m)
		}
		state := filepath.Join(dir, "state")
		if err := r.do(ctx, "cp", "-r", r.state, state); err != nil {
			return err
		}
		_ = os.Remove(filepath.Join(state, "cache.db")) // what the merge gate scanned is not there yet on a fresh runner
		out := filepath.Join(dir, "out")
		run := []string{r.binary, "pipeline", "--repo", r.repo, "--state", state, "--root", r.pin, "--target", "bench", "--key", r.key, "--output-dir", out}
		_ = os.Remove(filepath.Join(r.repo, "dist-of-bench"))
		f, err := r.measure(ctx, run)
		if err != nil {
			return err
		}
		a, err := r.measure(ctx, run)
		if err != nil {
			return err
		}
		s, err := r.measure(ctx, []string{r.binary, "sbom", "git:HEAD", "--repo", r.repo, "--state", state, "--output", "spdx=" + filepath.Join(dir, "s"), "--output", "cyclonedx=" + filepath.Join(dir, "c")})
		if err != nil {
			return err
		}
		if round > 0 {
			chain, first, again, bill = append(chain, took), append(first, f), append(again, a), append(bill, s)
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return r.tell(chain, first, again, bill)
}

func (r *releaseBench) tell(chain [][]measured, first, again, bill []measured) error {
	var sums []measured
	for _, took := range chain {
		var sum measured
		for _, m := range took {
			sum.wall, sum.cpu, sum.tree = sum.wall+m.wall, sum.cpu+m.cpu, max(sum.tree, m.tree)
		}
		sums = append(sums, sum)
	}
	kind, aim := "a Go service", aimGo
	if r.npm {
		kind, aim = "an npm application", aimNPM
	}
	fmt.Fprintf(r.out, "\n%s, %s: the pipeline beside gitleaks, syft, cosign and opa chained by hand; medians of %d rounds\n", r.name, kind, r.rounds)
	w := table(r.out)
	fmt.Fprintln(w, "\twall ms\tCPU ms\tpeak MiB\ttimes as fast\t")
	c := median(walls(sums))
	line := func(name string, ms1 []measured) {
		m := median(walls(ms1))
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.1f\t\n", name, ms(m), ms(median(cpus(ms1))), mib(largest(ms1, treePeak)), ratio(c, m))
	}
	line("nine processes", sums)
	line("pipeline", first)
	line("pipeline, nothing new", again)
	line("its sbom alone", bill)
	if err := w.Flush(); err != nil {
		return err
	}
	f, a, s := ratio(c, median(walls(first))), ratio(c, median(walls(again))), median(walls(bill))
	mem := float64(largest(first, treePeak)) / float64(largest(sums, treePeak))
	fmt.Fprintf(r.out, "aims: %.0f times (%s), nothing new %.0f times (%s), at most %.1f of the memory (%.2f, %s), the bill within %s ms (%s)\n",
		aim, met(f >= aim), aimUnchanged, met(a >= aimUnchanged), aimMemory, mem, met(mem <= aimMemory), ms(aimSBOM), met(s <= aimSBOM))
	return nil
}
