package git

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"
)

const maxSymrefs = 5 // git's own bound

// Ref returns the object that the ref with this full name ("refs/heads/main", "HEAD") points to,
// not peeled. It returns [ErrNotFound] if there is none.
func (r *Repo) Ref(_ context.Context, name string) (string, error) {
	oid, _, err := r.follow(name)
	return oid, err
}

// UpdatedRef returns the full name of the ref that changes when somebody pushes to name: name
// itself, unless it is a symbolic ref; git then writes to what that stands for, which may be
// unborn.
func (r *Repo) UpdatedRef(_ context.Context, name string) (string, error) {
	_, last, err := r.follow(name)
	if err != nil && (last == "" || !errors.Is(err, ErrNotFound)) {
		return "", err
	}
	return last, nil
}

// SymbolicHead returns the full name of the branch that is checked out. It returns
// [ErrNotFound] if HEAD is detached; the branch itself may be unborn.
func (r *Repo) SymbolicHead(_ context.Context) (string, error) {
	_, target, err := r.readRef("HEAD")
	if err == nil && target == "" {
		err = fmt.Errorf("read HEAD: %w: it is detached", ErrNotFound)
	}
	return target, err
}

// RemoteDefault returns the full name of the tracking ref of the default branch of remote, such
// as "refs/remotes/origin/main", as the last clone or fetch recorded it. It returns
// [ErrNotFound] if nothing did.
func (r *Repo) RemoteDefault(_ context.Context, remote string) (string, error) {
	name := "refs/remotes/" + remote + "/HEAD"
	_, target, err := r.readRef(name)
	if err == nil && target == "" {
		err = fmt.Errorf("read %s: %w: it names no branch", name, ErrNotFound)
	}
	return target, err
}

// Upstream returns the full name of the ref that the checked-out branch follows, as the
// repository's configuration says. It returns [ErrNotFound] if there is none.
func (r *Repo) Upstream(ctx context.Context) (string, error) {
	head, err := r.SymbolicHead(ctx)
	if err != nil {
		return "", err
	}
	branch, ok := strings.CutPrefix(head, "refs/heads/")
	if !ok {
		return "", fmt.Errorf("find upstream of %s: %w", head, ErrNotFound)
	}
	remote, merge := r.configValue("branch."+branch+".remote"), r.configValue("branch."+branch+".merge")
	if remote == "." && merge != "" {
		return merge, nil
	}
	for _, spec := range r.config["remote."+remote+".fetch"] {
		src, dst, ok := strings.Cut(strings.TrimPrefix(spec, "+"), ":")
		if !ok || merge == "" {
			continue
		}
		if src == merge {
			return dst, nil
		}
		before, after, star := strings.Cut(src, "*")
		if star && len(merge) >= len(before)+len(after) && strings.HasPrefix(merge, before) && strings.HasSuffix(merge, after) {
			return strings.Replace(dst, "*", merge[len(before):len(merge)-len(after)], 1), nil
		}
	}
	return "", fmt.Errorf("find upstream of %s: %w: none is configured", head, ErrNotFound)
}

var suffixRE = regexp.MustCompile(`^(?:[~^][0-9]{0,6}|\^\{(?:commit)?\})+$`)

// Resolve returns the commit that rev names. It reads
//
//   - full and abbreviated object ids;
//   - HEAD (or @), the branch's upstream (@{u}, @{upstream}), full ref names, and short ones as
//     git completes them, where only one ref fits;
//   - any of these followed by ~N, ^N, ^{} or ^{commit}.
//
// A short name that fits two refs is [ErrAmbiguous], one that fits nothing [ErrNotFound], any
// other spelling [ErrRevision].
func (r *Repo) Resolve(ctx context.Context, rev string) (string, error) {
	oid, err := r.resolve(ctx, rev)
	if err != nil {
		return "", fmt.Errorf("resolve %q: %w", rev, err)
	}
	return oid, nil
}

