# What an agent's tools may do before the gates see it.
#
# It is written as the baseline is (see ../baseline/merge.rego): each rule adds reasons to deny, and a call without
# reasons passes. What a rule looks for is in data.json, so that a repository reads there what is looked for; what
# a call does was found out before (a command line is parsed, not searched), and what could not be is in
# input.unclear. "shut" keeps the tool from running; "waiting" asks the agent's user, where the agent can.
#
# This set is advice to an agent that means well, and evidence about one that does not. It cannot hold an agent
# that writes a script and starts it; the sandbox of a run and the merge gate do.
#
# lint:allow walks-again input.commands: a few programs of one line, and each rule asks another thing of them
# lint:allow walks-again input.writes: a few files
# lint:allow walks-again input.reads: a few files
package sallyport.tool

matches(path, patterns) if {
	some pattern in patterns
	glob.match(pattern, ["/"], lower(path))
}

# **/x is meant to match x at the top as well.
matches(path, patterns) if {
	some pattern in patterns
	startswith(pattern, "**/")
	glob.match(pattern, ["/"], concat("", ["/", lower(path)]))
}

# The first word of a command that is no option, which is what programs with subcommands are told to do.
words(command) := [arg | some arg in command.args; not startswith(arg, "-")]

shown(command) := substring(concat(" ", array.concat([command.name], command.args)), 0, 160)

# --- files ---

# Where a file that is written really lies, or might: a part that is not known can be anything.
deny contains {
	"code": "tool-protected-path", "outcome": "shut", "place": write.path,
	"text": sprintf("%s would change %s, which governs what agents may do here", [write.by, write.path]),
} if {
	some write in input.writes
	write.inside
	protected(write)
}

# A folder that is removed or moved away takes with it what is protected in it.
protected(write) if matches(write.path, data.protected)

protected(write) if {
	moved(write)
	some pattern in data.protected
	startswith(pattern, concat("", [lower(write.path), "/"]))
}

moved(write) if write.removes

moved(write) if write.tree

deny contains {
	"code": "tool-protected-path", "outcome": "shut", "place": write.path,
	"text": sprintf("%s would change %s, which is no part of the repository", [write.by, write.path]),
} if {
	some write in input.writes
	not write.inside
	matches(write.path, data.protected_outside)
}

deny contains {
	"code": "tool-guarded-path", "outcome": "waiting", "place": write.path,
	"text": sprintf("%s would change %s, which decides what is built or run", [write.by, write.path]),
} if {
	some write in input.writes
	write.inside
	matches(write.path, data.guarded)
}

deny contains {
	"code": "tool-outside-path", "outcome": "waiting", "place": write.path,
	"text": sprintf("%s would write %s, outside the repository", [write.by, write.path]),
} if {
	some write in input.writes
	not write.inside
	not write.unknown
	not matches(write.path, data.temporary)
	not matches(write.path, data.protected_outside)
}

deny contains {
	"code": "tool-credential", "outcome": "shut", "place": read.path,
	"text": sprintf("%s would read %s, which holds credentials", [read.by, read.path]),
} if {
	some read in input.reads
	matches(read.path, data.credentials)
}

# Programs that take a folder with all that is in it.
deny contains {
	"code": "tool-credential", "outcome": "shut", "place": read.path,
	"text": sprintf("%s would take %s, in which credentials lie", [read.by, read.path]),
} if {
	some read in input.reads
	read.by in ["tar", "bsdtar", "zip", "7z", "cpio", "rsync", "scp", "cp"]
	some pattern in data.credentials
	startswith(pattern, concat("", [lower(read.path), "/"]))
}

deny contains {
	"code": "tool-secret-file", "outcome": "waiting", "place": read.path,
	"text": sprintf("%s would read %s, which usually holds secrets", [read.by, read.path]),
} if {
	some read in input.reads
	matches(read.path, data.secret_files)
	not matches(read.path, data.secret_examples)
	not matches(read.path, data.credentials)
}

# Programs that hand out what they keep, and those that read other programs' memory.
deny contains {
	"code": "tool-credential", "outcome": "shut",
	"text": sprintf("%s would get at stored credentials or another program's memory", [shown(command)]),
} if {
	some command in input.commands
	keeps(command)
}

keeps(command) if command.name in data.keepers

keeps(command) if {
	command.name in data.debuggers
	some arg in command.args
	arg in ["-p", "--pid", "attach"]
}

keeps(command) if {
	command.name == "gh"
	array.slice(words(command), 0, 2) == ["auth", "token"]
}

keeps(command) if {
	command.name == "git"
	words(command)[0] == "credential"
}

# --- destruction ---

deny contains {
	"code": "tool-destructive", "outcome": "shut", "place": write.path,
	"text": sprintf("%s would remove %s with all that is in it", [write.by, write.path]),
} if {
	some write in input.writes
	write.removes
	write.tree
	whole(write)
}

