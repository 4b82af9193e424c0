package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
	"github.com/sallyport-dev/sallyport/internal/policy"
)

// soon is how long before something ends doctor says so.
const soon = 30 * 24 * time.Hour

// checkRoot says what the root in force will be stopped by: its end, keys that expire, a threshold
// that cannot be met, a version that waits.
func (w *workspace) checkRoot() []Check {
	root, err := policy.ParseRoot(w.gov.Files[policy.RootPath])
	if err != nil {
		return nil // there is none, and checkTrust has said so
	}
	now, day := w.app.now(), time.DateOnly
	var checks []Check
	add := func(name string, state CheckState, text, next string) {
		checks = append(checks, Check{Name: name, State: state, Text: text, Next: next})
	}
	if end, err := time.Parse(time.RFC3339, root.Expires); err == nil && !now.Before(end.Add(-soon)) {
		add("root expiry", Advice, fmt.Sprintf("nothing is decided under version %d of the root from %s on", root.Version, root.Expires),
			"sallyport root rotate --expires "+now.AddDate(1, 0, 0).Format(day)+", and have it signed")
	}
	keys, valid, ending := keyring(), map[string]bool{}, []string{}
	for _, k := range root.Keys {
		person, present, end := keys(w.gov.Files, k.Fingerprint)
		if person == k.Person && present && (end.IsZero() || !now.After(end)) {
			valid[person] = true
			if !end.IsZero() && !now.Before(end.Add(-soon)) {
				ending = append(ending, k.Person+"'s on "+end.UTC().Format(day))
			}
		}
	}
	switch {
	case root.Threshold == 0:
		add("root keys", Advice, "none: only another pin can change what governs", "give persons with enrolled security keys the role root in "+rosterPath+", then sallyport root init, and pin what it prints")
	case len(valid) < root.Threshold:
		add("root keys", Broken, fmt.Sprintf("%d must sign the next version, and only %d still can", root.Threshold, len(valid)), "only another pin helps: sallyport root init")
	case len(valid) == root.Threshold && root.Solo == "":
		add("root keys", Advice, fmt.Sprintf("%d must sign the next version, and no more than %d can: one lost key makes it impossible", root.Threshold, len(valid)), "give another person the role root: sallyport root rotate")
	default:
		add("root keys", OK, fmt.Sprintf("%d of %d must sign the next version", root.Threshold, len(valid)), "")
	}
	if len(ending) > 0 {
		add("root keys", Advice, "soon they count no longer: "+strings.Join(ending, ", "), "enrol new ones, then sallyport root rotate")
	}
	for i, v := range w.gov.Chain {
		if i > 0 && !v.NotAfter.IsZero() && !now.Before(v.NotAfter.Add(-soon)) {
			last := w.gov.Chain[len(w.gov.Chain)-1]
			add("root chain", Advice, fmt.Sprintf("the signatures of version %d count until %s, and nothing is decided after that", v.Number, v.NotAfter.UTC().Format(day)),
				"whoever holds the pin moves it to version "+fmt.Sprint(last.Number)+": "+string(last.Root))
			break
		}
	}
	if v := w.gov.AtTip; v != nil {
		add("root waiting", Advice, fmt.Sprintf("version %d is at the target and not in force: %s", v.Number, v.Fault), "sallyport root sign, or put the governed files back")
	}
	if root.Solo != "" {
		add("solo", Advice, root.Solo+" is the whole team and may approve their own: every decision says so", "")
	}
	return append(checks, w.checkKeys()...)
}

