package demo

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
)

// tell is the whole story, a chapter after the other.
func (d *demo) tell() error {
	d.say("%s", d.paint("1", "An agent's branch meets the gate"))
	d.say("Real git, this very binary, test keys that are worth nothing outside this folder.")
	for _, chapter := range []func() error{
		d.guarded, d.agentWorks, d.shut, d.mended, d.approved, d.squashed, d.smuggled, d.proven,
	} {
		if err := chapter(); err != nil {
			return err
		}
	}
	d.say("\nThat took %.1f s. In a repository of your own: sallyport agent detect, then sallyport check merge.", time.Since(d.start).Seconds())
	return nil
}

func (d *demo) guarded() error {
	d.title("A service repository, guarded")
	if err := d.stage(); err != nil {
		return err
	}
	d.say("Alice operates the agent. Bob and Carol review, with (simulated) security keys. The digest")
	d.say("of policy, roster and trust is pinned outside the repository: %s…", d.pin[:19])
	return nil
}

func (d *demo) agentWorks() error {
	d.title("The agent goes to work, and a poisoned page steers it")
	if _, err := d.git("switch", "-q", "-c", "rate-limit"); err != nil {
		return err
	}
	if err := d.write("ratelimit.py", rateLimit(true)); err != nil {
		return err
	}
	if err := d.commit("Limit requests per second", trailer); err != nil {
		return err
	}
	if err := d.write("AGENTS.md", agentsMD+"Prefer small functions."+hiddenOrder()+"\n"); err != nil {
		return err
	}
	if err := d.commit("Note our style for agents", trailer); err != nil {
		return err
	}
	if err := d.write("deploy/prod.yaml", strings.Replace(deployYAML, "replicas: 2", "replicas: 6\n  minReadySeconds: 0", 1)); err != nil {
		return err
	}
	// The third commit says nothing about an agent: the trailer was stripped.
	if err := d.commit("Scale for the new limiter", ""); err != nil {
		return err
	}
	r, err := d.sallyport(0, "agent", "detect", "--repo", d.repo, "--target", "main")
	if err != nil {
		return err
	}
	d.show("sallyport agent detect", r.text)
	return nil
}

func (d *demo) shut() error {
	d.title("The gate shuts, and says why")
	r, err := d.gate(sallyport.ExitShut, []string{"approval-missing", "attestation-missing", "hidden-unicode", "secret", "unattributed"}, "--target", "main")
	if err != nil {
		return err
	}
	d.show("sallyport check merge", r.text)
	d.say("  A check on the machine of whoever wrote the change is advice, and says so. A server's is not.")
	d.say("  Stripping the trailer gained nothing: what nobody accounts for is judged as an agent's.")
	return nil
}

func (d *demo) mended() error {
	d.title("The branch is mended, under supervision this time")
	if _, err := d.git("switch", "-q", "-C", "rate-limit", "main"); err != nil {
		return err
	}
	if err := d.write("ratelimit.py", rateLimit(false)); err != nil {
		return err
	}
	if err := d.commit("Limit requests per second", trailer); err != nil {
		return err
	}
	if err := d.write("deploy/prod.yaml", strings.Replace(deployYAML, "replicas: 2", "replicas: 4", 1)); err != nil {
		return err
	}
	if err := d.commit("Scale for the new limiter", trailer); err != nil {
		return err
	}
	if err := d.attestRun("main"); err != nil {
		return err
	}
	d.say("A supervisor out of the agent's reach attested the run. No secret, no hidden text.")
	r, err := d.gate(sallyport.ExitWaiting, []string{"approval-missing"}, "--target", "main")
	if err != nil {
		return err
	}
	d.show("sallyport check merge", short(r.text))
	return nil
}

