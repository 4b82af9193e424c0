package hook

import (
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
)

// A manager is a package manager's commands. Words of more than one are written with spaces.
type manager struct {
	add    []string // bring the named packages in
	sync   []string // bring in what manifests ask for
	locked []string // options or commands with which a lock file decides
	run    []string // fetch the named package and run it
	values []string // options that take a value
}

var managers = map[string]manager{
	"npm":      {add: []string{"install", "i", "add", "update", "up", "isntall", "in", "ins"}, sync: []string{"install", "i", "add", "update", "up"}, locked: []string{"ci", "clean-install"}, run: []string{"exec", "x", "init", "create"}, values: []string{"--registry", "--prefix", "-w", "--workspace", "--tag"}},
	"pnpm":     {add: []string{"add", "install", "i", "update", "up"}, sync: []string{"install", "i", "update", "up"}, locked: []string{"--frozen-lockfile"}, run: []string{"dlx", "exec", "create"}, values: []string{"--filter", "-C", "--dir", "--registry"}},
	"yarn":     {add: []string{"add", "up", "upgrade", "global add"}, sync: []string{"install", "", "upgrade"}, locked: []string{"--immutable", "--frozen-lockfile"}, run: []string{"dlx", "create"}, values: []string{"--cwd", "--registry"}},
	"bun":      {add: []string{"add", "install", "i", "a", "update"}, sync: []string{"install", "i", "update"}, locked: []string{"--frozen-lockfile"}, run: []string{"x", "create"}, values: []string{"--cwd", "--registry"}},
	"npx":      {run: []string{""}, values: []string{"-p", "--package", "-c", "--call"}},
	"bunx":     {run: []string{""}},
	"pnpx":     {run: []string{""}},
	"pip":      {add: []string{"install", "download", "wheel"}, locked: []string{"--require-hashes"}, values: []string{"-r", "--requirement", "-i", "--index-url", "--extra-index-url", "-t", "--target", "-c", "--constraint", "-e", "--editable", "--prefix", "--root"}},
	"uv":       {add: []string{"add", "pip install", "tool install"}, sync: []string{"sync", "lock", "pip sync"}, locked: []string{"--locked", "--frozen", "--require-hashes"}, run: []string{"tool run"}, values: []string{"--index-url", "--index", "-r", "--extra-index-url", "--with"}},
	"uvx":      {run: []string{""}, values: []string{"--from", "--with"}},
	"pipx":     {add: []string{"install", "inject"}, run: []string{"run"}},
	"poetry":   {add: []string{"add", "update"}, sync: []string{"update", "lock"}, locked: []string{"install"}},
	"pdm":      {add: []string{"add", "update"}, sync: []string{"update", "install"}, locked: []string{"sync"}},
	"conda":    {add: []string{"install", "create", "update"}, values: []string{"-c", "--channel", "-n", "--name"}},
	"mamba":    {add: []string{"install", "create", "update"}, values: []string{"-c", "--channel", "-n", "--name"}},
	"go":       {add: []string{"get", "install"}, run: []string{"run"}, values: []string{"-ldflags", "-tags", "-o", "-C", "-mod", "-modfile"}},
	"cargo":    {add: []string{"add", "install"}, sync: []string{"update"}, values: []string{"--git", "--path", "--registry", "-F", "--features", "--version", "--vers"}},
	"gem":      {add: []string{"install", "update"}, values: []string{"-v", "--version", "--source"}},
	"bundle":   {add: []string{"add", "update"}, sync: []string{"update"}},
	"composer": {add: []string{"require", "update", "global require"}, sync: []string{"update"}, locked: []string{"install"}},
	"dotnet":   {add: []string{"add package", "tool install"}, locked: []string{"--locked-mode"}, values: []string{"--version", "--source"}},
	"apt":      {add: []string{"install", "upgrade", "full-upgrade"}, values: []string{"-t", "-o"}},
	"apt-get":  {add: []string{"install", "upgrade", "dist-upgrade"}, values: []string{"-t", "-o"}},
	"dnf":      {add: []string{"install", "upgrade"}},
	"yum":      {add: []string{"install", "upgrade"}},
	"apk":      {add: []string{"add", "upgrade"}},
	"pacman":   {add: []string{"-S", "-Sy", "-Syu", "-U"}},
	"brew":     {add: []string{"install", "upgrade", "reinstall"}},
	"snap":     {add: []string{"install"}},
	"nix-env":  {add: []string{"-i", "-iA", "--install"}},
	"code":     {add: []string{"--install-extension"}},
}

// packages reads what a package manager is about to bring in.
func (f *facts) packages(name string, args []string) {
	if (name == "python" || name == "python3") && len(args) > 1 && args[0] == "-m" && (args[1] == "pip" || args[1] == "pipx") {
		name, args = args[1], args[2:]
	}
	if name == "pip3" || strings.HasPrefix(name, "pip3.") {
		name = "pip"
	}
	m, known := managers[name]
	if !known {
		return
	}
	var words, options []string
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "--":
		case slices.Contains(m.values, a):
			options = append(options, a)
			if i++; i < len(args) && (a == "-e" || a == "--editable" || a == "--with" || a == "--from" || a == "-p" || a == "--package" || a == "--git") {
				words = append(words, args[i]) // names what is installed
			} else if i < len(args) && (a == "-r" || a == "--requirement") {
				words = append(words, "-r "+args[i])
			}
		case strings.HasPrefix(a, "-") && !slices.Contains(m.add, a):
			options = append(options, a)
		default:
			words = append(words, a)
		}
	}
	locked := slices.ContainsFunc(options, func(o string) bool { return slices.Contains(m.locked, o) }) || len(words) > 0 && slices.Contains(m.locked, words[0])
	rest, how := m.verb(words)
	if how == "" {
		return
	}
	named := slices.DeleteFunc(slices.Clone(rest), local)
	if how == "run" {
		named = named[:min(1, len(named))] // the words after it are its own
		if name == "go" && (len(named) == 0 || !strings.Contains(named[0], "@")) {
			return
		}
	}
	if name == "go" && how == "add" { // what is in the module, or in go.mod already, is local
		named = slices.DeleteFunc(named, func(s string) bool { return !strings.Contains(strings.SplitN(s, "/", 2)[0], ".") })
	}
	for _, p := range named {
		f.in.Packages = append(f.in.Packages, sallyport.ToolPackage{Manager: name, Name: p, Locked: locked})
	}
	if len(rest) == 0 && slices.ContainsFunc(m.sync, func(s string) bool {
		return len(words) == 0 && s == "" || len(words) > 0 && (s == words[0] || s == strings.Join(words, " "))
	}) {
		f.in.Packages = append(f.in.Packages, sallyport.ToolPackage{Manager: name, Locked: locked})
	}
}

// verb says how the words bring packages in, and which words name them.
func (m manager) verb(words []string) (rest []string, how string) {
	for _, n := range []int{2, 1, 0} {
		if n > len(words) {
			continue
		}
		said := strings.Join(words[:n], " ")
		switch {
		case slices.Contains(m.add, said):
			return words[n:], "add"
		case slices.Contains(m.sync, said):
			return words[n:], "sync"
		case slices.Contains(m.run, said):
			return words[n:], "run"
		}
	}
	return nil, ""
}

// local reports whether a name is that of a folder or file here.
func local(s string) bool {
	return s == "." || s == ".." || strings.HasPrefix(s, "./") || strings.HasPrefix(s, "../") || strings.HasPrefix(s, ".[")
}
