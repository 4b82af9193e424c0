package git

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Errors of remotes that callers branch on.
var (
	// ErrNoRemote says that the repository's configuration gives a name no address.
	ErrNoRemote = errors.New("the repository knows no remote of that name")
	// ErrRace says that the remote's ref is no longer what the push was made for.
	ErrRace = errors.New("the remote's ref has moved meanwhile")
	// ErrRefused says that the remote's hook refused the push.
	ErrRefused = errors.New("the remote refused the push")
	// ErrAddress says that a remote's address is of a kind that is not used.
	ErrAddress = errors.New("an address that is not used: it has to be https, ssh, http to this machine, or a folder")
)

// fetched is the ref of the private folder that a fetch leaves.
const fetched = "refs/sallyport/fetched"

// Fetch brings what ref points to on a remote into the private folder, until r is closed, and
// returns its id; [ErrNotFound] if the remote has no such ref. Nothing is written to the
// repository, and none of its refs moves. For remote see [Repo.Push].
func (r *Repo) Fetch(ctx context.Context, remote, ref string) (string, error) {
	where, err := r.address(remote, false)
	if err != nil {
		return "", fmt.Errorf("fetch from %s: %w", remote, err)
	}
	if !strings.HasPrefix(ref, "refs/") || !validRefName(ref) {
		return "", fmt.Errorf("fetch %q: not a full ref name", ref)
	}
	list, err := r.transport(ctx, "ls-remote", "--refs", "--", where, ref)
	if err != nil {
		return "", fmt.Errorf("fetch from %s: %w", remote, err)
	}
	if strings.TrimSpace(list) == "" {
		return "", fmt.Errorf("fetch %s from %s: %w", ref, remote, ErrNotFound)
	}
	if _, err := r.transport(ctx, "fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head",
		"--no-auto-maintenance", "--", where, "+"+ref+":"+fetched); err != nil {
		return "", fmt.Errorf("fetch from %s: %w", remote, err)
	}
	out, err := r.Output(ctx, 1<<10, nil, "rev-parse", "--verify", "--end-of-options", fetched+"^{commit}")
	if err != nil {
		return "", fmt.Errorf("fetch %s from %s: it is no commit: %w", ref, remote, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Push sets ref on a remote to the commit oid, if the remote's is at old ("" if it should not
// exist): else the error is [ErrRace]. A remote that a hook keeps from it gives [ErrRefused].
//
// Remote is a name that the repository's configuration gives an address, or an address. Of that
// configuration the address is read, and the headers that CI systems leave there for it
// (http.*.extraheader); no hook of it runs, no program that it names, no filter. What the person
// or the job that calls has set up for git elsewhere does count, since nothing else can log in:
// their own and the machine's git configuration (credential helpers among it), ssh and its agent,
// and the environment's variables for these.
func (r *Repo) Push(ctx context.Context, remote, oid, ref, old string) error {
	where, err := r.address(remote, true)
	if err != nil {
		return fmt.Errorf("push to %s: %w", remote, err)
	}
	if !strings.HasPrefix(ref, "refs/") || !validRefName(ref) {
		return fmt.Errorf("push %q: not a full ref name", ref)
	}
	if err := r.checkOID(oid); err != nil {
		return err
	}
	out, err := r.transport(ctx, "push", "--porcelain", "--quiet", "--no-verify", "--no-recurse-submodules", "--no-signed",
		"--force-with-lease="+ref+":"+old, "--", where, oid+":"+ref)
	if err == nil {
		return nil
	}
	for line := range strings.Lines(out) {
		switch {
		case !strings.HasPrefix(line, "!"):
		case strings.Contains(line, "[remote rejected]") && !strings.Contains(line, "failed to update ref") && !strings.Contains(line, "cannot lock ref"),
			strings.Contains(line, "pre-receive hook declined"):
			return fmt.Errorf("push to %s: %w: %w", remote, ErrRefused, err)
		default: // stale info, fetch first, or another push between the two: the ref has moved
			return fmt.Errorf("push to %s: %w: %w", remote, ErrRace, err)
		}
	}
	return fmt.Errorf("push to %s: %w", remote, err)
}

// address returns where a remote is. It refuses what would start a program of the address's
// choice (ext::, fd::) and what git would read as an option.
func (r *Repo) address(remote string, push bool) (string, error) {
	where := remote
	if !strings.ContainsAny(remote, `/\:`) {
		where = r.configValue("remote." + remote + ".url")
		if p := r.configValue("remote." + remote + ".pushurl"); push && p != "" {
			where = p
		}
		if where == "" {
			return "", ErrNoRemote
		}
	}
	if strings.HasPrefix(where, "-") || strings.ContainsFunc(where, func(c rune) bool { return c < ' ' || c == 0x7f }) || strings.Contains(where, "::") {
		return "", ErrAddress
	}
	u, err := url.Parse(where)
	switch {
	case strings.Contains(where, "://") && err != nil:
		return "", ErrAddress
	case strings.Contains(where, "://"):
		switch {
		case u.Scheme == "https", u.Scheme == "ssh", u.Scheme == "file":
		case u.Scheme == "http" && (u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1" || u.Hostname() == "::1"):
		default:
			return "", ErrAddress
		}
		return where, nil
	case strings.Contains(where, ":") && !strings.HasPrefix(where, "/") && !strings.HasPrefix(where, "."):
		return where, nil // host:path, which is ssh
	}
	if !filepath.IsAbs(where) { // git means: from the top of the work tree
		where = filepath.Join(orElse(r.workTree, r.commonDir), where)
	}
	return where, nil
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// passed are the variables that logging in to a remote may need, beside those of [Repo.environ].
var passed = []string{
	"HOME", "XDG_CONFIG_HOME", "USER", "LOGNAME", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR",
	"SSH_AUTH_SOCK", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_ASKPASS", "SSH_ASKPASS", "DISPLAY",
	"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM",
	"GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "no_proxy",
}

// transport runs a git command that speaks to a remote, and returns what it printed, also when it
// failed.
func (r *Repo) transport(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	cmd := r.command(ctx, args...)
	cmd.Env = r.transportEnv()
	var stderr tail
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if ctxErr := ctx.Err(); err != nil && ctxErr != nil {
		return "", fmt.Errorf("git %s: %w", args[0], ctxErr)
	}
	if err != nil {
		err = exitError(args[0], err, &stderr)
		if exit, ok := errors.AsType[*ExitError](err); ok && exit.Stderr == "" {
			exit.Stderr = lastLine(out)
		}
	}
	return string(out), err
}

// lastLine is what push prints of a ref that it could not set.
func lastLine(out []byte) string {
	t := &tail{}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "!") {
			_, _ = t.Write([]byte(line))
		}
	}
	return t.line()
}

func (r *Repo) transportEnv() []string {
	var env []string
	for _, e := range r.environ() {
		name, _, _ := strings.Cut(e, "=")
		switch name {
		case "HOME", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_GLOBAL", "GIT_ALLOW_PROTOCOL":
		default:
			env = append(env, e)
		}
	}
	env = append(env, "GIT_ALLOW_PROTOCOL=file:https:http:ssh", "GIT_HTTP_LOW_SPEED_LIMIT=1000", "GIT_HTTP_LOW_SPEED_TIME=60")
	for _, name := range passed {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	n, _ := strconv.Atoi(os.Getenv("GIT_CONFIG_COUNT"))
	count := 0
	add := func(key, value string) {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", count, key), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", count, value))
		count++
	}
	for i := range min(max(n, 0), 100) {
		add(os.Getenv(fmt.Sprintf("GIT_CONFIG_KEY_%d", i)), os.Getenv(fmt.Sprintf("GIT_CONFIG_VALUE_%d", i)))
	}
	for key, values := range r.config {
		if strings.HasPrefix(key, "http.") && strings.HasSuffix(key, ".extraheader") {
			for _, v := range values {
				add(key, v)
			}
		}
	}
	// Last, so that neither the caller's configuration nor the remote's can bring a hook in.
	add("core.hooksPath", os.DevNull)
	add("push.gpgSign", "false")
	return append(env, "GIT_CONFIG_COUNT="+strconv.Itoa(count))
}
