package confine

import (
	"os"
	"strconv"
)

// bwrapArgs is bubblewrap's command line for a plan, without the program. The contents of files are
// read from descriptors that begin at the given one. It is passed through a descriptor too, so that
// other users of the machine don't read it in the process list.
func bwrapArgs(rules []rule, nested bool, data int) (args, contents []string) {
	args = []string{
		"--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
		"--hostname", "sallyport", "--die-with-parent", "--as-pid-1", "--clearenv",
		"--cap-drop", "ALL", "--cap-add", "CAP_NET_BIND_SERVICE", // to answer for a name server
	}
	if !nested {
		args = append(args, "--disable-userns")
	}
	for _, r := range rules {
		switch r.Kind {
		case bindRead:
			args = append(args, "--ro-bind", r.Source, r.Target)
		case bindWrite, pin:
			args = append(args, "--bind", r.Source, r.Target)
		case absent:
			args = append(args, "--ro-bind", "/dev/null", r.Target)
		case memory:
			mode := "0700"
			if r.Target == "/tmp" || r.Target == "/var/tmp" {
				mode = "1777"
			}
			args = append(args, "--perms", mode, "--tmpfs", r.Target)
		case masked:
			args = append(args, "--tmpfs", r.Target, "--remount-ro", r.Target)
		case folder:
			args = append(args, "--dir", r.Target)
		case link:
			args = append(args, "--symlink", r.Source, r.Target)
		case content:
			// As a file of the root, which is read-only in the end: a mounted one is a deleted file, by its name in
			// /proc, and Claude Code takes that for none.
			args = append(args, "--perms", "0444", "--file", strconv.Itoa(data+len(contents)), r.Target)
			contents = append(contents, r.Data)
		case procs:
			args = append(args, "--proc", r.Target)
			// bwrap leaves out what it takes for unwritable, and a command of root's may write.
			for _, name := range procCovered {
				if _, err := os.Stat("/proc/" + name); err == nil {
					args = append(args, "--ro-bind", "/proc/"+name, r.Target+"/"+name)
				}
			}
		case devices:
			args = append(args, "--dev", r.Target)
		}
	}
	return append(args, "--remount-ro", "/", "--chdir", "/"), contents
}
