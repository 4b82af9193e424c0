package scene

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/policy"
)

// Config is the configuration that is staged unless Options.Files has another.
const Config = "version: 1\nrepository: " + Repository + "\nmode: enforce\ngates:\n  merge:\n    refs: [refs/heads/main]\n"

// Options say what to stage. The zero value is an enforcing repository under the baseline, with
// everybody of the cast in the roster, and its root pinned.
type Options struct {
	Files  map[string]string // further files of the first commit, or others in place of the default's
	Format string            // object format: sha1 (the default) or sha256
	NoRoot bool              // no .sallyport at all, and no pin
	ByHand bool              // root.json is made without "root init", which refuses what could not be in force
}

// Service is what the staged repository holds besides .sallyport/.
var Service = map[string]string{
	"server.py": "import http.server\nimport os\n\n\n" +
		"class Handler(http.server.BaseHTTPRequestHandler):\n    def do_GET(self):\n        self.send_response(200)\n" +
		"        self.end_headers()\n        self.wfile.write(b\"hello\\n\")\n\n\n" +
		"http.server.HTTPServer((\"\", int(os.environ.get(\"PORT\", \"8080\"))), Handler).serve_forever()\n",
	"util.py":                    "def clamp(n, low, high):\n    return max(low, min(n, high))\n",
	"go.mod":                     "module example.com/acme/service\n\ngo 1.24\n",
	"deploy/prod.yaml":           "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: service\nspec:\n  replicas: 2\n",
	"deploy/run.sh":              "#!/bin/sh\nexec python3 server.py\n",
	".github/workflows/test.yml": "name: test\non: pull_request\npermissions: {}\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n      - run: python3 -m unittest\n",
	"test_server.py":             "import unittest\n\n\nclass Greeting(unittest.TestCase):\n    def test_greets(self):\n        self.assertTrue(True)\n",
}

// New stages a repository on branch main with one commit.
func New(tb testing.TB, o Options) *Scene {
	tb.Helper()
	if binary == "" {
		tb.Fatal("scene: TestMain has to call scene.Main")
	}
	DependOnSources(tb)
	s := &Scene{TB: tb, Dir: tempDir(tb)}
	s.Repo = filepath.Join(s.Dir, "service")
	s.cast = newCast(tb, s)
	s.stage(o)
	return s
}

// Restage makes another repository with the same cast.
func (s *Scene) Restage(tb testing.TB, o Options) *Scene {
	tb.Helper()
	n := &Scene{TB: tb, Dir: tempDir(tb), cast: s.cast}
	n.Repo = filepath.Join(n.Dir, "service")
	n.stage(o)
	return n
}

func (s *Scene) stage(o Options) {
	s.TB.Helper()
	if err := os.Mkdir(s.Repo, 0o755); err != nil {
		s.TB.Fatal(err)
	}
	format := o.Format
	if format == "" {
		format = "sha1"
	}
	s.Git("init", "-q", "-b", "main", "--template=", "--object-format="+format)
	if err := os.MkdirAll(filepath.Join(s.Repo, ".git", "info"), 0o755); err != nil {
		s.TB.Fatal(err)
	}
	files := map[string]string{}
	for path, content := range Service {
		files[path] = content
	}
	if !o.NoRoot {
		files[".sallyport/sallyport.yaml"] = Config
		files[".sallyport/roster.yaml"] = s.cast.roster()
		files[".sallyport/trust.yaml"] = s.cast.trust()
	}
	for path, content := range o.Files {
		files[path] = content
	}
	for path, content := range files {
		s.Write(path, content)
	}
	switch {
	case o.NoRoot:
	case o.ByHand:
		s.Pin = s.rootByHand()
	default:
		s.Pin = s.RootInit()
	}
	s.Commit("A small service, and who may change it")
}

// RootInit writes root.json over the governed files of the work tree and returns its pin.
func (s *Scene) RootInit() sallyport.Digest {
	s.TB.Helper()
	for line := range strings.Lines(s.Must("root", "init", "--repo", s.Repo)) {
		if pin, ok := strings.CutPrefix(line, "pin "); ok {
			return sallyport.Digest(strings.TrimSpace(pin))
		}
	}
	s.TB.Fatal("root init printed no pin")
	return ""
}

