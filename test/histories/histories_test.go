//go:build histories

// Package histories runs attribution over real public repositories, which are not part of this
// one. Name them, and it prints what it counted:
//
//	SALLYPORT_HISTORIES=/path/a.git:/path/b.git go test -tags histories -v ./test/histories
//
// Two things are counted in every commit of every ref. First, false positives in each trap that a
// study of 760,000 public commits stepped into: commits that a plainer detector would call an
// agent's, that carry none of the exact marks that agents leave (marks, below: a list of its own,
// not the product's table), and that are called an agent's all the same. Second, what becomes of
// a commit whose marks were stripped, while a roster names its author as a person with a key:
// it must be nobody's, and never a person's or a bot's.
//
// The built binary then reads the end of each history twice: as it is, and rewritten as whoever
// hides would rewrite it, without trailers and signatures.
package histories

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
	"github.com/sallyport-dev/sallyport/internal/identity"
	"github.com/sallyport-dev/sallyport/test/scene"
)

func TestMain(m *testing.M) { os.Exit(scene.Main(m)) }

// marks are exact strings that agents leave, collected independently of the marker table. They
// say which commits are really marked.
var marks = regexp.MustCompile(`(?i)` + strings.Join([]string{
	`noreply@anthropic\.com`, `generated (with|by) \[?claude`, `claude\.(ai|com)/(claude-)?code`, `\+?claude(-code)?\[bot\]@`, `claude-session:`,
	`\d+\+copilot@users`, `copilot-swe-agent`, `agent-logs-url:`, `github-advanced-security`, `github-code-quality`, `copilot@github\.com`,
	`cursoragent@`, `\+cursoragent`, `made-with: cursor`, `cursor\[bot\]`, `(noreply|codex)@openai\.com`, `openai-codex`, `chatgpt-codex-connector`,
	`devin-ai-integration`, `google-labs-jules`, `gemini-code-assist`, `@aider\.chat`, `\(aider\)`, `^aider: `, `amp@ampcode\.com`, `amp-thread-id:`,
	`factory-droid`, `openhands@all-hands`, `junie@jetbrains`, `amazon-q-developer`, `kiro-agent`, `noreply@opencode\.ai`, `opencode-agent`, `roomote`, `cline\[bot\]`, `coderabbitai`,
	`replit-commit-(author|session)`, `sweep-ai`, `(?m)^\s*(assisted|generated|co-developed)-(by|with):[^@\n]*$`, `sisyphuslabs`, `greptile-apps`, `gemini-cli-robot`, `google-gemini\[bot\]`,
}, "|"))

// A trap is what a plainer detector would take for an agent.
type trap struct {
	name string
	hit  func(c *sallyport.Commit) bool
}

func who(c *sallyport.Commit) string {
	return c.Author.Name + " <" + c.Author.Email + ">\n" + c.Committer.Name + " <" + c.Committer.Email + ">\n"
}

func matches(pattern string, of func(*sallyport.Commit) string) func(*sallyport.Commit) bool {
	re := regexp.MustCompile(pattern)
	return func(c *sallyport.Commit) bool { return re.MatchString(of(c)) }
}

func all(c *sallyport.Commit) string     { return who(c) + "\n" + c.Message }
func message(c *sallyport.Commit) string { return c.Message }

var traps = []trap{
	{"a vendor's employee (@anthropic.com, @openai.com)", matches(`(?i)[a-z0-9._-]+@(anthropic|openai)\.com`, all)},
	{"an agent's word in the message", matches(`(?i)\b(claude|cursor|continue|amp|copilot|devin|jules|gemini|codex|aider|goose|cody)\b`, message)},
	{"called Claude, Devin, Jules or Cody", matches(`(?im)^(claude|devin|jules|cody)\b`, who)},
	{"the number 41898282 (github-actions)", matches(`41898282\+github-actions`, all)},
	{"the private account 81847+claude", matches(`(?i)81847\+claude@`, all)},
	{"Assisted-by: with a person's address", matches(`(?im)^\s*assisted-by:.*@`, message)},
	{"automation (dependabot, renovate, other bots)", matches(`(?i)(dependabot|renovate)(\[bot\])?|\[bot\]`, who)},
	{"the shadow author gemini-cli@google.com", matches(`gemini-cli@google\.com`, who)},
}

