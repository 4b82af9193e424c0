package confine

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A rule is one step of building the command's root, the same for every mechanism. Rules are
// carried out in order, so that a later one lies over an earlier one.
type rule struct {
	Kind   ruleKind
	Source string // what is bound, or where a link leads
	Target string
	Data   string // of a file
}

type ruleKind string

const (
	bindRead  ruleKind = "ro"
	bindWrite ruleKind = "rw"
	// pin is a writable bind of a folder onto itself. A mount point can't be renamed or removed, so
	// a pinned folder can't be moved away with the protected file in it.
	pin     ruleKind = "pin"
	absent  ruleKind = "absent" // /dev/null over a placeholder: reads as empty, can't be written
	memory  ruleKind = "memory" // an empty folder in memory
	masked  ruleKind = "masked" // an empty folder that stays empty
	folder  ruleKind = "dir"
	link    ruleKind = "link"
	content ruleKind = "file" // a read-only file with Data
	procs   ruleKind = "proc"
	devices ruleKind = "dev"
)

func (r rule) String() string {
	switch r.Kind {
	case link:
		return fmt.Sprintf("%s %s -> %s", r.Kind, r.Target, r.Source)
	case bindRead, bindWrite:
		if r.Source != r.Target {
			return fmt.Sprintf("%s %s from %s", r.Kind, r.Target, r.Source)
		}
	}
	return string(r.Kind) + " " + r.Target
}

// A plan is a [Spec] worked out against the file system.
type plan struct {
	rules []rule
	// guards are paths that must not come to be, and that no mount can hold: see gitState.
	guards []string
	// placeholders were made so that something could be mounted over them; the last made is last.
	placeholders []string
	workspace    string
	home         string
	dir          string
	gitDirs      []string
	hidden       []string
}

// systemFolders are shown read-only as they are, or as the links that they are on a merged /usr.
var systemFolders = []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store"}

// etcNames are what is shown of /etc: what programs need to run, and nothing that could hold
// a secret of this machine or its people.
var etcNames = []string{
	"alternatives", "bash.bashrc", "bash_completion.d", "ca-certificates", "ca-certificates.conf", "crypto-policies",
	"debian_version", "default/locale", "fonts", "gai.conf", "group", "host.conf", "inputrc", "java", "ld.so.cache",
	"ld.so.conf", "ld.so.conf.d", "ld-musl-x86_64.path", "ld-musl-aarch64.path", "locale.alias", "locale.conf",
	"localtime", "login.defs", "lsb-release", "magic", "mailcap", "manpath.config", "mime.types", "nanorc",
	"networks", "os-release", "passwd", "perl", "pki", "profile", "profile.d", "protocols", "python3", "python3.10",
	"python3.11", "python3.12", "python3.13", "rpc", "services", "shells", "skel", "ssl", "terminfo", "timezone",
	"vim", "xattr.conf", "zsh",
}

// procCovered is what of /proc is the machine's and not a process's. A command that runs as root
// may write there by the file's owner alone.
var procCovered = []string{"sys", "sysrq-trigger", "irq", "bus", "fs", "acpi", "scsi"}

const memoryHome = "/home/agent"

