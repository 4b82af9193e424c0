package escape

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport/internal/run/confine"
)

// An attempt is a shell script, or a word of attemptMain. It is refused if it doesn't end with 0.
type attempt struct {
	name   string
	script string
	try    string
	told   confine.Kind // the kind of event that tells it; empty: no call of it is seen, see why
	about  string       // what its event names
}

// attempts are numbered by what they need of the environment: the scripts know WS, the workspace,
// OUT, a file outside, SUPERVISOR, the process, SECRETHOME, the operator's home, PORT, one that is
// open outside.
var attempts = []attempt{
	{name: "write outside the workspace", script: `echo x >>$OUT`, told: confine.Write, about: "$OUTDIR"},
	{name: "write to the system", script: `echo x >/usr/bin/git`, told: confine.Write, about: "/usr/bin/git"},
	{name: "write to the root", script: `echo x >/new`, told: confine.Write, about: "/new"},
	{name: "write by a symbolic link", script: `ln -s /usr/lib $WS/l; echo x >$WS/l/x`, told: confine.Write, about: "/usr/lib/x"},
	{name: "make a hook", script: `echo x >$WS/.git/hooks/pre-commit`, told: confine.Write, about: ".git/hooks/pre-commit"},
	{name: "change git's configuration", script: `git -C $WS config core.hooksPath /tmp/h`, told: confine.Write, about: ".git/config"},
	{name: "replace git's configuration by renaming", script: `echo x >$WS/c; mv -f $WS/c $WS/.git/config`, told: confine.Write, about: ".git/config"},
	{name: "move the git folder away", script: `mv $WS/.git $WS/g && mkdir -p $WS/.git/hooks`, told: confine.Write, about: ".git"},
	{name: "a second name for git's configuration", script: `ln $WS/.git/config $WS/c && echo x >>$WS/c`, told: confine.Write, about: ".git/config"},
	{name: "git's attributes", script: `echo x >$WS/.git/info/attributes`, told: confine.Write, about: ".git/info/attributes"},
	{name: "another common folder for git", script: `echo /tmp/x >$WS/.git/commondir`, told: confine.Write, about: ".git/commondir"},
	{name: "another common folder by renaming", script: `echo /tmp/x >$WS/x; mv $WS/x $WS/.git/commondir`, told: confine.Write, about: ".git/commondir"},
	{name: "write the policy", script: `echo x >$WS/.sallyport/config.yaml`, told: confine.Write, about: ".sallyport/config.yaml"},
	{name: "remove the policy", script: `rm -r $WS/.sallyport`, told: confine.Write, about: ".sallyport"},
	{name: "move the policy away", script: `mv $WS/.sallyport $WS/s`, told: confine.Write, about: ".sallyport"},
	{name: "an agent's settings", script: `echo x >$WS/.claude/settings.json`, told: confine.Write, about: ".claude/settings.json"},
	{name: "an agent's settings by way of the folder", script: `mv $WS/.claude $WS/d`, told: confine.Write, about: ".claude"},
	{name: "settings that do not exist yet", script: `mkdir -p $WS/.cursor && echo x >$WS/.cursor/hooks.json`, told: confine.Write, about: ".cursor"},
	{name: "permissions of a hook", script: `chmod 777 $WS/.git/hooks`, told: confine.Write, about: ".git/hooks"},
	{name: "core_pattern", script: `echo '|/tmp/x' >/proc/sys/kernel/core_pattern`, told: confine.Write, about: "core_pattern"},
	{name: "raise the number of user namespaces", script: `echo 9 >/proc/sys/user/max_user_namespaces`, told: confine.Write, about: "max_user_namespaces"},
	{name: "a cgroup's release_agent", script: `mkdir /tmp/c && mount -t cgroup -o rdma cgroup /tmp/c`, told: confine.Write, about: ""},
	{name: "write the gateway's program", script: `echo x >>/run/sallyport/sallyport`, told: confine.Write, about: "/run/sallyport/sallyport"},

	{name: "read the operator's files", script: `cat $SECRETHOME/.netrc`, told: confine.Read, about: ".netrc"},
	{name: "read the operator's git credentials", script: `cat $SECRETHOME/.git-credentials`, told: confine.Read, about: ".git-credentials"},
	{name: "read the operator's key by another's root", script: `cat /proc/1/root$SECRETHOME/.ssh/id_ed25519`, told: confine.Memory, about: "/proc/1/root"},
	{name: "read by dots", script: `cat $WS/../../../../..$SECRETHOME/.netrc`, told: confine.Read, about: ".netrc"},
	{name: "read the shadow file", script: `cat /etc/shadow`, told: confine.Read, about: "/etc/shadow"},
	{name: "list the operator's home", script: `: <$SECRETHOME`, told: confine.Read, about: "$SECRETHOME"},

	{name: "the supervisor's memory", script: `cat /proc/$SUPERVISOR/mem`, told: confine.Memory, about: "/mem"},
	{name: "the supervisor's environment", script: `cat /proc/$SUPERVISOR/environ`, told: confine.Memory, about: "/environ"},
	{name: "the init's environment", script: `cat /proc/1/environ`, told: confine.Memory, about: "/proc/1/environ"},
	{name: "the init's memory", script: `cat /proc/1/mem`, told: confine.Memory, about: "/proc/1/mem"},
	{name: "the init's files", script: `cat /proc/1/fd/3`, told: confine.Memory, about: "/proc/1/fd"},
	{name: "trace the supervisor", try: "ptrace", told: confine.Memory},
	{name: "trace the init", try: "trace-init", told: confine.Memory},
	{name: "process_vm_readv of the supervisor", try: "process_vm_readv", told: confine.Memory},
	{name: "kill the supervisor", script: `kill -9 $SUPERVISOR`, told: confine.Signal},
	{name: "kill the init", script: `kill -9 1`, told: confine.Signal},
	{name: "probe for the supervisor", script: `kill -0 $SUPERVISOR`, told: confine.Signal},

	{name: "another port of the host", script: `exec 3<>/dev/tcp/127.0.0.1/$PORT`, told: confine.Network, about: "$PORT"},
	{name: "another host", script: `exec 3<>/dev/tcp/192.0.2.1/443`, told: confine.Network, about: "192.0.2.1:443"},
	{name: "the vendor, without the proxy", script: `unset http_proxy https_proxy HTTPS_PROXY; getent ahosts api.vendor.example`, told: confine.Network, about: "api.vendor.example"},
	{name: "the machine's metadata service", script: `exec 3<>/dev/tcp/169.254.169.254/80`, told: confine.Network, about: "169.254.169.254:80"},
	{name: "a UDP packet", try: "udp", told: confine.Network, about: "192.0.2.1:53"},
	{name: "a UDP packet over IPv6", try: "udp6", told: confine.Network, about: "[2001:db8::1]:53"},
	{name: "TCP over IPv6", try: "tcp6", told: confine.Network, about: "[2001:db8::1]:443"},
	{name: "an abstract socket outside", try: "abstract", told: confine.Network, about: "@"},
	{name: "the operator's ssh-agent", script: `SSH_AUTH_SOCK=$AGENT ssh-add -l`, told: confine.Network, about: "$AGENT"},
	{name: "a socket of the machine", try: "vsock", told: confine.Network},
	{name: "the kernel's cryptography", try: "alg", told: confine.Network},
	{name: "raw packets", try: "packet", told: confine.Network},
	{name: "the kernel's audit", try: "netlink-audit", told: confine.Network},

	{name: "a user namespace", try: "userns", told: confine.Process},
	{name: "a user namespace by clone", try: "clone-userns", told: confine.Process},
	{name: "a user namespace by a program", script: `unshare -Urm true`, told: confine.Process},
	{name: "a mount", try: "mount", told: confine.Write},
	{name: "make the system writable", try: "remount", told: confine.Write},
	{name: "take a protection away", try: "umount", told: confine.Write},
	{name: "chroot", try: "chroot", told: confine.Process},
	{name: "enter a namespace", script: `nsenter -t 1 -m true`, told: "", about: ""},
	{name: "type into a terminal", try: "tiocsti", told: confine.Process},
	{name: "io_uring", try: "io_uring", told: confine.Process},
	{name: "the operator's keyring", try: "keyring", told: confine.Process},
	{name: "bpf", try: "bpf", told: confine.Process},
	{name: "a listener of its own", try: "listener"}, // the filter ends it, so that it isn't asked about itself
	{name: "inherited files", try: "descriptors"},    // there are none to try
	{name: "a setuid program", script: `cp /bin/sh /tmp/s && chmod 4755 /tmp/s && findmnt -no OPTIONS /tmp | grep -qv nosuid`},
	{name: "a device", script: `mknod /tmp/d b 8 0 && cat /tmp/d`},
	{name: "another's shared memory", script: `cat /dev/shm/$SHM`},
	{name: "an overlong path", script: `p=$WS; for i in $(seq 300); do p=$p/../` + `$(basename $WS); done; echo x >$p/.git/config`, told: confine.Write, about: ".git/config"},
}