whole(write) if {
	write.inside
	trim_suffix(write.path, "/") in [".", "*", "./*", ".*", "**"]
}

whole(write) if {
	not write.inside
	not matches(write.path, data.temporary)
}

whole(write) if write.unknown

deny contains {
	"code": "tool-destructive", "outcome": "shut",
	"text": sprintf("%s would overwrite a disk or stop the machine", [shown(command)]),
} if {
	some command in input.commands
	disk(command)
}

disk(command) if startswith(command.name, "mkfs")

disk(command) if command.name in ["wipefs", "fdisk", "parted", "shutdown", "reboot", "halt", "poweroff", "sgdisk"]

disk(command) if {
	command.name == "dd"
	some arg in command.args
	startswith(arg, "of=/dev/")
	not arg in ["of=/dev/null", "of=/dev/stdout"]
}

deny contains {
	"code": "tool-infrastructure", "outcome": "waiting",
	"text": sprintf("%s reaches what runs, or publishes", [shown(command)]),
} if {
	some command in input.commands
	some what in data.infrastructure
	what[0] == command.name
	array.slice(words(command), 0, count(what) - 1) == array.slice(what, 1, count(what))
}

# --- what runs ---

deny contains {
	"code": "tool-remote-code", "outcome": "shut",
	"text": sprintf("%s is fetched and run in one line", [shown(command)]),
} if {
	some command in input.commands
	command.name in data.fetchers
	command.into != ""
	some other in input.commands
	other.name in data.runners
	count(input.unclear) > 0
}

deny contains {
	"code": "tool-agent-bypass", "outcome": "shut",
	"text": sprintf("%s is started with %s, which switches its questions off", [command.name, arg]),
} if {
	some command in input.commands
	some arg in command.args
	arg in data.agent_bypass
}

deny contains {
	"code": "tool-privilege", "outcome": "waiting",
	"text": sprintf("%s would run with another user's rights", [shown(command)]),
} if {
	some command in input.commands
	elevated(command)
}

elevated(command) if command.elevated

elevated(command) if command.name in ["sudo", "doas", "su", "pkexec", "setcap", "visudo", "usermod", "useradd", "passwd"]

elevated(command) if {
	command.name == "chmod"
	some arg in command.args
	regex.match(`^([ugoa]*\+[rwxt]*s|[0-7]?[2467][0-7]{3}$)`, arg)
}

deny contains {
	"code": "tool-persistence", "outcome": "shut",
	"text": sprintf("%s would start something by itself later", [shown(command)]),
} if {
	some command in input.commands
	persists(command)
}

persists(command) if {
	command.name in data.persistence
	not command.args == ["-l"]
}

persists(command) if {
	command.name == "systemctl"
	some arg in command.args
	arg in ["enable", "start", "link", "edit", "mask", "disable", "stop"]
}

deny contains {
	"code": "tool-package", "outcome": "waiting", "package": pkg.name,
	"text": sprintf("%s would bring in %s", [pkg.manager, named(pkg)]),
} if {
	some pkg in input.packages
	not pkg.locked
}

named(pkg) := sprintf("%q", [pkg.name]) if pkg.name != ""

named(pkg) := "whatever its manifest asks for" if pkg.name == ""

deny contains {
	"code": "tool-unclear", "outcome": "waiting",
	"text": sprintf("it cannot be told what this does: %s", [concat("; ", array.slice(input.unclear, 0, 5))]),
} if {
	count(input.unclear) > 0
}

# --- git ---

git contains command if {
	some command in input.commands
	command.name == "git"
}

deny contains {
	"code": "tool-history", "outcome": "shut",
	"text": sprintf("%s rewrites or removes what others may have", [shown(command)]),
} if {
	some command in git
	rewrites(command)
}

pushes(command) if "push" in words(command)

rewrites(command) if {
	pushes(command)
	some arg in command.args
	regex.match(`^(--for.*|--m.*|--de.*|--pru.*|-[a-zA-Z]*[fd][a-zA-Z]*|\+.+|:.+)$`, arg)
}

rewrites(command) if {
	some word in array.slice(words(command), 0, 2)
	word in ["filter-branch", "filter-repo", "update-ref", "replace", "fast-import", "symbolic-ref"]
}

rewrites(command) if {
	array.slice(words(command), 0, 2) in [["reflog", "expire"], ["reflog", "delete"], ["notes", "remove"], ["notes", "prune"]]
}

rewrites(command) if {
	words(command)[0] == "tag"
	some arg in command.args
	arg in ["-f", "--force", "-d", "--delete"]
}

rewrites(command) if {
	words(command)[0] == "gc"
	some arg in command.args
	startswith(arg, "--prune")
}

deny contains {
	"code": "tool-gate-bypass", "outcome": "shut",
	"text": sprintf("%s switches a check off, or answers for a person", [shown(command)]),
} if {
	some command in input.commands
	bypasses(command)
}