// rootByHand is RootInit for governed files that nobody looked at, and names no keys.
func (s *Scene) rootByHand() sallyport.Digest {
	s.TB.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(filepath.Join(s.Repo, ".sallyport"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(s.Repo, path)
		if err != nil {
			return err
		}
		files[filepath.ToSlash(rel)], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		s.TB.Fatal(err)
	}
	root, err := policy.InitRoot(files, policy.RootOptions{})
	if err != nil {
		s.TB.Fatal(err)
	}
	s.Write(policy.RootPath, string(root))
	return sallyport.SHA256(root)
}

// Write writes a file of the checkout.
func (s *Scene) Write(path, content string) {
	s.TB.Helper()
	path = filepath.Join(s.Repo, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.TB.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		s.TB.Fatal(err)
	}
}

// Read reads a file of the checkout.
func (s *Scene) Read(path string) string {
	s.TB.Helper()
	b, err := os.ReadFile(filepath.Join(s.Repo, filepath.FromSlash(path)))
	if err != nil {
		s.TB.Fatal(err)
	}
	return string(b)
}

// Append writes a line at the end of a file of the checkout.
func (s *Scene) Append(path, line string) {
	s.TB.Helper()
	s.Write(path, s.Read(path)+line)
}

// Remove removes a file of the checkout.
func (s *Scene) Remove(path string) {
	s.TB.Helper()
	if err := os.Remove(filepath.Join(s.Repo, filepath.FromSlash(path))); err != nil {
		s.TB.Fatal(err)
	}
}

// An Ident is a name and an address in a commit.
type Ident struct{ Name, Email string }

// Who returns how somebody of the cast commits.
func Who(k Key) Ident {
	name, _, _ := strings.Cut(string(k), "-")
	if name == "renovate" {
		return Ident{"Renovate", "bot@renovate.example"}
	}
	return Ident{strings.ToUpper(name[:1]) + name[1:] + " Example", name + "@example.com"}
}

// Git runs git in the checkout as Alice, and returns what it printed.
func (s *Scene) Git(args ...string) string {
	s.TB.Helper()
	return s.GitAs(Who(Alice), args...)
}

// GitAs runs git in the checkout as somebody. Nothing is signed, and no hook runs.
func (s *Scene) GitAs(who Ident, args ...string) string {
	s.TB.Helper()
	out, err := s.TryGit(who, nil, args...)
	if err != nil {
		s.TB.Fatal(err)
	}
	return out
}

// TryGit is GitAs for what may fail, with standard input.
func (s *Scene) TryGit(who Ident, stdin []byte, args ...string) (string, error) {
	cmd, cancel := s.Command("git", append([]string{
		"-C", s.Repo, "-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null", "-c", "maintenance.auto=false", "-c", "core.fsync=none", "-c", "advice.detachedHead=false",
	}, args...)...)
	defer cancel()
	cmd.Env = append(cmd.Env,
		"GIT_AUTHOR_NAME="+who.Name, "GIT_AUTHOR_EMAIL="+who.Email,
		"GIT_COMMITTER_NAME="+who.Name, "GIT_COMMITTER_EMAIL="+who.Email)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

// Rev returns the object id of a revision.
func (s *Scene) Rev(rev string) string {
	s.TB.Helper()
	return s.Git("rev-parse", "--verify", rev)
}

// Commit commits everything as Alice, without a trailer, and returns the commit's id.
func (s *Scene) Commit(message string) string {
	s.TB.Helper()
	return s.CommitAs(Who(Alice), message)
}

// AgentCommit commits everything as the agent does: under Alice's name, with its trailer.
func (s *Scene) AgentCommit(message string) string {
	s.TB.Helper()
	return s.Commit(message + Trailer)
}

// CommitAs commits everything as somebody.
func (s *Scene) CommitAs(who Ident, message string) string {
	s.TB.Helper()
	s.Git("add", "-A")
	s.GitAs(who, "commit", "-q", "--allow-empty", "-m", message)
	return s.Rev("HEAD")
}

// SignedCommit commits everything as somebody, signed with a key, and returns the commit's id.
func (s *Scene) SignedCommit(who Ident, k Key, message string) string {
	s.TB.Helper()
	return s.Resign(s.CommitAs(who, message), k)
}

// Resign replaces HEAD by the same commit with a signature of the key's.
func (s *Scene) Resign(commit string, k Key) string {
	s.TB.Helper()
	return s.ResignWith(commit, func(raw []byte) []byte { return s.sign(k, "git", raw) })
}

// ResignWith replaces HEAD by the same commit with what sign makes of it as its signature.
func (s *Scene) ResignWith(commit string, sign func(raw []byte) []byte) string {
	s.TB.Helper()
	// git's own answer, without the newline that Git trims, but with the one that ends it.
	raw := s.Git("cat-file", "commit", commit) + "\n"
	head, body, ok := strings.Cut(raw, "\n\n")
	if !ok {
		s.TB.Fatalf("commit %s has no message", commit)
	}
	sig := strings.TrimSuffix(string(sign([]byte(raw))), "\n")
	signed := head + "\ngpgsig " + strings.ReplaceAll(sig, "\n", "\n ") + "\n\n" + body
	id := s.WriteObject("commit", []byte(signed))
	s.Git("reset", "-q", "--soft", id)
	return id
}

// WriteObject writes an object and returns its id.
func (s *Scene) WriteObject(kind string, body []byte) string {
	s.TB.Helper()
	id, err := s.TryGit(Who(Alice), body, "hash-object", "-t", kind, "-w", "--stdin")
	if err != nil {
		s.TB.Fatal(err)
	}
	return id
}
