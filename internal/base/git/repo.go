package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Errors that callers branch on.
var (
	// ErrNotRepository says that neither the folder nor any above it is a git repository.
	ErrNotRepository = errors.New("not a git repository")
	// ErrNotFound says that a ref, revision or path does not exist.
	ErrNotFound = errors.New("not found")
	// ErrAmbiguous says that a short name fits more than one ref or object. Git would pick one;
	// a tag called like the protected branch must not decide what is judged.
	ErrAmbiguous = errors.New("ambiguous")
	// ErrRevision says that a revision is spelt in a way that this package does not read.
	ErrRevision = errors.New("unsupported revision")
	// ErrMissingObject says that an object which must exist is not in the object store: the
	// repository is a partial clone, or it is damaged.
	ErrMissingObject = errors.New("object is missing from the repository (of a partial clone, run: git fetch --refetch --no-filter)")
	// ErrCorrupt says that an object's bytes do not have the id that they are stored under.
	ErrCorrupt = errors.New("object does not match its id")
	// ErrTooLarge says that something is larger than the caller's limit.
	ErrTooLarge = errors.New("too large")
	// ErrShallow says that history was cut off when the repository was cloned.
	ErrShallow = errors.New("the clone is shallow, its history is cut off; run: git fetch --unshallow")
)

// Object formats.
const (
	SHA1   = "sha1"
	SHA256 = "sha256"
)

// DefaultTimeout bounds one git process, or one read of objects, when neither the context nor
// [WithTimeout] says otherwise.
const DefaultTimeout = 10 * time.Minute

// A Repo is an open repository. Close it.
type Repo struct {
	gitDir    string // the repository's, or the linked worktree's, own folder
	commonDir string // where refs, configuration and objects are
	workTree  string // empty for a bare repository
	private   string // our GIT_DIR
	gitPath   string
	format    string
	config    map[string][]string
	timeout   time.Duration
	batch     *batch
	closeOnce sync.Once
	closeErr  error
}

// An Option changes how a repository is opened.
type Option func(*options)

type options struct {
	objectDirs []string
	timeout    time.Duration
	err        error
}

// WithQuarantine also reads objects from objDir and from alternates: git's receive-pack keeps
// what is being pushed there until its hooks have accepted it.
func WithQuarantine(objDir string, alternates []string) Option {
	return func(o *options) {
		for _, d := range append([]string{objDir}, alternates...) {
			if d == "" {
				continue
			}
			abs, err := filepath.Abs(d)
			if err != nil {
				o.err = errors.Join(o.err, err)
				continue
			}
			o.objectDirs = append(o.objectDirs, abs)
		}
	}
}

// QuarantineFromEnv is [WithQuarantine] with what git tells a pre-receive hook through
// GIT_OBJECT_DIRECTORY and GIT_ALTERNATE_OBJECT_DIRECTORIES. Call it with [os.Getenv]. It adds
// nothing where the variables are not set.
func QuarantineFromEnv(getenv func(string) string) Option {
	objDir := getenv("GIT_OBJECT_DIRECTORY")
	var alternates []string
	list := getenv("GIT_ALTERNATE_OBJECT_DIRECTORIES")
	for list != "" {
		var entry string
		if strings.HasPrefix(list, `"`) {
			unquoted, rest, err := UnquotePrefix(list)
			if err != nil {
				return func(o *options) { o.err = fmt.Errorf("read GIT_ALTERNATE_OBJECT_DIRECTORIES: %w", err) }
			}
			entry, list = unquoted, strings.TrimPrefix(rest, string(os.PathListSeparator))
		} else {
			entry, list, _ = strings.Cut(list, string(os.PathListSeparator))
		}
		alternates = append(alternates, entry)
	}
	return WithQuarantine(objDir, alternates)
}

// WithTimeout bounds each git process and each read of objects.
func WithTimeout(d time.Duration) Option { return func(o *options) { o.timeout = d } }

// Open opens the repository that dir belongs to: a work tree or a folder inside one, a linked
// worktree, a bare repository, or the .git folder itself. Nothing that is configured there runs.
func Open(ctx context.Context, dir string, opts ...Option) (*Repo, error) {
	o := options{timeout: DefaultTimeout}
	for _, opt := range opts {
		opt(&o)
	}
	if o.err != nil {
		return nil, fmt.Errorf("open repository: %w", o.err)
	}
	r := &Repo{timeout: o.timeout, format: SHA1}
	if err := r.discover(dir); err != nil {
		return nil, fmt.Errorf("open repository %s: %w", dir, err)
	}
	var err error
	if r.gitPath, err = findGit(); err != nil {
		return nil, fmt.Errorf("open repository %s: %w", dir, err)
	}
	if r.private, err = os.MkdirTemp("", "sallyport-git-"); err != nil {
		return nil, fmt.Errorf("open repository %s: make a private folder: %w", dir, err)
	}
	if err := r.prepare(ctx, o.objectDirs); err != nil {
		return nil, errors.Join(fmt.Errorf("open repository %s: %w", dir, err), os.RemoveAll(r.private))
	}
	r.batch = &batch{repo: r}
	return r, nil
}