// checkKeys says whose keys in the roster have ended or soon will.
func (w *workspace) checkKeys() []Check {
	now := w.app.now()
	var ended, ending []string
	for _, k := range w.roster.Keys() {
		what := k.Person + "'s " + k.Fingerprint + " (" + k.NotAfter.UTC().Format(time.DateOnly) + ")"
		switch {
		case k.NotAfter.IsZero():
		case k.Expired(now):
			ended = append(ended, what)
		case !now.Before(k.NotAfter.Add(-soon)):
			ending = append(ending, what)
		}
	}
	var checks []Check
	if len(ended) > 0 {
		checks = append(checks, Check{Name: "keys", State: Advice, Text: "expired: " + firstFew(ended), Next: "enrol new ones in " + rosterPath})
	}
	if len(ending) > 0 {
		checks = append(checks, Check{Name: "keys", State: Advice, Text: "expire soon: " + firstFew(ending), Next: "enrol new ones in " + rosterPath})
	}
	return checks
}

func firstFew(list []string) string {
	if n := len(list); n > 5 {
		return strings.Join(list[:5], ", ") + fmt.Sprintf(" and %d more", n-5)
	}
	return strings.Join(list, ", ")
}

// calls finds a command line, or a step of a workflow, that asks the merge gate.
var calls = regexp.MustCompile(`sallyport["']?\s+check\s+merge`)

// literalPin finds a digest where a setting should be.
var literalPin = regexp.MustCompile(`(?:SALLYPORT_ROOT["']?\s*[:=]\s*|--root[= ]\s*)["']?sha256:[0-9a-f]{64}`)

// maxEnforcer bounds a hook or a CI definition.
const maxEnforcer = 1 << 20

// checkEnforcers says for each place that asks the gate whether it has a pin, and whether the
// change that it judges can edit it. What stands in a forge's settings cannot be seen from here.
func (w *workspace) checkEnforcers(ctx context.Context) []Check {
	checks := w.checkHook()
	checks = append(checks, checkJob(w.app.Getenv)...)
	entries, err := w.repo.Ls(ctx, w.target.Base, ".github/workflows")
	if err != nil && !errors.Is(err, git.ErrNotFound) {
		return append(checks, broken("CI", err))
	}
	files := []string{".gitlab-ci.yml"}
	for _, e := range entries {
		if ext := path.Ext(e.Path); ext == ".yml" || ext == ".yaml" {
			files = append(files, e.Path)
		}
	}
	for _, name := range files[:min(len(files), 200)] {
		b, err := w.repo.File(ctx, w.target.Base, name, maxEnforcer)
		if err != nil || !calls.Match(b) {
			continue
		}
		if name == ".gitlab-ci.yml" {
			checks = append(checks, checkGitLab(b))
		} else {
			checks = append(checks, checkWorkflow(name, b))
		}
	}
	return checks
}

// checkHook looks at a pre-receive hook of this repository.
func (w *workspace) checkHook() []Check {
	f, err := os.Open(filepath.Join(w.repo.CommonDir(), "hooks", "pre-receive"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return []Check{broken("hook", err)}
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxEnforcer))
	if err != nil {
		return []Check{broken("hook", err)}
	}
	body := string(b)
	c := Check{Name: "hook", State: OK, Text: "pre-receive asks the merge gate, and is pinned"}
	info, err := f.Stat()
	switch {
	case !strings.Contains(body, "hook pre-receive"):
		return []Check{{Name: "hook", State: Advice, Text: "pre-receive does not ask sallyport", Next: "exec sallyport hook pre-receive --root DIGEST --ref refs/heads/main"}}
	case err == nil && info.Mode()&0o111 == 0:
		c = Check{Name: "hook", State: Broken, Text: "pre-receive is not executable, so git does not run it", Next: "chmod +x " + filepath.Join(w.repo.CommonDir(), "hooks", "pre-receive")}
	case !strings.Contains(body, "--root") && !strings.Contains(body, "SALLYPORT_ROOT"):
		c = Check{Name: "hook", State: Advice, Text: "pre-receive names no pin: whoever can push to the default branch can change the rules", Next: "add --root DIGEST to the hook"}
	}
	checks := []Check{c}
	if c.State == OK && !strings.Contains(body, "--pusher-from") {
		checks = append(checks, Check{Name: "pusher", State: Advice, Text: "nothing authenticates who pushes: two approvals are needed", Next: "sallyport hook pre-receive --help says how: --pusher-from"})
	}
	return checks
}