func (r *Repo) resolve(ctx context.Context, rev string) (string, error) {
	base, suffix := rev, ""
	if i := strings.IndexAny(rev, "~^"); i >= 0 {
		base, suffix = rev[:i], rev[i:]
		if !suffixRE.MatchString(suffix) {
			return "", ErrRevision
		}
	}
	name, err := r.baseName(ctx, base)
	if err != nil {
		return "", err
	}
	answers, err := r.batch.info(ctx, []string{name + suffix + "^{commit}"})
	if err != nil {
		return "", err
	}
	switch a := answers[0]; {
	case a.state == "ambiguous":
		return "", ErrAmbiguous
	case a.state != "":
		// Git answers "missing" both for an object that is not there and for a parent that a
		// commit does not have.
		return "", ErrNotFound
	default:
		return a.oid, nil
	}
}

// baseName turns a revision without suffix into an object id, whole or abbreviated.
func (r *Repo) baseName(ctx context.Context, base string) (string, error) {
	if r.IsOID(base) {
		return base, nil
	}
	switch base {
	case "@":
		base = "HEAD"
	case "@{u}", "@{upstream}":
		up, err := r.Upstream(ctx)
		if err != nil {
			return "", err
		}
		base = up
	}
	if !validRefName(base) {
		return "", ErrRevision
	}
	oid, err := r.expand(base)
	if errors.Is(err, ErrNotFound) && len(base) >= 4 && len(base) < r.oidLen() && isHex(strings.ToLower(base)) {
		return strings.ToLower(base), nil
	}
	return oid, err
}

// expand finds the one ref that a short name stands for.
func (r *Repo) expand(short string) (string, error) {
	patterns := []string{"refs/%s", "refs/tags/%s", "refs/heads/%s", "refs/remotes/%s", "refs/remotes/%s/HEAD"}
	if strings.HasPrefix(short, "refs/") || short == "HEAD" || strings.HasSuffix(short, "_HEAD") {
		oid, _, err := r.follow(short)
		if err == nil || !errors.Is(err, ErrNotFound) {
			return oid, err
		}
	}
	var found, at string
	for _, p := range patterns {
		name := fmt.Sprintf(p, short)
		oid, _, err := r.follow(name)
		switch {
		case errors.Is(err, ErrNotFound):
		case err != nil:
			return "", err
		case found != "" && at != name:
			return "", fmt.Errorf("%w: it may be %s or %s; write one of them in full", ErrAmbiguous, at, name)
		default:
			found, at = oid, name
		}
	}
	if found == "" {
		return "", ErrNotFound
	}
	return found, nil
}

// follow reads a ref and the refs that it names until one holds an object id. It also returns
// the name of that last ref.
func (r *Repo) follow(name string) (oid, last string, err error) {
	for range maxSymrefs + 1 {
		oid, target, err := r.readRef(name)
		if err != nil || target == "" {
			return oid, name, err
		}
		name = target
	}
	return "", "", fmt.Errorf("read ref %s: more than %d symbolic refs in a row", name, maxSymrefs)
}

// readRef reads one ref: the object id it holds, or the name of the ref that it points to.
func (r *Repo) readRef(name string) (oid, target string, err error) {
	if !validRefName(name) {
		return "", "", fmt.Errorf("read ref %q: %w: not a valid name", name, ErrNotFound)
	}
	dir := r.commonDir
	if !strings.HasPrefix(name, "refs/") || strings.HasPrefix(name, "refs/bisect/") ||
		strings.HasPrefix(name, "refs/worktree/") || strings.HasPrefix(name, "refs/rewritten/") {
		dir = r.gitDir
	}
	file := filepath.Join(dir, filepath.FromSlash(name))
	if link, err := os.Readlink(file); err == nil && strings.HasPrefix(link, "refs/") && validRefName(link) {
		return "", link, nil // the oldest form of a symbolic ref
	}
	st, err := os.Stat(file)
	if err == nil && !st.IsDir() {
		b, err := readSmall(file)
		if err != nil {
			return "", "", fmt.Errorf("read ref %s: %w", name, err)
		}
		return r.parseRef(name, b)
	}
	if err != nil && !absent(err) {
		return "", "", fmt.Errorf("read ref %s: %w", name, err)
	}
	return r.packedRef(name)
}