bypasses(command) if {
	command.name == "git"
	some arg in command.args
	startswith(arg, "--no-v") # git takes every beginning of an option that means one thing
	startswith("--no-verify", arg)
}

bypasses(command) if {
	command.name == "git"
	"commit" in words(command)
	some arg in command.args
	regex.match(`^-[a-zA-Z]*n[a-zA-Z]*$`, arg)
	not startswith(arg, "-m")
}

bypasses(command) if {
	command.name == "git"
	some arg in command.args
	regex.match(`(?i)^(-c|--[a-z-]+=)?(core\.(hookspath|fsmonitor|sshcommand|editor|pager|worktree|gitproxy|askpass|attributesfile)|sequence\.editor|init\.templatedir|diff\.external|diff\..*\.command|interactive\.difffilter|(diff|merge)tool\..*|merge\..*\.driver|pager\..*|uploadpack\..*|remote\..*\.(uploadpack|receivepack|proxy|vcs)|https?\..*proxy|protocol\..*|alias\..*|include(if)?\..*|url\..*insteadof|filter\..*|credential\..*|gpg\..*|user\.signingkey|commit\.gpgsign|diff\..*\.textconv|sallyport\..*|safe\.directory)(=|$)`, arg)
}

bypasses(command) if {
	command.name == "git"
	words(command)[0] in ["send-pack", "http-push"] # a push that asks no hook
}

bypasses(command) if {
	some name in command.env
	regex.match(`^(HUSKY.*|SKIP|PRE_COMMIT_.*|LEFTHOOK.*|GIT_CONFIG.*|GIT_SSH.*|GIT_EXEC_PATH|GIT_DIR|GIT_COMMON_DIR|GIT_TEMPLATE_DIR|GIT_ATTR_SOURCE|LD_PRELOAD|LD_LIBRARY_PATH|DYLD_.*|BASH_ENV|ENV|PROMPT_COMMAND|NODE_OPTIONS|PYTHONSTARTUP|SALLYPORT_.*|.*_BASE_URL|(?i)(https?|all|no)_proxy)$`, name)
}

bypasses(command) if {
	command.name == "unset"
	some arg in command.args
	regex.match(`^(SALLYPORT_.*|.*_BASE_URL|(?i)(https?|all|no)_proxy)$`, arg)
}

bypasses(command) if {
	command.name == "sallyport"
	# The value of an option before the command stands among the words.
	regex.match(`(^| )(approval (give|refuse)|exception (add|revoke)|root .*|key .*|hook install.*|model (approve|add|revoke).*|record erase.*|trust .*|sign.*|attest.*|data .*|log .*|init.*)`, concat(" ", words(command)))
}

bypasses(command) if {
	command.name in ["kill", "pkill", "killall"]
	some arg in command.args
	contains(arg, "sallyport")
}

bypasses(command) if {
	command.name == "gh"
	regex.match(`^(pr (merge|review)|ruleset|repo (edit|delete)|auth (login|refresh|setup-git))`, concat(" ", words(command)))
}

# --- the network ---

deny contains {
	"code": "tool-network", "outcome": "waiting",
	"text": sprintf("%s sends data out, or opens a connection that nobody can look into", [shown(command)]),
} if {
	some command in input.commands
	sends(command)
}

sends(command) if command.name in data.raw_network

sends(command) if {
	command.name in ["curl", "wget", "http", "https", "xh"]
	some arg in command.args
	regex.match(`^(-d.*|--data.*|--json.*|-F.*|--form.*|-T.*|--upload-file.*|--post-.*|--body-.*|-X.*|--request.*|--method.*|--unix-socket.*|-x|--proxy.*|--noproxy.*|--no-proxy|--preproxy.*|--socks.*)$`, arg)
	not regex.match(`^(-X|--request=?)(GET|HEAD)$`, arg)
}

sends(command) if {
	some arg in command.args
	regex.match(`^/dev/(tcp|udp)/`, arg)
}

# Where pushes go from now on.
sends(command) if {
	command.name == "git"
	array.slice(words(command), 0, 2) in [["remote", "add"], ["remote", "set-url"]]
}

sends(command) if {
	command.name == "git"
	said := words(command)
	said[0] == "config"
	count(said) > 2
	some word in said
	regex.match(`(?i)^remote\..*\.(push)?url$`, word)
}

deny contains {
	"code": "tool-network", "outcome": "waiting", "place": read.path,
	"text": sprintf("%s opens a connection through %s", [read.by, read.path]),
} if {
	some read in input.reads
	regex.match(`^/dev/(tcp|udp)/`, read.path)
}

deny contains {
	"code": "tool-network", "outcome": "waiting", "place": write.path,
	"text": sprintf("%s opens a connection through %s", [write.by, write.path]),
} if {
	some write in input.writes
	regex.match(`^/dev/(tcp|udp)/`, write.path)
}
