package confine

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// A check is what the init looks at before the command starts: a builder that left a wall out, by a
// fault or because a newer version of it means something else by an option, is found out here.
type check struct {
	Path  string
	Write bool // writable; else read-only
	Point bool // has to be a mount point
}

// raise gives up privileges and lays the rules that hold for this thread and what it starts.
func (i *initProcess) raise() wallsUp {
	var up wallsUp
	if _, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0); err != nil && err != unix.ENOSYS {
		up.err = fmt.Errorf("leaving the operator's keyring: %w", err)
		return up
	}
	if err := dropPrivileges(); err != nil {
		up.err = fmt.Errorf("giving up privileges: %w", err)
		return up
	}
	if err := i.look(); err != nil {
		up.err = err
		return up
	}
	var err error
	if up.landlock, err = restrict(i.config.Writable, i.config.Nested); err != nil {
		up.err = fmt.Errorf("laying Landlock's rules: %w", err)
		return up
	}
	// The filter is last: what came before it is nobody's business.
	if up.witness, up.filter, err = install(calls(i.config.Nested, i.config.Debug), i.config.Observe); err != nil {
		up.err = err
		return up
	}
	return up
}

// dropPrivileges leaves the thread with no capability and no way to one.
func dropPrivileges() error {
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("ambient capabilities: %w", err)
	}
	for c := uintptr(0); c <= 63; c++ {
		switch err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); {
		case err == unix.EINVAL: // past the last
		case err == unix.EPERM: // bwrap has dropped them with ours; look checks what is left
		case err != nil:
			return fmt.Errorf("capability %d: %w", c, err)
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("new privileges: %w", err)
	}
	return nil
}

// look examines the walls from inside. It runs without privileges, as the command will.
func (i *initProcess) look() error {
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return fmt.Errorf("looking at the process: %w", err)
	}
	want := map[string]string{"CapEff": "0000000000000000", "CapPrm": "0000000000000000", "CapInh": "0000000000000000", "CapAmb": "0000000000000000", "NoNewPrivs": "1"}
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(line, ":")
		if w, ok := want[key]; ok {
			if strings.TrimSpace(value) != w {
				return fmt.Errorf("the command would have privileges: %s", strings.TrimSpace(line))
			}
			delete(want, key)
		}
	}
	if len(want) > 0 {
		return errors.New("/proc/self/status tells too little to know the command's privileges")
	}
	devices, err := os.ReadFile("/proc/net/dev")
	if err != nil {
		return fmt.Errorf("looking at the network: %w", err)
	}
	for n, line := range strings.Split(strings.TrimRight(string(devices), "\n"), "\n") {
		if name, _, _ := strings.Cut(strings.TrimSpace(line), ":"); n >= 2 && name != "lo" {
			if !dormant[name] {
				return fmt.Errorf("the command would have the network device %s", name)
			}
		}
	}
	for _, c := range i.config.Checks {
		if err := c.look(); err != nil {
			return err
		}
	}
	if err := unix.Access("/", unix.W_OK); err == nil {
		return errors.New("the command's root is writable")
	}
	return nil
}

// dormant are the devices that the kernel gives every network namespace if their modules are loaded:
// tunnels without a far end, down, and not to be raised without privileges.
var dormant = map[string]bool{
	"tunl0": true, "gre0": true, "gretap0": true, "erspan0": true, "ip_vti0": true, "ip6_vti0": true,
	"sit0": true, "ip6tnl0": true, "ip6gre0": true,
}

func (c check) look() error {
	var fs unix.Statfs_t
	if err := unix.Statfs(c.Path, &fs); err != nil {
		return fmt.Errorf("looking at %s: %w", c.Path, err)
	}
	if readOnly := fs.Flags&unix.ST_RDONLY != 0; readOnly == c.Write {
		return fmt.Errorf("%s is not as it has to be: read-only is %v", c.Path, readOnly)
	}
	if !c.Point {
		return nil
	}
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, c.Path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, &st); err != nil {
		return fmt.Errorf("looking at %s: %w", c.Path, err)
	}
	if st.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT == 0 {
		return errors.New("the kernel does not tell mount points (5.8 does)")
	}
	if st.Attributes&unix.STATX_ATTR_MOUNT_ROOT == 0 {
		return fmt.Errorf("%s is not held in place: it is no mount point", c.Path)
	}
	return nil
}

// checks says what has to be true of a plan that was carried out.
func (p *plan) checks() []check {
	last := map[string]check{}
	var order []string
	for _, r := range p.rules {
		c := check{Path: r.Target}
		switch r.Kind {
		case bindWrite, pin, memory:
			c.Write, c.Point = true, true
		case bindRead, absent, masked:
			c.Point = true
		default:
			continue
		}
		if _, ok := last[r.Target]; !ok {
			order = append(order, r.Target)
		}
		last[r.Target] = c
	}
	out := []check{{Path: "/proc/sys", Point: true}}
	for _, path := range order {
		out = append(out, last[path])
	}
	return out
}