func (r *Repo) parseRef(name string, b []byte) (oid, target string, err error) {
	s := strings.TrimRight(string(b), " \t\r\n")
	if t, ok := strings.CutPrefix(s, "ref:"); ok {
		t = strings.TrimLeft(t, " \t")
		if !validRefName(t) {
			return "", "", fmt.Errorf("read ref %s: malformed target %q", name, t)
		}
		return "", t, nil
	}
	// HEAD's relatives (FETCH_HEAD) carry words after the id.
	s, _, _ = strings.Cut(s, "\t")
	if !r.IsOID(s) {
		return "", "", fmt.Errorf("read ref %s: malformed", name)
	}
	return s, "", nil
}

func (r *Repo) packedRef(name string) (string, string, error) {
	file := filepath.Join(r.commonDir, "packed-refs")
	st, err := os.Stat(file)
	if errors.Is(err, os.ErrNotExist) {
		return "", "", fmt.Errorf("read ref %s: %w", name, ErrNotFound)
	} else if err != nil {
		return "", "", fmt.Errorf("read ref %s: %w", name, err)
	} else if !st.Mode().IsRegular() {
		return "", "", fmt.Errorf("read ref %s: packed-refs is not a regular file", name)
	}
	f, err := os.Open(file)
	if err != nil {
		return "", "", fmt.Errorf("read ref %s: %w", name, err)
	}
	defer f.Close()
	oid, err := findPacked(f, name, r.oidLen())
	if err != nil {
		return "", "", fmt.Errorf("read ref %s: packed-refs: %w", name, err)
	}
	if oid == "" {
		return "", "", fmt.Errorf("read ref %s: %w", name, ErrNotFound)
	}
	return oid, "", nil
}

// findPacked looks name up in a packed-refs file: lines of id, space and name, comments that
// start with "#", and the peeled value of the tag before on lines that start with "^".
func findPacked(in io.Reader, name string, oidLen int) (string, error) {
	sc := bufio.NewScanner(in)
	sc.Buffer(make([]byte, 0, 64<<10), 64<<10)
	for sc.Scan() {
		line := sc.Text()
		if line == "" || line[0] == '#' || line[0] == '^' {
			continue
		}
		oid, ref, ok := strings.Cut(line, " ")
		if !ok || len(oid) != oidLen || !isHex(oid) {
			return "", fmt.Errorf("malformed line %q", line)
		}
		if ref == name {
			return oid, nil
		}
	}
	return "", sc.Err()
}

// validRefName applies the rules of git check-ref-format, which also keep a name inside the
// folder that it is looked up in.
func validRefName(s string) bool {
	if s == "" || s == "@" || len(s) > 4096 || strings.HasPrefix(s, "-") || strings.HasSuffix(s, ".") ||
		strings.Contains(s, "..") || strings.Contains(s, "@{") || strings.ContainsAny(s, " ~^:?*[\\") ||
		strings.IndexFunc(s, unicode.IsControl) >= 0 {
		return false
	}
	for part := range strings.SplitSeq(s, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return true
}

// RemoteURL returns the address of a remote, as the repository's configuration says: a claim,
// since anyone who can write there can change it. It returns [ErrNotFound] if there is none.
func (r *Repo) RemoteURL(_ context.Context, remote string) (string, error) {
	if url := r.configValue("remote." + remote + ".url"); url != "" {
		return url, nil
	}
	return "", fmt.Errorf("find the address of %s: %w", remote, ErrNotFound)
}