type count struct{ hits, unmarked, wrong int }

func TestHistories(t *testing.T) {
	names := filepath.SplitList(os.Getenv("SALLYPORT_HISTORIES"))
	if len(names) == 0 {
		t.Fatal("SALLYPORT_HISTORIES names no repository")
	}
	total := make([]count, len(traps))
	var rows []string
	for _, dir := range names {
		name := filepath.Base(strings.TrimSuffix(strings.TrimSuffix(dir, "/repo"), ".git"))
		t.Run(name, func(t *testing.T) {
			row, counts := study(t, dir)
			rows = append(rows, name+"\t"+row)
			for i := range counts {
				total[i].hits += counts[i].hits
				total[i].unmarked += counts[i].unmarked
				total[i].wrong += counts[i].wrong
			}
		})
	}
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nrepository\tcommits\tan agent's\tof these marked\tunmarked\tstripped: person's or bot's\tagent detect: as it is / rewritten")
	for _, r := range rows {
		fmt.Fprintln(w, r)
	}
	fmt.Fprintln(w, "\ntrap\tcommits\tof these unmarked\tcalled an agent's all the same")
	for i, c := range total {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\n", traps[i].name, c.hits, c.unmarked, c.wrong)
	}
	w.Flush()
	t.Log(b.String())
}

// study reads every commit of a repository.
func study(t *testing.T, dir string) (row string, counts []count) {
	t.Helper()
	now := time.Now()
	nobody := identity.New(nil, now)
	roster := rosterOf(t, dir)
	known := identity.New(roster, now)
	counts = make([]count, len(traps))
	commits, agents, marked, unexplained, wrongly := 0, 0, 0, 0, 0
	eachCommit(t, dir, func(c *sallyport.Commit) {
		commits++
		is := marks.MatchString(all(c))
		got := nobody.Commit(c).Attribution
		agent := got.Principal.Kind == sallyport.Agent
		if agent {
			agents++
			if is {
				marked++
			} else if unexplained++; unexplained <= 10 {
				t.Logf("unmarked, and an agent's: %.12s %q", c.ID.Hex(), got.Why)
			}
		}
		for i, trap := range traps {
			if !trap.hit(c) {
				continue
			}
			counts[i].hits++
			if is {
				continue
			}
			counts[i].unmarked++
			if agent {
				counts[i].wrong++
				t.Errorf("%s: %s is called an agent's: %q", trap.name, c.ID, got.Why)
			}
		}
		stripped := strip(*c)
		for _, id := range []*sallyport.Commit{c, &stripped} {
			if k := known.Commit(id).Attribution.Principal.Kind; k == sallyport.Person || k == sallyport.Bot {
				wrongly++
				t.Errorf("%s is called a %s's, and nothing was signed by them", id.ID, k)
			}
		}
	})
	asIs, rewritten := detect(t, dir)
	for i, c := range counts {
		t.Logf("%s: %d commits, %d of them unmarked, %d called an agent's all the same", traps[i].name, c.hits, c.unmarked, c.wrong)
	}
	return fmt.Sprintf("%d\t%d\t%d\t%d\t%d\t%s / %s", commits, agents, marked, unexplained, wrongly, asIs, rewritten), counts
}

// strip takes away what whoever hides would: all trailers, all lines with a mark, an agent's name
// as author. The human's name, which the roster knows, stays.
func strip(c sallyport.Commit) sallyport.Commit {
	c.Message = stripMessage(c.Message)
	c.Trailers = nil
	if marks.MatchString(c.Author.Name + " <" + c.Author.Email + ">") {
		c.Author.Name, c.Author.Email = "Pat Person", "pat@example.org"
	}
	if marks.MatchString(c.Committer.Name + " <" + c.Committer.Email + ">") {
		c.Committer.Name, c.Committer.Email = "Pat Person", "pat@example.org"
	}
	return c
}

