package evasion

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/test/scene"
)

// repositories are attacks through git itself. A hostile configuration lies in the attack and in
// the twin alike: it must change no verdict, in either direction, and run nothing.
var repositories = []row{
	{
		name: "merge driver", attack: "a merge driver of the repository's configuration makes the merge result", from: attested,
		do: hostile(func(s *scene.Scene, canary string) {
			attributes(s, "* merge=evil\n")
			s.Git("config", "merge.evil.driver", canary)
		}),
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "text conversion", attack: "a diff driver shows another text than the file's", from: attested,
		do: hostile(func(s *scene.Scene, canary string) {
			attributes(s, "* diff=evil\n")
			s.Git("config", "diff.evil.textconv", canary)
			s.Git("config", "diff.evil.command", canary)
			s.Git("config", "diff.external", canary)
		}),
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "filter", attack: "a filter driver changes content on its way", from: attested,
		do: hostile(func(s *scene.Scene, canary string) {
			attributes(s, "* filter=evil working-tree-encoding=UTF-16\n")
			s.Git("config", "filter.evil.clean", canary)
			s.Git("config", "filter.evil.smudge", canary)
			s.Git("config", "filter.evil.process", canary)
			s.Git("config", "filter.evil.required", "true")
		}),
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "programs in the configuration", attack: "every setting that names a program names one of the attacker's", from: attested,
		do: hostile(func(s *scene.Scene, canary string) {
			for _, key := range []string{
				"core.fsmonitor", "core.sshCommand", "core.pager", "core.editor", "core.askPass", "core.alternateRefsCommand", "core.gitProxy",
				"gpg.program", "gpg.ssh.program", "credential.helper", "uploadpack.packObjectsHook", "sequence.editor", "pager.log", "pager.diff",
			} {
				s.Git("config", key, canary)
			}
			s.Git("config", "log.showSignature", "true")
			hooks := filepath.Join(s.Repo, ".git", "hooks")
			s.Git("config", "core.hooksPath", hooks)
			for _, name := range []string{"post-index-change", "reference-transaction", "post-checkout", "fsmonitor-watchman"} {
				script(s, filepath.Join(hooks, name), canary)
			}
		}),
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "included configuration", attack: "the configuration includes another file, which names programs and an alternate order of lines", from: attested,
		do: hostile(func(s *scene.Scene, canary string) {
			file := filepath.Join(s.Dir, "more.config")
			if err := os.WriteFile(file, []byte("[core]\n\tfsmonitor = "+canary+"\n[diff]\n\talgorithm = histogram\n\tignoreSubmodules = all\n\torderFile = /dev/null\n\trenames = copies\n[core]\n\tautocrlf = true\n\tignorecase = true\n"), 0o644); err != nil {
				s.TB.Fatal(err)
			}
			s.Git("config", "include.path", file)
		}),
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "replace ref", attack: "a replace ref shows the harmless commit where the harmful one is", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			harmless := s.Rev("HEAD")
			if attack {
				s.Append("util.py", helper)
				s.Commit("Halve")
				s.Git("update-ref", "refs/replace/"+s.Rev("HEAD"), harmless)
			} else {
				s.Git("update-ref", "refs/replace/"+s.Rev("main"), harmless)
			}
			return s.Check("--head", s.Rev("refs/heads/work"))
		},
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "replaced tree", attack: "a replace ref shows the harmless tree in the harmful commit", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			harmless := s.Rev("HEAD^{tree}")
			if attack {
				s.Append("util.py", helper)
				s.Commit("Halve")
				s.Git("update-ref", "refs/replace/"+s.Rev("HEAD^{tree}"), harmless)
			} else {
				s.Git("update-ref", "refs/replace/"+s.Rev("main^{tree}"), harmless)
			}
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "graft", attack: "a graft hides the harmful commit between the base and the head", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			if attack {
				s.Append("util.py", helper)
				s.Commit("Halve")
			}
			s.AgentCommit("Nothing to see")
			graft := s.Rev("HEAD") + " " + s.Rev("main") + "\n"
			if err := os.WriteFile(filepath.Join(s.Repo, ".git", "info", "grafts"), []byte(graft), 0o644); err != nil {
				s.TB.Fatal(err)
			}
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "history cut short", attack: "the list of shallow commits hides where the harmful commit comes from", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			if attack {
				if err := os.WriteFile(filepath.Join(s.Repo, ".git", "shallow"), []byte(s.Rev("HEAD")+"\n"), 0o644); err != nil {
					s.TB.Fatal(err)
				}
			}
			return s.Check()
		},
		status: sallyport.ExitUndecided, says: "shallow",
	},
	{
		name: "environment of git", attack: "git's environment variables point elsewhere", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			canary, ran := trap(s)
			if attack {
				s.Append("util.py", helper)
				s.Commit("Halve")
			}
			v := s.CheckIn(s.Dir, []string{
				"GIT_DIR=/nonexistent", "GIT_WORK_TREE=/nonexistent", "GIT_INDEX_FILE=/nonexistent", "GIT_NAMESPACE=evil",
				"GIT_EXTERNAL_DIFF=" + canary, "GIT_PAGER=" + canary, "GIT_SSH_COMMAND=" + canary, "GIT_REPLACE_REF_BASE=refs/heads/",
				"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=core.fsmonitor", "GIT_CONFIG_VALUE_0=" + canary, "GIT_CONFIG_PARAMETERS='core.fsmonitor'='" + canary + "'",
				"GIT_ALTERNATE_OBJECT_DIRECTORIES=/nonexistent", "GIT_DIFF_OPTS=-u0", "GIT_EXEC_PATH=" + filepath.Dir(canary), "GIT_TRACE=" + filepath.Join(s.Dir, "traced"),
			})
			ran()
			return v
		},
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
	{
		name: "target in the head's words", attack: "a branch of the target's remote name stands where the target is looked up", from: attested,
		do: func(s *scene.Scene, attack bool) scene.Verdict {
			if attack {
				s.Append("util.py", helper)
				s.Commit("Halve")
			}
			// refs/tags/main and a branch "refs/heads/main" would both win over main if it were
			// resolved as git resolves a word.
			s.Git("update-ref", "refs/tags/main", "HEAD")
			s.Git("update-ref", "refs/heads/refs/heads/main", "HEAD")
			return s.Check()
		},
		status: sallyport.ExitWaiting, codes: []string{"unattributed"},
	},
}

