package app

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/build"
	"github.com/sallyport-dev/sallyport/internal/scan/sbom"
)

// maxResolved bounds how many packages a provenance names. Beyond, the lock files' own digests have
// to do.
const maxResolved = 5000

// addDifference names what lay in the work tree beside the commit.
func (b *builder) addDifference() {
	deps := &b.prov.BuildDefinition.ResolvedDependencies
	if b.tree.Dirty() {
		*deps = append(*deps, build.Resource{
			Name: "worktree-difference", Digest: map[string]string{"sha256": b.tree.Difference()},
			Annotations: map[string]any{
				"modified": b.tree.Count(git.FileModified), "deleted": b.tree.Count(git.FileDeleted), "untracked": b.tree.Count(git.FileUntracked),
			},
		})
		b.note("the work tree is not the commit (%s), and the provenance says so", differences(b.tree))
	}
	for _, e := range b.tree.Submodules {
		*deps = append(*deps, build.Resource{Name: e.Path, Digest: map[string]string{"gitCommit": e.OID}, Annotations: map[string]any{"submodule": true, "examined": false}})
	}
}

// addDependencies names the lock files that concern the run's folder (in it, below it or above it),
// the packages whose archives they pin by digest, and the Go toolchain, if go is what runs.
func (b *builder) addDependencies(ctx context.Context, top string) {
	in := &b.prov.BuildDefinition.InternalParameters
	deps := &b.prov.BuildDefinition.ResolvedDependencies
	root, err := os.OpenRoot(top)
	if err != nil {
		return
	}
	defer root.Close()
	var packages []build.Resource
	seen := map[string]bool{}
	for _, f := range b.tree.Files {
		if f.State == git.FileDeleted || !sbom.Wants(f.Path) || !concerns(f.Path, b.prov.BuildDefinition.ExternalParameters.Directory) {
			continue
		}
		found, lock, err := readLock(root, f)
		if err != nil {
			in.UnreadLockFiles = append(in.UnreadLockFiles, f.Path)
			continue
		}
		if !lock {
			continue
		}
		*deps = append(*deps, build.Resource{Name: f.Path, Digest: map[string]string{"sha256": f.SHA256}})
		for _, p := range found {
			if !seen[p.URI] {
				seen[p.URI] = true
				packages = append(packages, p)
			}
		}
	}
	if len(in.UnreadLockFiles) > 0 {
		b.note("%d lock files cannot be read, and the provenance says so", len(in.UnreadLockFiles))
	}
	slices.SortFunc(packages, func(x, y build.Resource) int { return strings.Compare(x.URI, y.URI) })
	if n := len(packages) - maxResolved; n > 0 {
		in.Omitted, packages = n, packages[:maxResolved]
	}
	*deps = append(*deps, packages...)
	if name := filepath.Base(b.bo.Args[0]); name == "go" || name == "go.exe" {
		if v := goVersion(ctx, b.bo, b.dir); v != "" {
			*deps = append(*deps, build.Resource{Name: "toolchain", URI: "pkg:golang/stdlib@" + v})
		}
	}
}

// concerns reports whether a lock file stands in the folder of the run, below or above it. What tests
// keep as data, and what package managers unpacked, pins nothing of this project.
func concerns(file, dir string) bool {
	for seg := range strings.SplitSeq(path.Dir(file), "/") {
		if seg == "testdata" || seg == "node_modules" {
			return false
		}
	}
	at := path.Dir(file)
	return dir == "." || at == "." || at == dir || strings.HasPrefix(at, dir+"/") || strings.HasPrefix(dir, at+"/")
}

// readLock reads one lock or manifest file, and returns the packages that it pins by digest, and
// whether it is a lock file.
func readLock(root *os.Root, f git.WorkFile) ([]build.Resource, bool, error) {
	content, err := readIn(root, f.Path, sbom.MaxFileSize)
	if err != nil {
		return nil, false, err
	}
	var v sbom.Inventory
	if err := v.Add(f.Path, content); err != nil {
		return nil, false, err
	}
	files := v.Files()
	if len(files) == 0 || !files[0].Lock {
		return nil, false, nil
	}
	var sums map[string]string
	if path.Base(f.Path) == "go.mod" {
		if b, err := readIn(root, path.Join(path.Dir(f.Path), "go.sum"), sbom.MaxFileSize); err == nil {
			sums = goSums(b)
		}
	}
	var out []build.Resource
	for _, c := range v.Components() {
		digest := map[string]string{}
		for _, h := range c.Hashes {
			digest[strings.ToLower(h.Algorithm)] = h.Hex
		}
		if d := sums[c.Name+" "+c.Version]; d != "" {
			digest["dirHash"] = d
		}
		if len(digest) > 0 {
			out = append(out, build.Resource{URI: c.Purl, Digest: digest})
		}
	}
	return out, true, nil
}

func readIn(root *os.Root, p string, limit int64) ([]byte, error) {
	f, err := root.Open(p)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
}

// goSums reads the digests of modules from a go.sum, by "MODULE VERSION", as in-toto's dirHash has
// them: in hex.
func goSums(b []byte) map[string]string {
	sums := map[string]string{}
	for line := range bytes.Lines(b) {
		f := strings.Fields(string(line))
		if len(f) != 3 || strings.HasSuffix(f[1], "/go.mod") {
			continue
		}
		if raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(f[2], "h1:")); err == nil && len(raw) == 32 && strings.HasPrefix(f[2], "h1:") {
			sums[f[0]+" "+f[1]] = hex.EncodeToString(raw)
		}
	}
	return sums
}

// goVersion asks the go command that will run which toolchain it is, in the folder where it runs: a
// go.mod there may choose another one.
func goVersion(ctx context.Context, bo BuildOptions, dir string) string {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, bo.Args[0], "env", "GOVERSION")
	cmd.Dir, cmd.Env = dir, build.Without(bo.Environ, passphraseVariable, ciTokenVariable)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	v := strings.TrimSpace(string(out))
	if err != nil || len(v) > 64 || strings.ContainsAny(v, " \n\t@/") {
		return ""
	}
	return strings.TrimPrefix(v, "go")
}
