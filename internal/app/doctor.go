package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/policy"
	"github.com/sallyport-dev/sallyport/internal/tlog/tessera"
)

// A CheckState is how one of doctor's checks stands.
type CheckState string

// The states.
const (
	OK     CheckState = "ok"
	Advice CheckState = "advice" // it works, and makes results advice or leaves something out
	Broken CheckState = "broken" // commands will fail until it is mended
)

// A Check is one thing that doctor looked at.
type Check struct {
	Name  string     `json:"name"`
	State CheckState `json:"state"`
	Text  string     `json:"text"`
	Next  string     `json:"next,omitempty"`
}

// Doctor looks at what commands here depend on. It changes nothing that is recorded.
func (a *App) Doctor(ctx context.Context, o Options) []Check {
	checks := []Check{checkGit(ctx), checkSSHKeygen()}
	w, err := a.open(ctx, o)
	if err != nil {
		return append(checks, broken("repository", err))
	}
	defer w.Close()
	checks = append(checks, Check{Name: "repository", State: OK, Text: w.repo.ObjectFormat() + ", " + w.repo.CommonDir()})
	if err := w.findTip(ctx); err != nil {
		return append(checks, broken("target", err))
	}
	checks = append(checks, Check{Name: "target", State: OK, Text: w.target.Ref + " at " + shortID(w.target.Base)})
	if err := w.governed(ctx, ""); err != nil {
		return append(checks, broken("governing files", err))
	}
	checks = append(checks, w.checkTrust()...)
	checks = append(checks, w.checkRoot()...)
	checks = append(checks, w.checkReleases(ctx)...)
	checks = append(checks, w.checkEnforcers(ctx)...)
	return append(checks, w.checkLog(ctx)...)
}

func broken(name string, err error) Check {
	c := Check{Name: name, State: Broken, Text: err.Error()}
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		c.Next = hinted.Hint()
	}
	return c
}

func checkGit(ctx context.Context) Check {
	out, err := exec.CommandContext(ctx, "git", "version").Output()
	if err != nil {
		return Check{Name: "git", State: Broken, Text: "git does not run", Next: "install git 2.39 or newer"}
	}
	return gitIs(strings.TrimSpace(string(out)))
}

// gitIs judges what git says of itself, such as "git version 2.39.5 (Apple Git-154)".
func gitIs(said string) Check {
	var major, minor int
	if _, err := fmt.Sscanf(said, "git version %d.%d", &major, &minor); err != nil {
		return Check{Name: "git", State: Advice, Text: "its version cannot be read: " + said, Next: "sallyport needs git 2.39 or newer"}
	}
	if major < 2 || major == 2 && minor < 39 {
		return Check{Name: "git", State: Broken, Text: said + " is too old", Next: "install git 2.39 or newer"}
	}
	return Check{Name: "git", State: OK, Text: said}
}

func checkSSHKeygen() Check {
	if path, err := exec.LookPath("ssh-keygen"); err == nil {
		return Check{Name: "ssh-keygen", State: OK, Text: path}
	}
	return Check{Name: "ssh-keygen", State: Advice, Text: "not found: security keys cannot sign approvals from here", Next: "install OpenSSH's client"}
}

// checkTrust says what makes a result advice.
func (w *workspace) checkTrust() []Check {
	var checks []Check
	trust := w.gov.Trust
	if trust.Pinned {
		c := Check{Name: "root", State: OK, Text: "pinned: " + string(trust.Root)}
		if trust.Root != trust.Pin {
			c.Text = fmt.Sprintf("version %d, to which signatures lead from the pinned %s: %s", trust.Version, trust.Pin, trust.Root)
		}
		if trust.RootChanged {
			c = Check{Name: "root", State: Broken, Text: "the target's tip holds other governed files than the root in force, " + string(trust.Root), Next: "sallyport root verify"}
		}
		checks = append(checks, c)
	} else {
		checks = append(checks, Check{Name: "root", State: Advice, Text: "no root digest is pinned: results are advice", Next: "sallyport root init, then SALLYPORT_ROOT in the CI settings or --root in the server's hook"})
	}
	if w.gov.Files == nil {
		next := "sallyport init"
		if files, err := w.workTreeFiles(); err == nil && len(files) > 0 {
			next = "commit and merge " + policy.GovernedDir + " into the target"
		}
		return append(checks, Check{Name: "policy", State: Advice, Text: "none on the target: the built-in baseline judges", Next: next})
	}
	if b, ok := w.eval.(brokenPolicy); ok {
		return append(checks, Check{Name: "policy", State: Broken, Text: b.err.Error(), Next: "sallyport policy test .sallyport/FOLDER"})
	}
	checks = append(checks, Check{Name: "policy", State: OK, Text: fmt.Sprintf("mode %s, %d set(s)", orDefault(string(w.cfg.Mode), "enforce"), len(w.sets))})
	if n := len(w.roster.Persons); n == 0 {
		checks = append(checks, Check{Name: "roster", State: Advice, Text: "it names nobody, so nobody can approve", Next: "name your reviewers in " + rosterPath})
	} else {
		checks = append(checks, Check{Name: "roster", State: OK, Text: fmt.Sprintf("%d person(s), %d agent(s), %d bot(s)", n, len(w.roster.Agents), len(w.roster.Bots))})
	}
	if len(w.trust) == 0 {
		checks = append(checks, Check{Name: "trust", State: Advice, Text: "no key may sign run evidence: agents' changes stay shut", Next: "name a supervisor's key in " + trustPath})
	} else {
		checks = append(checks, Check{Name: "trust", State: OK, Text: fmt.Sprintf("%d key(s)", len(w.trust))})
	}
	return append(checks, endingKeys(w.keys(), w.app.now())...)
}

func (w *workspace) checkLog(ctx context.Context) []Check {
	if _, err := os.Lstat(w.path("state.db")); err != nil {
		if _, err := os.Lstat(w.path("log")); err != nil {
			return []Check{{Name: "log", State: OK, Text: "none yet: the first check makes it in " + w.dir}}
		}
	}
	s, err := w.openState(ctx, false)
	if err != nil {
		return []Check{broken("log", err)}
	}
	defer s.Close()
	st, err := tessera.NewReader(w.path("log"), s.marker.VerifierKey).Check(ctx, s.known)
	if err != nil {
		return []Check{broken("log", asLogError(err))}
	}
	checks := []Check{{Name: "log", State: OK, Text: fmt.Sprintf("%s, %d entries", st.Origin, st.Head.Size)}}
	rec, err := w.recorder(ctx)
	if err != nil {
		return append(checks, broken("verifier key", err))
	}
	defer rec.Close()
	for _, text := range rec.advice(w.trust) {
		checks = append(checks, Check{Name: "verifier key", State: Advice, Text: text, Next: "list " + w.verifierPublic() + " in trust.yaml if this machine is out of the agents' reach"})
	}
	return checks
}

// verifierPublic says where the public half of the verifier's key is found.
func (w *workspace) verifierPublic() string {
	if w.app.Getenv(verifierVariable) != "" {
		return "what sallyport key show prints of $" + verifierVariable
	}
	return w.path("verifier.key.pub")
}

// originURL returns the address of the remote origin, or "".
func (w *workspace) originURL(ctx context.Context) string {
	url, err := w.repo.RemoteURL(ctx, "origin")
	if err != nil && !errors.Is(err, git.ErrNotFound) {
		return ""
	}
	return url
}
