package confine

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// version returns what a mechanism calls itself.
func version(m Mechanism) string {
	if m == Namespaces {
		return fmt.Sprintf("sallyport, Landlock ABI %d", landlockABI())
	}
	return bwrapVersion()
}

var bwrapVersion = sync.OnceValue(func() string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "bwrap", "--version").Output()
	if err != nil || len(out) > 200 {
		return ""
	}
	return strings.TrimSpace(string(out))
})

// available tries each mechanism by confining nothing.
func available(ctx context.Context) []Offer {
	return []Offer{
		try(ctx, Bubblewrap, "install bubblewrap (apt-get install bubblewrap), and allow user namespaces (sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns)"),
		try(ctx, Namespaces, "allow user namespaces (sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns), and boot a kernel of Linux 5.13 or newer with Landlock"),
		adapterOffer(SRT),
		adapterOffer(Nono),
		{Mechanism: Seatbelt, Why: "it is a part of macOS"},
	}
}

func try(ctx context.Context, m Mechanism, install string) Offer {
	o := Offer{Mechanism: m}
	fail := func(err error) Offer {
		o.Why, o.Install = err.Error(), install
		return o
	}
	dir, err := os.MkdirTemp("", "sallyport-confine-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	s, err := start(ctx, Spec{Mechanism: m, Workspace: dir, Args: []string{InitPath, "version"}, Env: []string{probeVariable + "=1"}})
	if err != nil {
		return fail(err)
	}
	s.Close()
	p := s.Profile()
	o.Usable, o.Version, o.Landlock, o.Observes = true, p.Version, p.Landlock, p.Partial == ""
	o.Gives = []string{"files by mounts", "network namespace", "process namespace", "no privileges", "seccomp"}
	if p.Landlock > 0 {
		o.Gives = append(o.Gives, fmt.Sprintf("Landlock ABI %d", p.Landlock))
	}
	return o
}

// probeVariable makes a test's program end at once when it is only tried.
const probeVariable = "SALLYPORT_CONFINE_PROBE"