// checkJob says what the CI job that runs this was defined by.
func checkJob(getenv func(string) string) []Check {
	switch {
	case getenv("GITHUB_ACTIONS") == "true":
		if ref := getenv("GITHUB_WORKFLOW_REF"); strings.Contains(ref, "@refs/pull/") || getenv("GITHUB_EVENT_NAME") == "pull_request" {
			return []Check{{Name: "job", State: Advice, Text: "the change that this job judges can edit the workflow: " + orDefault(ref, "it runs on pull_request"), Next: editedAway}}
		}
	case getenv("GITLAB_CI") == "true":
		if p := getenv("CI_CONFIG_PATH"); !strings.Contains(p, "@") && !strings.Contains(p, "://") {
			return []Check{{Name: "job", State: Advice, Text: "the change that this job judges can edit the pipeline: it is " + orDefault(p, ".gitlab-ci.yml") + " of the same project", Next: editedAway}}
		}
	}
	return nil
}

const editedAway = "take the job from outside the change: a required workflow, or a CI configuration file of another project (docs/merge-gate.md, \"Check where the change cannot reach\")"

func checkGitLab(b []byte) Check {
	if literalPin.Match(b) {
		return Check{Name: "CI", State: Advice, Text: ".gitlab-ci.yml holds the pin itself, and the change that it judges can edit both", Next: "put SALLYPORT_ROOT into the project's CI settings. And " + editedAway}
	}
	return Check{Name: "CI", State: Advice, Text: ".gitlab-ci.yml asks the gate, and the change that it judges can edit it, unless the project's settings name a CI configuration file elsewhere", Next: editedAway}
}

// checkWorkflow says what a GitHub workflow that asks the gate is worth.
func checkWorkflow(name string, b []byte) Check {
	events, err := triggers(b)
	text := string(b)
	c := Check{Name: "CI", State: Advice}
	switch {
	case err != nil:
		c.Text, c.Next = name+" asks the gate and cannot be read: "+err.Error(), "mend it"
	case slices.Contains(events, "pull_request"):
		c.Text, c.Next = name+" asks the gate on pull_request, where the change's own version of it runs", editedAway
	case !slices.Contains(events, "pull_request_target") && !slices.Contains(events, "workflow_call"):
		c.Text, c.Next = name+" asks the gate on "+strings.Join(events, ", ")+", where the file is that of the commit that it judges", editedAway
	case literalPin.MatchString(text):
		c.Text, c.Next = name+" holds the pin itself: whoever changes it chooses the rules", "put it into the settings: ${{ vars.SALLYPORT_ROOT }}"
	case !strings.Contains(text, "SALLYPORT_ROOT") && !strings.Contains(text, "--root"):
		c.Text, c.Next = name+" asks the gate without a pin", "SALLYPORT_ROOT: ${{ vars.SALLYPORT_ROOT }} in its env, and the variable in the settings"
	default:
		c.State = OK
		c.Text = name + " is taken from the default branch, and its pin from the settings; what makes it binding is to require the workflow, not a check of its name"
	}
	return c
}

// triggers returns the events on which a workflow runs, sorted.
func triggers(b []byte) ([]string, error) {
	var doc map[string]any
	if err := strict.YAML(b, maxEnforcer, &doc); err != nil {
		return nil, err
	}
	var events []string
	switch on := doc["on"].(type) {
	case string:
		events = []string{on}
	case []any:
		for _, e := range on {
			if s, ok := e.(string); ok {
				events = append(events, s)
			}
		}
	case map[string]any:
		for e := range on {
			events = append(events, e)
		}
	}
	if len(events) == 0 {
		return nil, errors.New("it does not say on what it runs")
	}
	slices.Sort(events)
	return events, nil
}