func newPlan(s *Spec) (*plan, error) {
	p := &plan{}
	var err error
	if p.workspace, err = realFolder("the workspace", s.Workspace); err != nil {
		return nil, err
	}
	for _, h := range append(ownersHidden(), s.Hidden...) {
		if real, err := filepath.EvalSymlinks(h); err == nil && real != "/" {
			p.hidden = append(p.hidden, real)
		}
	}
	p.system()
	if err := p.etc(s.Etc); err != nil {
		return nil, err
	}

	// Whatever the Spec shows comes in the order of depth, so that a folder never lies over what is
	// inside it; hidden paths take part, since they may lie inside something that is shown.
	var shown []rule
	for _, path := range s.ReadOnly {
		real, err := realPath("a read-only path", path)
		if err != nil {
			return nil, err
		}
		shown = append(shown, rule{Kind: bindRead, Source: real, Target: filepath.Clean(path)})
	}
	for _, path := range s.ReadWrite {
		real, err := realPath("a writable path", path)
		if err != nil {
			return nil, err
		}
		shown = append(shown, rule{Kind: bindWrite, Source: real, Target: filepath.Clean(path)})
	}
	p.home = memoryHome
	if s.Home != "" {
		if p.home, err = realFolder("the command's home", s.Home); err != nil {
			return nil, err
		}
		shown = append(shown, rule{Kind: bindWrite, Source: p.home, Target: p.home})
	} else {
		shown = append(shown, rule{Kind: memory, Target: p.home})
	}
	shown = append(shown, rule{Kind: bindWrite, Source: p.workspace, Target: p.workspace})
	for _, r := range shown {
		if err := p.mayShow(r); err != nil {
			return nil, err
		}
	}
	var late []rule // of hidden paths in the workspace: a pinned folder would lie over them
	for _, h := range p.hidden {
		if within(h, p.workspace) && h != p.workspace {
			late = append(late, p.mask(h))
			continue
		}
		if slices.ContainsFunc(append(shown, p.rules...), func(r rule) bool {
			return (r.Kind == bindRead || r.Kind == bindWrite) && within(h, r.Target) && h != r.Target
		}) {
			shown = append(shown, p.mask(h))
		}
	}
	git, err := gitState(p.workspace)
	if err != nil {
		return nil, err
	}
	for _, r := range git.shown {
		if err := p.mayShow(r); err != nil {
			return nil, err
		}
	}
	shown = append(shown, git.shown...)
	slices.SortStableFunc(shown, func(a, b rule) int { return cmp.Compare(depth(a.Target), depth(b.Target)) })
	p.rules = append(p.rules, shown...)
	p.gitDirs, p.guards = git.dirs, git.guards

	protected := append(git.protected, protection{p.workspace, filepath.Join(p.workspace, ".sallyport"), true})
	for _, name := range s.Protected {
		full := name
		if !filepath.IsAbs(name) {
			full = filepath.Join(p.workspace, name)
		}
		full = filepath.Clean(full)
		if !within(full, p.workspace) || full == p.workspace {
			return nil, fmt.Errorf("%w: the protected path %s is not inside the workspace", ErrSpec, name)
		}
		protected = append(protected, protection{p.workspace, full, strings.HasSuffix(name, "/")})
	}
	if err := p.protect(protected); err != nil {
		p.cleanUp()
		return nil, err
	}
	p.rules = append(p.rules, late...)

	p.dir = p.workspace
	if s.Dir != "" {
		if p.dir, err = realFolder("the folder to start in", s.Dir); err != nil {
			p.cleanUp()
			return nil, err
		}
	}
	return p, nil
}

// system shows what every program needs.
func (p *plan) system() {
	add := func(r rule) { p.rules = append(p.rules, r) }
	for _, dir := range systemFolders {
		if to, err := os.Readlink(dir); err == nil {
			add(rule{Kind: link, Source: to, Target: dir})
		} else if info, err := os.Stat(dir); err == nil && info.IsDir() {
			add(rule{Kind: bindRead, Source: dir, Target: dir})
		}
	}
	add(rule{Kind: folder, Target: "/etc"})
	for _, name := range etcNames {
		full := "/etc/" + name
		if to, err := os.Readlink(full); err == nil {
			// Where a distribution keeps the file is shown with /usr, if it is there at all.
			add(rule{Kind: link, Source: to, Target: full})
		} else if _, err := os.Stat(full); err == nil {
			add(rule{Kind: bindRead, Source: full, Target: full})
		}
	}
	// Names are asked of the supervisor, which says no and writes it down.
	add(rule{Kind: content, Target: "/etc/resolv.conf", Data: "nameserver 127.0.0.1\noptions timeout:2 attempts:1\n"})
	add(rule{Kind: content, Target: "/etc/hosts", Data: "127.0.0.1 localhost sallyport\n::1 localhost\n"})
	add(rule{Kind: content, Target: "/etc/nsswitch.conf", Data: "passwd: files\ngroup: files\nhosts: files dns\n"})
	add(rule{Kind: procs, Target: "/proc"})
	add(rule{Kind: devices, Target: "/dev"})
	for _, dir := range []string{"/tmp", "/var/tmp"} {
		add(rule{Kind: memory, Target: dir})
	}
	add(rule{Kind: folder, Target: "/run"})
	add(rule{Kind: bindRead, Source: "/proc/self/exe", Target: InitPath})
}