// Close ends the processes that r started and removes its private folder.
func (r *Repo) Close() error {
	r.closeOnce.Do(func() {
		r.batch.close()
		if err := os.RemoveAll(r.private); err != nil {
			r.closeErr = fmt.Errorf("remove private git folder: %w", err)
		}
	})
	return r.closeErr
}

// ObjectFormat returns [SHA1] or [SHA256].
func (r *Repo) ObjectFormat() string { return r.format }

// GitDir returns the repository's git folder; of a linked worktree, its own one.
func (r *Repo) GitDir() string { return r.gitDir }

// CommonDir returns the folder that all worktrees of the repository share.
func (r *Repo) CommonDir() string { return r.commonDir }

// WorkTree returns the top folder of the work tree, or "" where there is none.
func (r *Repo) WorkTree() string { return r.workTree }

// ZeroOID returns the object id that stands for "no object".
func (r *Repo) ZeroOID() string { return strings.Repeat("0", r.oidLen()) }

// EmptyTree returns the id of the tree without entries.
func (r *Repo) EmptyTree() string { return r.hash("tree", nil) }

func (r *Repo) oidLen() int {
	if r.format == SHA256 {
		return 64
	}
	return 40
}

// IsOID reports whether s is a full object id of r's format, in lower case.
func (r *Repo) IsOID(s string) bool { return len(s) == r.oidLen() && isHex(s) }

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return s != ""
}

// Shallow returns an error that wraps [ErrShallow] if the repository's history is cut off.
func (r *Repo) Shallow() error {
	st, err := os.Stat(filepath.Join(r.commonDir, "shallow"))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("look for a shallow clone: %w", err)
	case st.Size() == 0:
		return nil
	}
	return ErrShallow
}

// discover fills gitDir, commonDir and workTree by reading files only.
func (r *Repo) discover(dir string) error {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if st, err := os.Stat(abs); err != nil {
		return err
	} else if !st.IsDir() {
		return errors.New("not a folder")
	}
	for d := abs; ; {
		found, err := r.discoverAt(d)
		if err != nil || found {
			return err
		}
		parent := filepath.Dir(d)
		if parent == d {
			return ErrNotRepository
		}
		d = parent
	}
}

func (r *Repo) discoverAt(d string) (bool, error) {
	dotGit := filepath.Join(d, ".git")
	st, err := os.Stat(dotGit)
	switch {
	case err == nil && st.IsDir():
		if ok, err := r.adopt(dotGit); ok || err != nil {
			r.workTree = d
			return ok, err
		}
	case err == nil:
		b, err := readSmall(dotGit)
		if err != nil {
			return false, err
		}
		target, ok := strings.CutPrefix(strings.TrimRight(string(b), "\r\n"), "gitdir: ")
		if !ok || target == "" {
			return false, fmt.Errorf("%s does not name a git folder", dotGit)
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(d, target)
		}
		ok, err = r.adopt(target)
		if err == nil && !ok {
			err = fmt.Errorf("%s names %s, which is not a git folder", dotGit, target)
		}
		r.workTree = d
		return ok, err
	case !errors.Is(err, os.ErrNotExist):
		return false, err
	}
	ok, err := r.adopt(d)
	if ok && filepath.Base(d) == ".git" {
		r.workTree = filepath.Dir(d)
	}
	return ok, err
}

// adopt takes d as the git folder if it looks like one: it has a HEAD, and objects and refs
// either itself or in the common folder that it names. What cannot be looked at is an error: to
// take it for absent would go on to a repository further up, and judge that one.
func (r *Repo) adopt(d string) (bool, error) {
	switch _, err := os.Lstat(filepath.Join(d, "HEAD")); {
	case absent(err):
		return false, nil
	case err != nil:
		return false, err
	}
	common := d
	b, err := readSmall(filepath.Join(d, "commondir"))
	switch {
	case err == nil:
		common = strings.TrimRight(string(b), "\r\n")
		if !filepath.IsAbs(common) {
			common = filepath.Join(d, common)
		}
	case !errors.Is(err, os.ErrNotExist):
		return false, err
	}
	for _, sub := range []string{"objects", "refs"} {
		switch st, err := os.Stat(filepath.Join(common, sub)); {
		case absent(err) || err == nil && !st.IsDir():
			return false, nil
		case err != nil:
			return false, err
		}
	}
	r.gitDir, r.commonDir = filepath.Clean(d), filepath.Clean(common)
	return true, nil
}