// hostile plays a change that an attacker sneaked a line into, in a repository whose
// configuration the attacker wrote, on a base that has moved, so that merging takes place.
func hostile(configure func(s *scene.Scene, canary string)) func(*scene.Scene, bool) scene.Verdict {
	return func(s *scene.Scene, attack bool) scene.Verdict {
		moveMain(s)
		if attack {
			s.Append("util.py", helper)
			s.Commit("Halve")
		}
		canary, ran := trap(s)
		configure(s, canary)
		remove(s, canary+".ran") // by the git that configured
		v := s.Check()
		ran()
		return v
	}
}

// trap makes a program that leaves a file behind when it runs. The returned function fails the
// test if it did.
func trap(s *scene.Scene) (program string, ran func()) {
	s.TB.Helper()
	program = filepath.Join(s.Dir, "canary")
	script(s, program, "touch "+program+".ran; cat \"$@\"")
	return program, func() {
		s.TB.Helper()
		if _, err := os.Lstat(program + ".ran"); err == nil {
			s.TB.Errorf("a program of the repository's ran")
		}
		left, err := filepath.Glob(filepath.Join(s.Dir, "traced*"))
		if err != nil || len(left) > 0 {
			s.TB.Errorf("git heard the caller's environment: %v, %v", left, err)
		}
	}
}

func script(s *scene.Scene, path, command string) {
	s.TB.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.TB.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+command+"\n"), 0o755); err != nil {
		s.TB.Fatal(err)
	}
}

// attributes writes attributes where git looks for them outside of commits.
func attributes(s *scene.Scene, lines string) {
	s.TB.Helper()
	for _, path := range []string{".git/info/attributes", ".gitattributes"} {
		name := filepath.Join(s.Repo, path)
		if err := os.WriteFile(name, []byte(strings.TrimSpace(lines)+"\n"), 0o644); err != nil {
			s.TB.Fatal(fmt.Errorf("write attributes: %w", err))
		}
	}
}