// maxEtc bounds the files that are laid into /etc, all of them together. They travel with the plan.
const maxEtc = 20 << 10

// etc adds the files that the Spec lays into /etc.
func (p *plan) etc(files map[string]string) error {
	size := 0
	for _, name := range slices.Sorted(maps.Keys(files)) {
		full := "/etc/" + name
		if !filepath.IsLocal(name) || filepath.Clean(name) != name || name == "." || strings.ContainsAny(name, "\x00\n") {
			return fmt.Errorf("%w: %q is no path below /etc", ErrSpec, name)
		}
		if size += len(name) + len(files[name]); size > maxEtc {
			return fmt.Errorf("%w: the files for /etc have more than %d bytes", ErrSpec, maxEtc)
		}
		for _, r := range p.rules {
			if r.Target != "/etc" && (within(full, r.Target) || within(r.Target, full)) {
				return fmt.Errorf("%w: /etc/%s would lie over %s", ErrSpec, name, r.Target)
			}
		}
		p.rules = append(p.rules, rule{Kind: content, Target: full, Data: files[name]})
	}
	return nil
}

// mayShow refuses a rule that would show a hidden path as a whole.
func (p *plan) mayShow(r rule) error {
	if r.Source == "" {
		return nil
	}
	for _, name := range []string{r.Source, r.Target} {
		if name == "/" {
			return fmt.Errorf("%w: the whole file system cannot be shown", ErrSpec)
		}
		for _, own := range []string{"/proc", "/sys", "/dev", "/run/sallyport", "/etc"} {
			if within(name, own) && name != "/dev/null" {
				return fmt.Errorf("%w: %s cannot be shown: the command has a %s of its own", ErrSpec, name, own)
			}
		}
	}
	for _, h := range p.hidden {
		if within(h, r.Source) && (r.Source == h || r.Kind == bindWrite && r.Source != p.workspace) || h == r.Source {
			return fmt.Errorf("%w: %s would show %s, which is hidden", ErrSpec, r.Source, h)
		}
	}
	return nil
}

// mask returns the rule that puts nothing in the place of a hidden path.
func (p *plan) mask(path string) rule {
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		return rule{Kind: absent, Target: path}
	}
	return rule{Kind: masked, Target: path}
}

// A protection is a path that is to stay as it is, below a writable root.
type protection struct {
	root, path string
	folder     bool // what it would be, if it does not exist
}

// protect adds the rules for paths that stay as they are: the path itself read-only, and every
// folder on the way to it pinned.
func (p *plan) protect(paths []protection) error {
	slices.SortStableFunc(paths, func(a, b protection) int {
		return cmp.Or(cmp.Compare(depth(a.path), depth(b.path)), strings.Compare(a.path, b.path))
	})
	done := map[string]bool{}
	var sealed []string
	var pins, seals []rule
	for _, q := range paths {
		if done[q.path] || slices.ContainsFunc(sealed, func(s string) bool { return within(q.path, s) }) {
			continue
		}
		rel, err := filepath.Rel(q.root, q.path)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrSpec, err)
		}
		parts := strings.Split(rel, string(filepath.Separator))
		at := q.root
		for i, part := range parts {
			at = filepath.Join(at, part)
			last := i == len(parts)-1
			info, err := os.Lstat(at)
			switch {
			case err == nil && info.Mode()&fs.ModeSymlink != 0:
				return fmt.Errorf("%w: the protected path %s leads through the symbolic link %s, which the command could replace; put a file or folder in its place", ErrSpec, q.path, at)
			case err == nil && last:
				if err := oneName(at, info); err != nil {
					return err
				}
				seals = append(seals, rule{Kind: bindRead, Source: at, Target: at})
				sealed = append(sealed, at)
			case err == nil:
				if !info.IsDir() {
					return fmt.Errorf("%w: the protected path %s leads through %s, which is no folder", ErrSpec, q.path, at)
				}
				if !done[at] {
					pins = append(pins, rule{Kind: pin, Source: at, Target: at})
				}
				done[at] = true
				continue
			case os.IsNotExist(err):
				if err := p.placeholder(at, !last || q.folder); err != nil {
					return err
				}
				if !last || q.folder {
					seals = append(seals, rule{Kind: bindRead, Source: at, Target: at})
				} else {
					seals = append(seals, rule{Kind: absent, Target: at})
				}
				sealed = append(sealed, at)
			default:
				return fmt.Errorf("%w: reading the protected path %s: %w", ErrSpec, at, err)
			}
			break
		}
		done[q.path] = true
	}
	shallow := func(a, b rule) int { return cmp.Compare(depth(a.Target), depth(b.Target)) }
	// A writable folder of git's may lie in one that is pinned, and a sealed one in that again.
	all := append(slices.Clone(pins), seals...)
	slices.SortStableFunc(all, shallow)
	p.rules = append(p.rules, all...)
	return nil
}

