package change

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/internal/base/git"
)

// Each hostile repository would, under plain git, run a program that leaves a canary file
// behind, or tell another history than its objects do. Neither must happen: the change that is
// computed is that of the same repository without the attack.
func TestHostileRepositories(t *testing.T) {
	build := func(t *testing.T) (l *lab, tip, topic string) {
		l = newLab(t)
		l.write("f", numbers(30))
		l.write("secret.txt", "s\n")
		base := l.commit("base")
		l.git("checkout", "-q", "-b", "topic")
		l.write("f", strings.Replace(numbers(30), "line 5\n", "five\n", 1))
		topic = l.commit("topic")
		l.git("checkout", "-q", "main")
		l.write("f", strings.Replace(numbers(30), "line 25\n", "25\n", 1))
		tip = l.commit("main")
		_ = base
		return l, tip, topic
	}
	want := []string{"f lines removed 5+1 [0]", "f lines added 5+1 [0]"}

	for _, tt := range []struct {
		name string
		// arm sets the trap; canary is the file and script a program that makes it.
		arm func(t *testing.T, l *lab, canary, script string)
	}{
		{"no attack", func(*testing.T, *lab, string, string) {}},
		{"fsmonitor", func(_ *testing.T, l *lab, _, script string) { l.git("config", "core.fsmonitor", script) }},
		{"hooks", func(t *testing.T, l *lab, _, script string) {
			dir := filepath.Join(t.TempDir(), "hooks")
			for _, h := range []string{"post-checkout", "post-index-change", "reference-transaction", "pre-auto-gc", "post-merge", "fsmonitor-watchman"} {
				link(t, script, filepath.Join(dir, h))
				link(t, script, filepath.Join(l.dir, ".git", "hooks", h))
			}
			l.git("config", "core.hooksPath", dir)
		}},
		{"merge driver in attributes of the tree", func(_ *testing.T, l *lab, _, script string) {
			l.git("config", "merge.evil.driver", script+" %O %A %B")
			l.write(".git/info/attributes", "* merge=evil\n")
			l.write(".gitattributes", "* merge=evil\n")
		}},
		{"text conversion and external diff", func(_ *testing.T, l *lab, _, script string) {
			l.git("config", "diff.evil.textconv", script)
			l.git("config", "diff.evil.command", script)
			l.git("config", "diff.external", script)
			l.write(".git/info/attributes", "* diff=evil\n")
		}},
		{"attributes that hide text", func(_ *testing.T, l *lab, _, _ string) {
			l.write(".git/info/attributes", "* -diff binary\n")
			attributes := filepath.Join(l.dir, "global-attributes")
			l.write("global-attributes", "* binary\n")
			l.git("config", "core.attributesFile", attributes)
		}},
		{"filters", func(_ *testing.T, l *lab, _, script string) {
			for _, k := range []string{"clean", "smudge", "process"} {
				l.git("config", "filter.evil."+k, script)
			}
			l.git("config", "filter.evil.required", "true")
			l.write(".git/info/attributes", "* filter=evil\n")
		}},
		{"pager, editor, ssh, askpass, credentials, proxies", func(_ *testing.T, l *lab, _, script string) {
			for _, k := range []string{
				"core.pager", "core.editor", "core.sshCommand", "core.askPass", "credential.helper", "core.gitProxy",
				"core.alternateRefsCommand", "uploadpack.packObjectsHook", "gpg.program", "gpg.ssh.program", "pager.log",
				"pager.diff-tree", "pager.rev-list", "interactive.diffFilter", "sequence.editor", "trailer.x.cmd",
			} {
				l.git("config", k, script)
			}
			l.git("config", "log.showSignature", "true")
		}},
		{"aliases over every command that is used", func(_ *testing.T, l *lab, _, script string) {
			for _, k := range []string{"cat-file", "rev-list", "diff-tree", "merge-tree", "merge-base", "config", "hash-object"} {
				l.git("config", "alias."+k, "!"+script)
			}
		}},
		{"includes", func(t *testing.T, l *lab, _, script string) {
			inc := filepath.Join(t.TempDir(), "inc")
			if err := os.WriteFile(inc, []byte("[core]\n\tfsmonitor = "+script+"\n[diff]\n\texternal = "+script+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			l.git("config", "include.path", inc)
			l.git("config", "includeIf.gitdir:/.path", inc)
		}},
		{"another work tree", func(t *testing.T, l *lab, _, script string) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, ".gitattributes"), []byte("* merge=evil diff=evil\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			l.git("config", "merge.evil.driver", script)
			l.git("config", "core.worktree", dir)
		}},
		{"diff options in configuration", func(_ *testing.T, l *lab, _, script string) {
			for k, v := range map[string]string{
				"diff.noprefix": "true", "diff.mnemonicPrefix": "true", "diff.renames": "copies", "diff.context": "0",
				"diff.algorithm": "patience", "diff.ignoreSubmodules": "all", "diff.orderFile": script, "core.quotePath": "false",
				"diff.interHunkContext": "9", "core.abbrev": "5", "color.ui": "always", "diff.suppressBlankEmpty": "true",
				"diff.wordRegex": ".", "core.bigFileThreshold": "1", "merge.renames": "false", "core.whitespace": "cr-at-eol",
			} {
				l.git("config", k, v)
			}
		}},
		{"lazy fetch from a promisor", func(_ *testing.T, l *lab, _, script string) {
			l.git("config", "remote.evil.url", "ext::"+script)
			l.git("config", "remote.evil.promisor", "true")
			l.git("config", "remote.evil.partialclonefilter", "blob:none")
			l.git("config", "protocol.ext.allow", "always")
			l.git("config", "extensions.partialClone", "evil")
		}},
		{"environment", func(t *testing.T, l *lab, _, script string) {
			other := newLab(t)
			other.commit("other")
			for k, v := range map[string]string{
				"GIT_EXTERNAL_DIFF": script, "GIT_PAGER": script, "GIT_SSH_COMMAND": script, "GIT_ASKPASS": script, "GIT_EDITOR": script,
				"GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_0": "core.fsmonitor", "GIT_CONFIG_VALUE_0": script,
				"GIT_CONFIG_KEY_1": "diff.external", "GIT_CONFIG_VALUE_1": script,
				"GIT_CONFIG_PARAMETERS": "'core.fsmonitor'='" + script + "'",
				"GIT_DIR":               filepath.Join(other.dir, ".git"), "GIT_WORK_TREE": other.dir, "GIT_COMMON_DIR": other.dir,
				"GIT_INDEX_FILE": "/nonexistent", "GIT_NAMESPACE": "evil", "GIT_DIFF_OPTS": "-u0", "GIT_EXEC_PATH": other.dir,
				"GIT_TRACE2_EVENT": filepath.Join(other.dir, "trace"), "GIT_TEMPLATE_DIR": other.dir, "GIT_ATTR_SOURCE": "HEAD",
				"GIT_CEILING_DIRECTORIES": "/", "GIT_LITERAL_PATHSPECS": "0", "GIT_SHALLOW_FILE": "/nonexistent", "GIT_GRAFT_FILE": "/nonexistent",
			} {
				t.Setenv(k, v)
			}
		}},
		{"replacement refs", func(_ *testing.T, l *lab, _, _ string) {
			topic := l.git("rev-parse", "topic")
			l.git("checkout", "-q", "--detach", "topic~1")
			innocent := l.commit("innocent")
			l.git("checkout", "-q", "main")
			l.git("replace", "-f", topic, innocent)
			l.git("config", "core.useReplaceRefs", "true")
		}},
		{"grafts", func(_ *testing.T, l *lab, _, _ string) {
			l.write(".git/info/grafts", l.git("rev-parse", "topic")+" "+l.git("rev-parse", "main")+"\n")
		}},
		{"a commit graph that lies", func(t *testing.T, l *lab, _, _ string) {
			l.git("config", "core.commitGraph", "true")
			l.git("commit-graph", "write", "--reachable")
			file := filepath.Join(l.dir, ".git", "objects", "info", "commit-graph")
			graph, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			tree, err := hex.DecodeString(l.git("rev-parse", "topic^{tree}"))
			if err != nil {
				t.Fatal(err)
			}
			// A commit's record is its tree and the positions of two parents; 0x70000000 is none.
			at := bytes.Index(graph, tree) + len(tree)
			copy(graph[at:], []byte{0x70, 0, 0, 0, 0x70, 0, 0, 0})
			os.Remove(file)
			if err := os.WriteFile(file, graph, 0o444); err != nil {
				t.Fatal(err)
			}
			if n := l.git("rev-list", "--count", "topic"); n != "1" {
				t.Fatalf("plain git sees %s commits: the lie does not work", n)
			}
		}},
		{"a tag called like the branch", func(_ *testing.T, l *lab, _, _ string) {
			l.git("tag", "refs/heads/main", "topic")
			l.git("tag", "topic", "main")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, tip, topic := build(t)
			canary := filepath.Join(t.TempDir(), "canary")
			script := filepath.Join(t.TempDir(), "trap")
			if err := os.WriteFile(script, []byte("#!/bin/sh\ntouch '"+canary+"'\ncat >/dev/null 2>&1 </dev/null\nexit 0\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			tt.arm(t, l, canary, script)
			os.Remove(canary) // arming may have sprung it: plain git does
			before := listing(t, filepath.Join(l.dir, ".git"))

			ctx := t.Context()
			r, err := git.Open(ctx, l.dir)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			for rev, oid := range map[string]string{"refs/heads/main": tip, "refs/heads/topic": topic, "HEAD": tip} {
				if got, err := r.Resolve(ctx, rev); err != nil || got != oid {
					t.Errorf("Resolve(%s) = %s, %v; want %s", rev, got, err, oid)
				}
			}
			d := New(r, nil)
			c, err := d.Change(ctx, Request{TargetRef: "refs/heads/main", Base: tip, Head: topic})
			if err != nil {
				t.Fatal(err)
			}
			checkShape(t, c.Files, want...)
			if _, _, err := d.Replay(ctx, tip, topic); err != nil {
				t.Error(err)
			}
			if _, err := d.Residue(ctx, tip, c.MergeTree.Hex()); err != nil {
				t.Error(err)
			}
			if _, err := r.Blob(ctx, strings.Repeat("1", 40), 10); err == nil {
				t.Error("an absent blob was read")
			}
			if _, err := os.Stat(canary); err == nil {
				t.Error("a program that the repository names was run")
			}
			if after := listing(t, filepath.Join(l.dir, ".git")); after != before {
				t.Errorf("the repository was written to:\n%s\nbefore:\n%s", after, before)
			}
		})
	}
}

// The traps are real: plain git walks into a merge driver of this shape.
func TestPlainGitSpringsTheTrap(t *testing.T) {
	l := newLab(t)
	l.write("f", numbers(30))
	l.commit("base")
	l.git("checkout", "-q", "-b", "topic")
	l.write("f", strings.Replace(numbers(30), "line 5\n", "five\n", 1))
	l.commit("topic")
	l.git("checkout", "-q", "main")
	l.write("f", strings.Replace(numbers(30), "line 25\n", "25\n", 1))
	l.commit("main")
	canary := filepath.Join(t.TempDir(), "canary")
	l.git("config", "merge.evil.driver", "touch '"+canary+"'")
	l.write(".git/info/attributes", "* merge=evil\n")
	if _, err := l.try("", "merge-tree", "--write-tree", "main", "topic"); err != nil {
		t.Skipf("this git merges differently: %v", err)
	}
	if _, err := os.Stat(canary); err != nil {
		t.Skip("this git does not run merge drivers in merge-tree")
	}
	os.Remove(canary)
	l.change(l.git("rev-parse", "main"), l.git("rev-parse", "topic"))
	if _, err := os.Stat(canary); err == nil {
		t.Error("the merge driver was run")
	}
}

func link(t *testing.T, target, name string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, name); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
}

// listing is every file of a folder with the time of its last change.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
		if err == nil {
			info, infoErr := e.Info()
			if infoErr != nil {
				return infoErr
			}
			b.WriteString(p + " " + info.ModTime().String() + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