// absent reports whether err says that nothing is there, rather than that it cannot be told. A
// parent may itself be a file: refs/heads/a where refs/heads/a/b is asked for.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// smallFile bounds the repository's files that are read whole: .git, HEAD, refs, config.
const smallFile = 1 << 20

// readSmall reads a regular file of at most smallFile bytes. It never waits: a named pipe in
// place of a ref would otherwise hold a gate up for ever.
func readSmall(name string) ([]byte, error) {
	st, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, smallFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > smallFile {
		return nil, fmt.Errorf("%s: %w: more than %d bytes", name, ErrTooLarge, smallFile)
	}
	return b, nil
}

// prepare makes the private GIT_DIR.
func (r *Repo) prepare(ctx context.Context, quarantine []string) error {
	for _, d := range []string{"refs", "objects/info", "objects/pack", "home"} {
		if err := os.MkdirAll(filepath.Join(r.private, filepath.FromSlash(d)), 0o700); err != nil {
			return err
		}
	}
	var alternates strings.Builder
	for _, d := range append(quarantine, filepath.Join(r.commonDir, "objects")) {
		alternates.WriteString(quoteAlternate(d) + "\n")
	}
	files := map[string]string{
		"HEAD":                    "ref: refs/heads/unborn\n",
		"config":                  privateConfig(SHA1),
		"objects/info/alternates": alternates.String(),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(r.private, filepath.FromSlash(name)), []byte(text), 0o600); err != nil {
			return err
		}
	}
	if err := r.readConfig(ctx); err != nil {
		return err
	}
	if r.format == SHA1 {
		return nil
	}
	return os.WriteFile(filepath.Join(r.private, "config"), []byte(privateConfig(r.format)), 0o600)
}

// BigFile is the size from which git, as this package configures it, treats a file as binary
// and does not load it in order to compare it.
const BigFile = 8 << 20

func privateConfig(format string) string {
	version, ext := 0, ""
	if format != SHA1 {
		version, ext = 1, "[extensions]\n\tobjectformat = "+format+"\n"
	}
	return "[core]\n" +
		"\trepositoryformatversion = " + strconv.Itoa(version) + "\n" +
		"\tbare = true\n" +
		"\tfilemode = true\n" +
		"\tattributesFile = " + os.DevNull + "\n" +
		"\texcludesFile = " + os.DevNull + "\n" +
		"\thooksPath = " + os.DevNull + "\n" +
		"\tfsmonitor = false\n" +
		"\tuntrackedCache = false\n" +
		"\tuseReplaceRefs = false\n" +
		// A commit graph repeats parents and trees outside the objects, where nothing checks them.
		"\tcommitGraph = false\n" +
		"\tquotePath = true\n" +
		"\tpager = cat\n" +
		"\tbigFileThreshold = " + strconv.Itoa(BigFile) + "\n" +
		"[protocol]\n\tallow = never\n" +
		"[gc]\n\tauto = 0\n" +
		"[maintenance]\n\tauto = false\n" +
		"[merge]\n\tconflictStyle = merge\n\trenames = true\n\tdirectoryRenames = conflict\n" +
		ext
}

// readConfig reads what the repository's configuration says about data: formats and upstreams.
// Git parses it, from standard input and without includes, in the private folder.
func (r *Repo) readConfig(ctx context.Context) error {
	r.config = map[string][]string{}
	b, err := readSmall(filepath.Join(r.commonDir, "config"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	out, err := r.Output(ctx, 4*smallFile, strings.NewReader(string(b)), "config", "--file", "-", "--no-includes", "-z", "--list")
	if err != nil {
		return fmt.Errorf("read the repository's configuration: %w", err)
	}
	for item := range strings.SplitSeq(string(out), "\x00") {
		key, value, ok := strings.Cut(item, "\n")
		if !ok {
			value = "true" // a key without "=" is a boolean
		}
		if key != "" {
			r.config[key] = append(r.config[key], value)
		}
	}
	switch f := strings.ToLower(r.configValue("extensions.objectformat")); f {
	case "", SHA1:
	case SHA256:
		r.format = SHA256
	default:
		return fmt.Errorf("unknown object format %q", f)
	}
	if s := r.configValue("extensions.refstorage"); s != "" && !strings.EqualFold(s, "files") {
		return fmt.Errorf("ref storage %q cannot be read; run: git refs migrate --ref-format=files", s)
	}
	return nil
}

// configValue returns the last value of key, as git does for keys with one value.
func (r *Repo) configValue(key string) string {
	if v := r.config[key]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}
