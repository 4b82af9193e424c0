package hook

import (
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport/internal/hook/shell"
)

// arguments says which files a program is given, for the programs whose arguments are known. For any other,
// what stands among its arguments counts as read: that is what a look for credentials has to see.
func (f *facts) arguments(name string, args []shell.Word) {
	options, rest := split(args)
	recursive := has(options, "r", "--recursive") || has(options, "R")
	switch name {
	case "echo", "printf", "true", "false", ":", "export", "set", "cd", "pushd", "alias", "eval", "trap":
	case "rm", "unlink", "shred":
		f.each(rest, func(w shell.Word) { f.write(name, w, true, recursive) })
	case "rmdir":
		f.each(rest, func(w shell.Word) { f.write(name, w, true, false) })
	case "mv":
		f.each(rest, func(w shell.Word) { f.write(name, w, true, true) })
		f.into(name, args, rest)
	case "ln":
		f.link(args, rest)
		if len(rest) > 1 {
			f.write(name, rest[len(rest)-1], false, false)
		}
		f.into(name, args, rest)
	case "cp", "install", "rsync", "scp":
		if recursive || has(options, "a", "--archive") {
			f.copied(name, rest)
		}
		if len(rest) > 0 {
			f.each(rest[:len(rest)-1], func(w shell.Word) { f.read(name, w) })
			f.write(name, rest[len(rest)-1], false, false)
		}
		f.into(name, args, rest)
	case "tee", "touch", "truncate", "mkdir", "mkfifo", "sponge", "ed", "ex", "vi", "vim", "nano", "patch":
		f.each(rest, func(w shell.Word) { f.write(name, w, false, false) })
	case "chmod", "chown", "chgrp", "setfacl", "chattr":
		// chmod -x FILE has its mode among the options.
		skip := 1
		if has(options, "", "--reference") || name == "chmod" && slices.ContainsFunc(options, func(o string) bool { return strings.Trim(o, "-rwxXst,=+ugoa") == "" }) {
			skip = 0
		}
		f.each(rest[min(skip, len(rest)):], func(w shell.Word) {
			f.write(name, w, false, recursive)
			if recursive {
				f.whole(name, w)
			}
		})
	case "dd":
		f.each(rest, func(w shell.Word) {
			if p, ok := strings.CutPrefix(w.Text, "of="); ok {
				f.write(name, shell.Word{Text: p, Dynamic: w.Dynamic}, false, false)
			} else if p, ok := strings.CutPrefix(w.Text, "if="); ok {
				f.read(name, shell.Word{Text: p, Dynamic: w.Dynamic})
			}
		})
	case "sed", "perl":
		inPlace := has(options, "i", "--in-place")
		f.each(rest, func(w shell.Word) {
			if inPlace {
				f.write(name, w, false, false)
			} else {
				f.read(name, w)
			}
		})
	case "curl", "wget":
		f.fetch(name, args)
	case "git":
		f.git(args)
	case "find":
		f.find(args)
	case "tar", "unzip", "7z", "bsdtar", "cpio":
		f.each(rest, func(w shell.Word) { f.read(name, w) })
		f.into(name, args, rest)
	default:
		f.each(args, func(w shell.Word) { f.mention(name, w) })
	}
}

func (f *facts) each(words []shell.Word, do func(shell.Word)) {
	for _, w := range words {
		if w.Text != "" && w.Text != "-" {
			do(w)
		}
	}
}

// into reads options that name where something goes: cp -t DIR, tar -C DIR.
func (f *facts) into(name string, args, rest []shell.Word) {
	for i, a := range args {
		option, value, inline := strings.Cut(a.Text, "=")
		known := slices.Contains([]string{"-t", "--target-directory", "-C", "--directory", "-d", "-D"}, option)
		switch {
		case known && inline:
			f.write(name, shell.Word{Text: value, Dynamic: a.Dynamic}, false, false)
		case known && i+1 < len(args):
			// Each file keeps its name below it.
			for _, r := range rest {
				w := args[i+1]
				base := r.Text[strings.LastIndexByte(r.Text, '/')+1:]
				f.write(name, shell.Word{Text: w.Text + "/" + base, Dynamic: w.Dynamic || r.Dynamic}, false, false)
			}
			f.write(name, args[i+1], false, false)
		}
	}
	// cp a b DIR puts a and b below DIR.
	if n := len(rest); n > 1 && (name == "cp" || name == "mv" || name == "install" || name == "ln" || name == "rsync") {
		for _, r := range rest[:n-1] {
			base := r.Text[strings.LastIndexByte(strings.TrimRight(r.Text, "/"), '/')+1:]
			f.write(name, shell.Word{Text: rest[n-1].Text + "/" + base, Dynamic: rest[n-1].Dynamic || r.Dynamic}, false, false)
		}
	}
}