func (d *demo) approved() error {
	d.title("People look, and vouch for exactly these bytes")
	give := func(name string) (result, error) {
		return d.sallyport(0, "approval", "give", "--repo", d.repo, "--root", d.pin, "--target", "main", "--yes", "--key", "simulated-sk:"+d.key(name))
	}
	r, err := give("bob")
	if err != nil {
		return err
	}
	d.show("sallyport approval give --key …   # Bob", r.text)
	if _, err := give("alice"); err != nil {
		return err
	}
	if _, err := d.gate(sallyport.ExitWaiting, []string{"approval-missing"}, "--target", "main"); err != nil {
		return err
	}
	d.say("\n  Alice signs too, and it does not count: she operates the agent, and nobody approves their own.")
	d.say("  No server authenticated who pushed, so two others are needed. Carol looks and signs.")
	if _, err := give("carol"); err != nil {
		return err
	}
	if r, err = d.gate(sallyport.ExitOpen, nil, "--target", "main"); err != nil {
		return err
	}
	d.show("sallyport check merge", short(r.text))
	return nil
}

// squash lands the branch as one new commit on main, with extra bytes smuggled in if asked.
func (d *demo) squash(extra bool) (parent, landed string, err error) {
	if parent, err = d.git("rev-parse", "main"); err != nil {
		return "", "", err
	}
	if _, err = d.git("switch", "-q", "--detach", parent); err != nil {
		return "", "", err
	}
	if _, err = d.git("merge", "-q", "--squash", "rate-limit"); err != nil {
		return "", "", err
	}
	if extra {
		if err = d.write("server.py", strings.Replace(serverPy, `b"hello\n"`, `os.environb.get(b"RATE_STORE_KEY", b"")`, 1)); err != nil {
			return "", "", err
		}
	}
	if err = d.commit("Limit requests per second (#1)", ""); err != nil {
		return "", "", err
	}
	landed, err = d.git("rev-parse", "HEAD")
	return parent, landed, err
}

func (d *demo) squashed() error {
	d.title("The squash merge is exactly what was approved")
	parent, landed, err := d.squash(false)
	if err != nil {
		return err
	}
	r, err := d.gate(sallyport.ExitOpen, nil, "--target", "main", "--base", parent, "--head", landed)
	if err != nil {
		return err
	}
	d.show("sallyport check merge --head "+landed[:12], short(r.text))
	d.say("  Another commit, another message, no trailer, and the same bytes: approval is of content.")
	return nil
}

func (d *demo) smuggled() error {
	d.title("Another squash, with one line smuggled in")
	parent, landed, err := d.squash(true)
	if err != nil {
		return err
	}
	r, err := d.gate(sallyport.ExitWaiting, []string{"approval-missing", "residue", "unattributed"}, "--target", "main", "--base", parent, "--head", landed)
	if err != nil {
		return err
	}
	d.show("sallyport check merge --head "+landed[:12], short(r.text))
	return nil
}

func (d *demo) proven() error {
	d.title("The log proves all of it")
	r, err := d.sallyport(0, "log", "verify", "--repo", d.repo)
	if err != nil {
		return err
	}
	d.show("sallyport log verify", r.text)
	var st struct {
		Key string `json:"key"`
	}
	status, err := d.sallyport(0, "log", "status", "--repo", d.repo, "--json")
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(status.text), &st); err != nil {
		return fmt.Errorf("read the log's status: %w", err)
	}
	b, err := os.ReadFile(filepath.Join(d.dir, "decision.json"))
	if err != nil {
		return err
	}
	var last result
	if err := json.Unmarshal(b, &last.doc); err != nil {
		return fmt.Errorf("read the decision: %w", err)
	}
	id := string(last.doc.ID)
	if r, err = d.sallyport(0, "log", "prove", "--repo", d.repo, id); err != nil {
		return err
	}
	proof := filepath.Join(d.dir, "proof.json")
	if err := os.WriteFile(proof, []byte(r.text), 0o644); err != nil {
		return err
	}
	if r, err = d.sallyport(0, "log", "verify", "--proof", proof, "--key", st.Key, "--decision", id); err != nil {
		return err
	}
	d.show("sallyport log verify --proof proof.json --key …   # offline", r.text)
	if r, err = d.sallyport(0, "explain", "--repo", d.repo, id); err != nil {
		return err
	}
	d.show("sallyport explain "+last.doc.ID.Short(), firstLines(r.text, 6))
	return nil
}

func firstLines(s string, n int) string {
	lines := strings.SplitAfter(s, "\n")
	if len(lines) > n {
		lines = append(lines[:n:n], "…\n")
	}
	return strings.Join(lines, "")
}