// TestAttempts makes them one after another in one confinement. A program with a telling argument is
// started before each, so that the events between two of them are the one's.
func TestAttempts(t *testing.T) {
	mechanisms(t, func(t *testing.T, m confine.Mechanism) {
		s := newScene(t)
		// A descriptor that whoever started the supervisor left open.
		f, err := os.Open(s.out)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		unix.FcntlInt(f.Fd(), unix.F_SETFD, 0)
		script := "cd /\n"
		for i, a := range attempts {
			line := a.script
			if a.try != "" {
				line = confine.InitPath + " attempt " + a.try
			}
			// One that ends with the last is the one that counts; the shell's own exit is its status.
			script += fmt.Sprintf("/bin/true attempt-%d\n/bin/bash -c '%s' </dev/null\necho \"status-%d $?\"\n", i, strings.ReplaceAll(line, "'", `'\''`), i)
		}
		script += fmt.Sprintf("/bin/true attempt-%d\n", len(attempts))
		o := run(t, s.spec(m, "/bin/bash", "-c", script))
		if o.err != nil || o.status.Exit() != 0 {
			t.Fatalf("status %d, %v\n%s", o.status.Exit(), o.err, o.out)
		}
		events := make([][]confine.Event, len(attempts))
		at := -1
		for _, e := range o.events {
			if len(e.Argv) == 2 && e.Argv[0] == "/bin/true" {
				fmt.Sscanf(e.Argv[1], "attempt-%d", &at)
			}
			if at >= 0 && at < len(events) {
				events[at] = append(events[at], e)
			}
		}
		for i, a := range attempts {
			t.Run(strings.ReplaceAll(a.name, " ", "-"), func(t *testing.T) {
				if !strings.Contains(o.out, fmt.Sprintf("status-%d ", i)) {
					t.Fatal("it was not made")
				}
				if strings.Contains(o.out, fmt.Sprintf("status-%d 0\n", i)) {
					t.Errorf("it succeeded\n%s", o.out)
				}
				about := s.expand(a.about)
				if a.told != "" && !slices.ContainsFunc(events[i], func(e confine.Event) bool {
					return e.Refused && e.Kind == a.told && (strings.Contains(e.Path, about) || strings.Contains(e.Address, about))
				}) {
					t.Errorf("no refused event of kind %s about %q\n%+v", a.told, about, events[i])
				}
			})
		}
		s.untouched(t)
	})
}