// mention takes an argument for a file that is read, also in --name=file and @file.
func (f *facts) mention(name string, w shell.Word) {
	s := w.Text
	if strings.HasPrefix(s, "-") {
		_, value, ok := strings.Cut(s, "=")
		if !ok {
			return
		}
		s = value
	}
	s = strings.TrimPrefix(s, "@")
	if s == "" || len(s) > maxPath || strings.Contains(s, "://") || strings.ContainsAny(s, "\n") {
		return
	}
	f.read(name, shell.Word{Text: s, Dynamic: w.Dynamic})
}

// fetch reads the files of curl and wget.
func (f *facts) fetch(name string, args []shell.Word) {
	for i, a := range args {
		option, value, inline := strings.Cut(a.Text, "=")
		next := shell.Word{Text: value, Dynamic: a.Dynamic}
		if !inline && i+1 < len(args) {
			next = args[i+1]
		}
		switch option {
		case "-o", "--output", "-O", "--output-document", "--output-dir", "-P", "--directory-prefix", "-K", "--config", "-c", "--cookie-jar":
			if name == "wget" || option != "-O" {
				f.write(name, next, false, false)
			}
		case "-T", "--upload-file", "--post-file", "--body-file":
			f.read(name, next)
		case "-d", "--data", "--data-binary", "--data-raw", "--data-urlencode", "--json", "-F", "--form":
			if _, file, ok := strings.Cut(next.Text, "@"); ok {
				file, _, _ = strings.Cut(file, ";")
				f.read(name, shell.Word{Text: file, Dynamic: next.Dynamic})
			}
		default:
			if !strings.HasPrefix(a.Text, "-") && !strings.Contains(a.Text, "://") && strings.Contains(a.Text, ".") && (i == 0 || !strings.HasPrefix(args[i-1].Text, "-")) {
				f.host("http://" + a.Text)
			}
		}
	}
}

// git reads which files git is told to change by name.
func (f *facts) git(args []shell.Word) {
	// Options before the subcommand.
	i := 0
	for i < len(args) && strings.HasPrefix(args[i].Text, "-") {
		if slices.Contains([]string{"-C", "-c", "--git-dir", "--work-tree", "--namespace", "--exec-path"}, args[i].Text) {
			if args[i].Text == "-C" && i+1 < len(args) && !args[i+1].Dynamic {
				defer func(dir string) { f.dir = dir }(f.dir)
				f.dir = f.absolute(args[i+1].Text)
			}
			i++
		}
		i++
	}
	if i >= len(args) {
		return
	}
	options, rest := split(args[i+1:])
	switch args[i].Text {
	case "rm", "mv":
		f.each(rest, func(w shell.Word) { f.write("git", w, true, has(options, "r")) })
	case "checkout", "restore":
		f.brought(args[i].Text, options, args[i+1:], rest)
		f.each(rest, func(w shell.Word) {
			if strings.Contains(w.Text, "/") || strings.HasPrefix(w.Text, ".") {
				f.write("git", w, false, false)
			}
		})
	case "clean":
		if has(options, "f", "--force") {
			f.write("git", shell.Word{Text: "."}, true, false)
		}
	default:
		f.each(rest, func(w shell.Word) { f.mention("git", w) })
	}
}

// find reads what find deletes.
func (f *facts) find(args []shell.Word) {
	deletes := slices.ContainsFunc(args, func(w shell.Word) bool { return w.Text == "-delete" })
	// What is chosen by name is not all that is there.
	named := false
	for i, a := range args {
		if (a.Text == "-name" || a.Text == "-iname") && i+1 < len(args) {
			named = named || !args[i+1].Dynamic && strings.Trim(args[i+1].Text, "*.?") != ""
		}
	}
	for _, a := range args {
		if strings.HasPrefix(a.Text, "-") || a.Text == "(" || a.Text == "!" {
			break
		}
		if deletes {
			f.write("find", a, true, !named)
			f.byName(args, a)
		} else {
			f.read("find", a)
		}
	}
	for i, a := range args {
		if i+1 < len(args) && slices.Contains([]string{"-fprint", "-fprint0", "-fprintf", "-fls"}, a.Text) {
			f.write("find", args[i+1], false, false)
		}
	}
}
