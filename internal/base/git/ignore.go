package git

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Bounds of the ignore rules of a commit, in bytes: of one file, and of all.
const (
	maxIgnoreFile = 1 << 20
	maxIgnores    = 16 << 20
)

// Ignored reports whether the .gitignore files of a commit name a path, which need not exist. No other list
// is asked, and none of the work tree: what is in no commit must not decide what may lie there.
func (r *Repo) Ignored(ctx context.Context, commit, name string) (bool, error) {
	entries, err := r.Ls(ctx, commit, "")
	if err != nil {
		return false, err
	}
	list, err := r.ignores(ctx, entries)
	if err != nil {
		return false, err
	}
	// A work tree that holds nothing but one file below the path: git tells whether it would be new.
	tree, err := os.MkdirTemp(r.private, "ignored-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(tree)
	dir := filepath.Join(tree, filepath.FromSlash(name))
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return false, fmt.Errorf("%s is not below the top of the work tree", name)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, err
	}
	// A name that no rule is about by chance.
	if err := os.WriteFile(filepath.Join(dir, filepath.Base(tree)), nil, 0o600); err != nil {
		return false, err
	}
	if _, err := r.Output(ctx, 4<<10, nil, "read-tree", "--empty"); err != nil {
		return false, err
	}
	out, err := r.Output(ctx, 64<<10, nil, "--work-tree="+tree, "ls-files", "-z", "--others", "--exclude-from="+list)
	return len(out) == 0, err
}

// ignores writes the rules of all .gitignore files among entries into one list in the private folder, from
// the top of the tree on, and returns its name. Git gives the last rule that matches the word, and that of a deeper folder before that
// of a higher one, so the deeper come later.
func (r *Repo) ignores(ctx context.Context, entries []Entry) (string, error) {
	var files []Entry
	for _, e := range entries {
		if path.Base(e.Path) == ".gitignore" && e.IsFile() {
			files = append(files, e)
		}
	}
	slices.SortStableFunc(files, func(a, b Entry) int { return cmp.Compare(strings.Count(a.Path, "/"), strings.Count(b.Path, "/")) })
	oids := make([]string, len(files))
	for i, f := range files {
		oids[i] = f.OID
	}
	var list bytes.Buffer
	err := r.Blobs(ctx, oids, maxIgnoreFile, func(i int, content []byte, err error) error {
		if err != nil {
			return fmt.Errorf("read %s: %w", files[i].Path, err)
		}
		ignoreRules(&list, path.Dir(files[i].Path), content)
		if list.Len() > maxIgnores {
			return fmt.Errorf("%w: more than %d bytes of rules in .gitignore files", ErrTooLarge, maxIgnores)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	name := filepath.Join(r.private, "ignores")
	return name, os.WriteFile(name, list.Bytes(), 0o600)
}

// ignoreRules appends the rules of the .gitignore file of a folder, as the file at the top would say them.
// The format is gitignore(5)'s. A rule that cannot be said there is left out, which ignores less.
func ignoreRules(to *bytes.Buffer, dir string, content []byte) {
	if strings.ContainsAny(dir, "\n\x00") {
		return
	}
	under := "/" + strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(dir) + "/"
	for line := range bytes.Lines(bytes.TrimPrefix(content, []byte("\ufeff"))) {
		rule := strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r")
		if rule == "" || rule[0] == '#' || strings.ContainsRune(rule, 0) {
			continue
		}
		if dir == "." {
			to.WriteString(rule + "\n")
			continue
		}
		negated := ""
		if rule[0] == '!' {
			negated, rule = "!", rule[1:]
		}
		if rest := strings.TrimRight(rule, " "); rest == "" || rest == "/" {
			continue
		}
		// A slash before the end ties a rule to its folder; without one it holds for all below.
		if strings.Contains(strings.TrimRight(rule, "/ "), "/") {
			to.WriteString(negated + under + strings.TrimPrefix(rule, "/") + "\n")
		} else {
			to.WriteString(negated + under + "**/" + rule + "\n")
		}
	}
}