// A scene is what there is to reach outside.
type scene struct {
	ws, home, out, agent, shm, abstract string
	port                                int
	env                                 []string
	before                              map[string]string
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{ws: filepath.Join(t.TempDir(), "ws"), home: filepath.Join(t.TempDir(), "home"), before: map[string]string{}}
	write := func(path, text string) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{".netrc", ".git-credentials", ".ssh/id_ed25519"} {
		write(filepath.Join(s.home, name), "the operator's\n")
	}
	s.out = filepath.Join(t.TempDir(), "o", "out")
	write(s.out, "outside\n")
	write(filepath.Join(s.ws, ".sallyport", "config.yaml"), "policy\n")
	write(filepath.Join(s.ws, ".claude", "settings.json"), "{}\n")
	for _, args := range [][]string{{"init", "-q"}, {"config", "user.name", "A"}, {"config", "user.email", "a@example.com"}} {
		if out, err := exec.Command("git", append([]string{"-C", s.ws}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	listen := func(network, address string) net.Listener {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	s.port = listen("tcp", "127.0.0.1:0").Addr().(*net.TCPAddr).Port
	s.agent = filepath.Join(s.home, "agent.sock")
	listen("unix", s.agent)
	s.abstract = fmt.Sprintf("sallyport-escape-%d", s.port)
	listen("unix", "@"+s.abstract)
	s.shm = fmt.Sprintf("sallyport-escape-%d", s.port)
	write("/dev/shm/"+s.shm, "outside\n")
	t.Cleanup(func() { os.Remove("/dev/shm/" + s.shm) })
	for _, path := range []string{".git/config", ".sallyport/config.yaml", ".claude/settings.json"} {
		b, err := os.ReadFile(filepath.Join(s.ws, path))
		if err != nil {
			t.Fatal(err)
		}
		s.before[path] = string(b)
	}
	s.env = []string{
		"WS=" + s.ws, "WORKSPACE=" + s.ws, "OUT=" + s.out, "OUTDIR=" + filepath.Dir(s.out), "SECRETHOME=" + s.home, "AGENT=" + s.agent,
		"SHM=" + s.shm, "ABSTRACT=" + s.abstract, "SECRET=" + s.out,
		fmt.Sprintf("PORT=%d", s.port), fmt.Sprintf("SUPERVISOR=%d", os.Getpid()),
	}
	return s
}

func (s *scene) spec(m confine.Mechanism, args ...string) confine.Spec {
	return confine.Spec{
		Mechanism: m, Workspace: s.ws, Hidden: []string{s.home, filepath.Dir(s.out)}, Args: args, Env: s.env,
		Protected: []string{".claude/settings.json", ".cursor/hooks.json"},
	}
}

// expand puts in what the environment says.
func (s *scene) expand(text string) string {
	return os.Expand(text, func(name string) string {
		for _, v := range s.env {
			if key, value, _ := strings.Cut(v, "="); key == name {
				return value
			}
		}
		return ""
	})
}

// untouched looks at what was attacked.
func (s *scene) untouched(t *testing.T) {
	for path, before := range s.before {
		if b, err := os.ReadFile(filepath.Join(s.ws, path)); err != nil || string(b) != before {
			t.Errorf("%s was changed: %v %q", path, err, b)
		}
	}
	if b, err := os.ReadFile(s.out); err != nil || string(b) != "outside\n" {
		t.Errorf("the file outside was changed: %v %q", err, b)
	}
	for _, path := range []string{".git/commondir", ".git/hooks/pre-commit", ".cursor"} {
		if _, err := os.Lstat(filepath.Join(s.ws, path)); err == nil {
			t.Errorf("%s is there", path)
		}
	}
}