var trailer = regexp.MustCompile(`^[A-Za-z][A-Za-z-]+-[A-Za-z-]+\s*:`)

func stripMessage(m string) string {
	var kept []string
	for line := range strings.Lines(m) {
		if !trailer.MatchString(line) && !marks.MatchString(line) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// rosterOf enrols the repository's most frequent authors as persons with security keys, and a bot.
func rosterOf(t *testing.T, dir string) *identity.Roster {
	t.Helper()
	r, err := identity.ParseRoster([]byte(rosterText(t, dir)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func rosterText(t *testing.T, dir string) string {
	t.Helper()
	seen := map[string]int{}
	for line := range strings.Lines(git(t, dir, nil, "log", "--all", "--format=%ae")) {
		seen[strings.ToLower(strings.TrimSpace(line))]++
	}
	var mails []string
	for m := range seen {
		if plain.MatchString(m) && !marks.MatchString(m) {
			mails = append(mails, m)
		}
	}
	slices.SortFunc(mails, func(a, b string) int { return seen[b] - seen[a] })
	mails = append(mails[:min(len(mails), 50)], "pat@example.org")
	var b strings.Builder
	b.WriteString("version: 1\npersons:\n")
	for i, m := range slices.Compact(mails) {
		sk, err := sshsig.NewSimulatedSK(sshsig.SimulatedOptions{Touch: true})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "  - id: p%d\n    emails: [%q]\n    roles: [reviewer]\n    keys:\n      - key: %s\n        enrolled_by: p%d\n", i, m, sk.PublicKey(), (i+1)%len(mails))
	}
	return b.String()
}

// plain addresses are those that a roster takes without further thought.
var plain = regexp.MustCompile(`^[a-z0-9._-]+@[a-z0-9-]+(\.[a-z0-9-]+)+$`)

// eachCommit reads every commit that any ref leads to.
func eachCommit(t *testing.T, dir string, f func(*sallyport.Commit)) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "--git-dir", dir, "log", "--all", "--max-count="+most(), "--no-use-mailmap", "--encoding=UTF-8", "--format=%H%x00%an%x00%ae%x00%cn%x00%ce%x00%B%x00")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReaderSize(out, 1<<20)
	for {
		var field [6]string
		for i := range field {
			s, err := r.ReadString(0)
			if err == io.EOF && i == 0 {
				if err := cmd.Wait(); err != nil {
					t.Fatal(err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			field[i] = strings.TrimSuffix(s, "\x00")
		}
		f(&sallyport.Commit{
			ID:            sallyport.Digest("gitCommit:" + strings.TrimSpace(field[0])),
			Author:        sallyport.Ident{Name: field[1], Email: field[2]},
			Committer:     sallyport.Ident{Name: field[3], Email: field[4]},
			Message:       field[5],
			SignatureKind: "none",
		})
	}
}

// most is how many commits are read, the newest: SALLYPORT_HISTORIES_COMMITS, or all.
func most() string {
	if n := os.Getenv("SALLYPORT_HISTORIES_COMMITS"); n != "" {
		return n
	}
	return "-1"
}

// detect has the built binary read the last commits of a history, as they are and rewritten, in
// a repository whose roster names the authors. It returns what it calls whose.
func detect(t *testing.T, dir string) (asIs, rewritten string) {
	t.Helper()
	bare := filepath.Join(t.TempDir(), "copy.git")
	git(t, "", nil, "init", "-q", "--bare", "-b", "main", bare)
	objects := strings.TrimSpace(git(t, dir, nil, "rev-parse", "--path-format=absolute", "--git-path", "objects"))
	if err := os.WriteFile(filepath.Join(bare, "objects", "info", "alternates"), []byte(objects+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	head := strings.TrimSpace(git(t, dir, nil, "rev-parse", "HEAD"))
	line := strings.Fields(git(t, bare, nil, "rev-list", "--first-parent", "--max-count=30", head))
	base := line[len(line)-1]

	// What governs lies on main.
	blob := func(text string) string {
		return strings.TrimSpace(git(t, bare, []byte(text), "hash-object", "-w", "--stdin"))
	}
	sub := strings.TrimSpace(git(t, bare, []byte(
		"100644 blob "+blob("version: 1\nrepository: example.com/acme/history\nmode: observe\ngates:\n  merge:\n    refs: [refs/heads/main]\n")+"\tsallyport.yaml\n"+
			"100644 blob "+blob(rosterText(t, dir))+"\troster.yaml\n"), "mktree"))
	tree := strings.TrimSpace(git(t, bare, []byte("040000 tree "+sub+"\t.sallyport\n"), "mktree"))
	git(t, bare, nil, "update-ref", "refs/heads/main", strings.TrimSpace(git(t, bare, nil, "commit-tree", "-m", "Rules", tree)))

	was := whose(t, bare, base, head)
	now := whose(t, bare, base, rewrite(t, bare, base, head))
	for _, m := range []map[string]int{was, now} {
		if m["person"]+m["bot"] > 0 {
			t.Errorf("agent detect: %v; nobody signed anything that the roster could know", m)
		}
	}
	return fmt.Sprint(was), fmt.Sprint(now)
}

// whose counts commits by the kind of who made them.
func whose(t *testing.T, bare, base, head string) map[string]int {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), scene.Binary(), "agent", "detect", "--repo", bare, "--state", filepath.Join(t.TempDir(), "s"), "--target", "main", "--json", base+".."+head)
	var out, errs bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = scene.Env(t.TempDir()), &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("agent detect: %v\n%s", err, errs.Bytes())
	}
	var doc struct {
		Commits []struct {
			Attribution struct {
				Principal struct{ Kind string }
			}
		}
	}
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	m := map[string]int{}
	for _, c := range doc.Commits {
		kind := c.Attribution.Principal.Kind
		if kind == "" {
			kind = "nobody"
		}
		m[kind]++
	}
	return m
}

// rewrite makes the same history without signatures, trailers and marks.
func rewrite(t *testing.T, bare, base, head string) string {
	t.Helper()
	moved := map[string]string{}
	for _, id := range strings.Fields(git(t, bare, nil, "rev-list", "--reverse", "--topo-order", base+".."+head)) {
		raw := git(t, bare, nil, "cat-file", "commit", id)
		header, body, _ := strings.Cut(raw, "\n\n")
		var lines []string
		inSignature := false
		for line := range strings.SplitSeq(header, "\n") {
			switch key, rest, _ := strings.Cut(line, " "); {
			case strings.HasPrefix(line, " ") && inSignature:
				continue
			case key == "gpgsig", key == "gpgsig-sha256", key == "mergetag":
				inSignature = true
				continue
			case key == "parent" && moved[rest] != "":
				line = "parent " + moved[rest]
			case (key == "author" || key == "committer") && marks.MatchString(rest):
				line = key + " Pat Person <pat@example.org>" + rest[strings.LastIndexByte(rest, '>')+1:]
			}
			inSignature = false
			lines = append(lines, line)
		}
		moved[id] = strings.TrimSpace(git(t, bare, []byte(strings.Join(lines, "\n")+"\n\n"+stripMessage(body)), "hash-object", "-t", "commit", "-w", "--stdin"))
	}
	return moved[head]
}

func git(t *testing.T, dir string, stdin []byte, args ...string) string {
	t.Helper()
	if dir != "" {
		args = append([]string{"--git-dir", dir}, args...)
	}
	cmd := exec.CommandContext(t.Context(), "git", args...)
	var out, errs bytes.Buffer
	cmd.Env = append(scene.Env(os.TempDir()), "GIT_AUTHOR_NAME=h", "GIT_AUTHOR_EMAIL=h@example.org", "GIT_COMMITTER_NAME=h", "GIT_COMMITTER_EMAIL=h@example.org")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, errs.Bytes())
	}
	return out.String()
}
