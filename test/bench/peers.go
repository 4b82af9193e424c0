//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// peers are the programs that a team would chain by hand to learn part of what the gate says:
// secrets, what the tree depends on, and a policy over a document that somebody else wrote. They
// are built from modules of their own. One that is missing fails the run: a figure that was
// measured some other day on some other machine is no comparison.
var peers = []struct{ name, program string }{
	{"gitleaks", "github.com/zricethezav/gitleaks/v8"},
	{"syft", "github.com/anchore/syft/cmd/syft"},
	{"opa", "github.com/open-policy-agent/opa"},
	{"cosign", "github.com/sigstore/cosign/v3/cmd/cosign"},
}

// buildPeers builds the peers from test/peers and returns where they are.
func (b *bench) buildPeers(ctx context.Context) (map[string]string, error) {
	if b.built != nil {
		return b.built, nil
	}
	top, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return nil, fmt.Errorf("find the module: %w", err)
	}
	built := map[string]string{}
	for _, p := range peers {
		dir := filepath.Join(strings.TrimSpace(string(top)), "test", "peers", p.name)
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
			return nil, fmt.Errorf("the peer %s is missing: %w", p.name, err)
		}
		built[p.name] = filepath.Join(b.dir, p.name)
		cmd := exec.CommandContext(ctx, "go", "build", "-mod=readonly", "-trimpath", "-ldflags=-s -w", "-o", built[p.name], p.program)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build the peer %s: %w\n%s", p.name, err, out)
		}
	}
	b.built = built
	return built, nil
}

// byHand is the policy that the chain evaluates: the simplest that anybody would write.
const byHand = `package agent.policy
import rego.v1
deny contains msg if {
	input.pull_request.from_agent
	not input.pull_request.has_attestation
	msg := "Agent-generated change requires attestation and human approval."
}
`

// chain measures the gate about twenty commits beside gitleaks, syft and opa one after another
// over the same commits. Rounds take turns.
//
// The chain does less: it attributes nothing, verifies no evidence, records nothing, and reads
// its from_agent from a file that the bench wrote. It also does what the gate does not: syft
// catalogues the whole tree, which here is checked out before the clock starts.
func (b *bench) chain(ctx context.Context) error {
	built, err := b.buildPeers(ctx)
	if err != nil {
		return err
	}
	head, _, err := b.history(ctx)
	if err != nil {
		return err
	}
	base, commits, err := b.base(ctx, head, 20)
	if err != nil {
		return err
	}
	tree, policy, input := filepath.Join(b.dir, "tree"), filepath.Join(b.dir, "policy.rego"), filepath.Join(b.dir, "input.json")
	if err := b.checkOut(ctx, head, tree); err != nil {
		return err
	}
	for name, text := range map[string]string{policy: byHand, input: `{"pull_request": {"from_agent": true, "has_attestation": false, "human_approved": false}}` + "\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return err
		}
	}
	env := b.env
	defer func() { b.env = env }()
	b.env = append(b.env, "SYFT_CHECK_FOR_APP_UPDATE=false")
	steps := []struct {
		name string
		args []string
	}{
		{"gitleaks", []string{built["gitleaks"], "git", "--no-banner", "--log-level", "error", "--exit-code", "0",
			"--report-path", filepath.Join(b.dir, "leaks.json"), "--log-opts", base + ".." + head, b.repo}},
		{"syft", []string{built["syft"], "scan", "dir:" + tree, "--quiet", "--output", "json=" + filepath.Join(b.dir, "sbom.json")}},
		{"opa", []string{built["opa"], "eval", "--format", "raw", "--data", policy, "--input", input, "data.agent.policy.deny"}},
	}
	runs := make([][]measured, len(steps))
	var cold, warm []measured
	for round := range b.rounds + 1 { // the first only reads everything into memory
		state := filepath.Join(b.dir, fmt.Sprintf("chain-%d", round))
		check := []string{b.binary, "check", "merge", "--repo", b.repo, "--state", state, "--target", "bench", "--base", base, "--head", head}
		for i, s := range steps {
			m, err := b.measure(ctx, s.args)
			if err != nil {
				return err
			}
			if round > 0 {
				runs[i] = append(runs[i], m)
			}
		}
		for _, into := range []*[]measured{&cold, &warm} {
			m, err := b.measure(ctx, check, verdicts...)
			if err != nil {
				return err
			}
			if round > 0 {
				*into = append(*into, m)
			}
		}
	}
	fmt.Fprintf(b.out, "\n%d commits: the gate beside gitleaks, syft and opa chained by hand; medians of %d rounds\n", commits, b.rounds)
	w := table(b.out)
	fmt.Fprintln(w, "\twall ms\tCPU ms\tpeak MiB\t× the gate, warm\t")
	c, m := median(walls(cold)), median(walls(warm))
	line := func(name string, wall, cpu time.Duration, peak int64) {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.1f\t\n", name, ms(wall), ms(cpu), mib(peak), ratio(wall, m))
	}
	var wall, cpu time.Duration
	var peak int64
	for i, s := range steps {
		line(s.name, median(walls(runs[i])), median(cpus(runs[i])), largest(runs[i], treePeak))
		wall, cpu, peak = wall+median(walls(runs[i])), cpu+median(cpus(runs[i])), max(peak, largest(runs[i], treePeak))
	}
	line("the three", wall, cpu, peak)
	line("gate, cold", c, median(cpus(cold)), largest(cold, treePeak))
	line("gate, warm", m, median(cpus(warm)), largest(warm, treePeak))
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(b.out, "the gate decides %.1f times as fast as the three run, cold, and %.1f times warm\n", ratio(wall, c), ratio(wall, m))
	return nil
}

// checkOut writes the tree of a commit into a folder, without touching the repository.
func (b *bench) checkOut(ctx context.Context, commit, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	archive := exec.CommandContext(ctx, b.git, "-C", b.repo, "archive", commit)
	untar := exec.CommandContext(ctx, "tar", "-x", "-C", dir)
	archive.Env, untar.Env = b.env, b.env
	pipe, err := archive.StdoutPipe()
	if err != nil {
		return err
	}
	untar.Stdin = pipe
	if err := untar.Start(); err != nil {
		return err
	}
	return errors.Join(archive.Run(), untar.Wait())
}