// placeholder makes what something can be mounted over. It is removed when the command has ended;
// if the supervisor is killed, an empty folder or file stays.
func (p *plan) placeholder(path string, dir bool) error {
	var err error
	if dir {
		err = os.Mkdir(path, 0o755)
	} else {
		var f *os.File
		if f, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644); err == nil {
			err = f.Close()
		}
	}
	if err != nil {
		return fmt.Errorf("holding the place of the protected path %s: %w", path, err)
	}
	p.placeholders = append(p.placeholders, path)
	return nil
}

// cleanUp removes the placeholders that are still empty.
func (p *plan) cleanUp() {
	for _, path := range slices.Backward(p.placeholders) {
		info, err := os.Lstat(path)
		if err == nil && (info.IsDir() || info.Mode().IsRegular() && info.Size() == 0) {
			os.Remove(path)
		}
	}
	p.placeholders = nil
}

// files tells the rules for a profile.
func (p *plan) files() []string {
	var out []string
	for _, r := range p.rules {
		out = append(out, r.String())
	}
	return out
}

// maxProtectedFiles bounds the search for second names of protected files.
const maxProtectedFiles = 20000

// oneName refuses protected files that have a second name, by which they could be written.
func oneName(path string, info fs.FileInfo) error {
	if !info.IsDir() {
		if links(info) > 1 {
			return fmt.Errorf("%w: the protected file %s has a second name (a hard link), by which it could be changed; copy it and put the copy in its place", ErrSpec, path)
		}
		return nil
	}
	n := 0
	return filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("%w: reading the protected folder %s: %w", ErrSpec, path, err)
		}
		if n++; n > maxProtectedFiles {
			return fmt.Errorf("%w: the protected folder %s holds more than %d files", ErrSpec, path, maxProtectedFiles)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return fmt.Errorf("%w: reading the protected file %s: %w", ErrSpec, name, err)
		}
		return oneName(name, info)
	})
}

func realPath(what, path string) (string, error) {
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("%w: %s has to be an absolute path, not %q", ErrSpec, what, path)
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", fmt.Errorf("%w: %s: %w", ErrSpec, what, err)
	}
	return real, nil
}

func realFolder(what, path string) (string, error) {
	real, err := realPath(what, path)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(real)
	if err != nil {
		return "", fmt.Errorf("%w: %s: %w", ErrSpec, what, err)
	}
	if !info.IsDir() {
		return "", fmt.Errorf("%w: %s is no folder: %s", ErrSpec, what, path)
	}
	return real, nil
}

// within reports whether path is root or below it. Both are clean.
func within(path, root string) bool {
	return path == root || root == "/" || strings.HasPrefix(path, root+"/")
}

func depth(path string) int { return strings.Count(filepath.Clean(path), "/") }

// ownersHidden returns what is the operator's own.
func ownersHidden() []string {
	var out []string
	if home, err := os.UserHomeDir(); err == nil {
		out = append(out, home)
	}
	if home := passwdHome(os.Getuid()); home != "" {
		out = append(out, home)
	}
	return out
}

// passwdHome returns the home folder that the system knows of a user: HOME is only what the
// environment says.
func passwdHome(uid int) string {
	b, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) >= 6 && f[2] == fmt.Sprint(uid) && filepath.IsAbs(f[5]) {
			return f[5]
		}
	}
	return ""
}
