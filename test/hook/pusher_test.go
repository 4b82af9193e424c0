package hook

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/test/scene"
)

// newLoginSite is a site whose roster has logins, and whose agent's work waits on branch work with
// the evidence of its run and an approval of Bob's.
func newLoginSite(t testing.TB, flags ...string) *site {
	t.Helper()
	s := &site{Scene: scene.New(t, scene.Options{}), t: t}
	roster := s.Read(".sallyport/roster.yaml")
	for _, p := range []string{"alice", "bob", "carol"} {
		roster = strings.Replace(roster, "    emails: ["+p+"@example.com]\n", "    emails: ["+p+"@example.com]\n    logins: {corp: "+p+"-corp}\n", 1)
	}
	s.Write(".sallyport/roster.yaml", roster)
	s.RootInit()
	s.Commit("Who logs in as whom")
	s.Pin = sallyport.SHA256([]byte(s.Read(".sallyport/root.json")))
	s.server = filepath.Join(s.Dir, "server.git")
	s.Git("init", "-q", "--bare", "-b", "main", s.server)
	s.Git("remote", "add", "origin", s.server)
	s.Git("push", "-q", "origin", "main")
	s.Git("remote", "set-head", "origin", "main")
	s.install("refs/heads/main")
	script := filepath.Join(s.server, "hooks", "pre-receive")
	b, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(script, []byte(strings.TrimSpace(string(b))+" "+strings.Join(flags, " ")+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.agentWork("work")
	s.AttestRun("main", "HEAD")
	s.Approve(scene.Bob)
	s.pushEvidence()
	return s
}

// sshd makes the pusher's ssh a program that does what sshd does for a key whose line in
// authorized_keys has command="env PUSHER=LOGIN …": it runs the command that the client asked for
// with the variable set, whatever the client's environment was. An empty login runs it as it is,
// for a server that authenticates nobody.
func (s *site) sshd(login string) []string {
	s.t.Helper()
	path := filepath.Join(s.Dir, "sshd-"+login)
	set := "unset PUSHER"
	if login != "" {
		set = "PUSHER='" + login + "'; export PUSHER"
	}
	// $1 is the host, $2 the command. Everything else of the pusher's environment gets through,
	// which is worse than any sshd.
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+set+"\nexec sh -c \"$2\"\n"), 0o755); err != nil {
		s.t.Fatal(err)
	}
	return []string{"GIT_SSH=" + path, "GIT_SSH_VARIANT=simple"}
}

// pushAs pushes over that ssh with more in the pusher's environment.
func (s *site) pushAs(env []string, args ...string) answer {
	s.t.Helper()
	s.Git("remote", "set-url", "origin", "server:"+s.server)
	cmd, cancel := s.Command("git", append([]string{"-C", s.Repo, "push", "origin"}, args...)...)
	defer cancel()
	cmd.Env = append(cmd.Env, env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return answer{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// With an authenticated pusher one approval by somebody else is enough. Who the pusher is, the
// server says, and nothing that the pusher sends.
func TestPusherFromServer(t *testing.T) {
	t.Parallel()
	base := newLoginSite(t, "--pusher-from", "env:PUSHER=corp")
	for _, tt := range []struct {
		name  string
		login string
		env   []string
		args  []string
		codes []string // empty and no says: accepted
		says  string
	}{
		{name: "by Carol", login: "carol-corp"},
		{name: "by Carol, in another case", login: "Carol-Corp"},
		{name: "by who approved it", login: "bob-corp", codes: []string{"approval-missing"}},
		{name: "by who approved it, with another name in the environment", login: "bob-corp", env: []string{"PUSHER=carol-corp"}, codes: []string{"approval-missing"}},
		{name: "by who approved it, with another name as a push option", login: "bob-corp", args: []string{"-o", "PUSHER=carol-corp", "-o", "carol-corp"}, codes: []string{"approval-missing"}},
		{name: "by who approved it, with a certificate's variables", login: "bob-corp", env: []string{"GIT_PUSH_CERT_STATUS=G", "GIT_PUSH_CERT_SIGNER=carol@example.com", "GL_USER=carol-corp"}, codes: []string{"approval-missing"}},
		{name: "by a login that the roster does not hold", login: "mallory", codes: []string{"approval-missing"}, says: "note: mallory is no login at corp"},
		{name: "by a roster id that is no login", login: "carol", codes: []string{"approval-missing"}, says: "note: carol is no login at corp"},
		{name: "by nobody", login: "", says: "who pushed cannot be authenticated: PUSHER does not hold a login"},
		{name: "by nobody, who says it is Carol", login: "", env: []string{"PUSHER=carol-corp"}, says: "PUSHER does not hold a login"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := base.in(t)
			s.Scene = base.Fork(t)
			s.server = filepath.Join(s.Dir, "server.git")
			s.administer("config", "receive.advertisePushOptions", "true")
			main := s.ref("refs/heads/main")
			a := s.pushAs(append(s.sshd(tt.login), tt.env...), append(tt.args, "work:main")...)
			switch {
			case tt.codes == nil && tt.says == "":
				s.accepted(a, "refs/heads/main", s.Rev("work"))
			default:
				s.refused(a, "refs/heads/main", main, tt.codes...)
			}
			if !strings.Contains(a.remote(), tt.says) {
				t.Errorf("the pusher was told %q, want %q", a.remote(), tt.says)
			}
		})
	}
}

// A signed push tells who pushed, if the server verifies it.
func TestPusherFromCertificate(t *testing.T) {
	t.Parallel()
	base := newLoginSite(t, "--pusher-from", "cert")
	base.administer("config", "receive.certNonceSeed", "a seed that nobody knows")
	// Software cannot make git sign with a simulated security key, so that the pushers have ordinary ones:
	// these are good enough to say who pushed, as they are to log in with.
	for _, tt := range []struct {
		name  string
		key   scene.Key
		seed  bool
		codes []string
		says  string
	}{
		{name: "by Alice, who may not approve it anyway", key: scene.AliceOrdinary},
		{name: "by a key of nobody's", key: scene.Renovate, codes: []string{"approval-missing"}, says: "which is no key of a person in the roster"},
		{name: "not signed", codes: []string{"approval-missing"}, says: "note: the push is not signed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := base.in(t)
			s.Scene = base.Fork(t)
			s.server = filepath.Join(s.Dir, "server.git")
			main := s.ref("refs/heads/main")
			args := []string{"work:main"}
			if tt.key != "" {
				s.Git("config", "gpg.format", "ssh")
				s.Git("config", "user.signingKey", s.KeyFile(tt.key))
				s.writePublic(tt.key)
				args = []string{"--signed=true", "work:main"}
			}
			a := s.pushAs(s.sshd("x"), args...)
			if tt.codes == nil {
				s.accepted(a, "refs/heads/main", s.Rev("work"))
			} else {
				s.refused(a, "refs/heads/main", main, tt.codes...)
			}
			if !strings.Contains(a.remote(), tt.says) {
				t.Errorf("the pusher was told %q, want %q", a.remote(), tt.says)
			}
		})
	}

	// A certificate that is shown again, for another ref, is the pusher's own bytes in the
	// environment: git overwrites what it sets, and what it does not set is not believed.
	t.Run("shown again", func(t *testing.T) {
		s := base.in(t)
		s.Scene = base.Fork(t)
		s.server = filepath.Join(s.Dir, "server.git")
		s.Git("config", "gpg.format", "ssh")
		s.Git("config", "user.signingKey", s.KeyFile(scene.AliceOrdinary))
		s.writePublic(scene.AliceOrdinary)
		script := filepath.Join(s.server, "hooks", "post-receive")
		if err := os.WriteFile(script, []byte("#!/bin/sh\ngit cat-file blob $GIT_PUSH_CERT >'"+filepath.Join(s.Dir, "cert")+"'\necho \"$GIT_PUSH_CERT_NONCE\" >'"+filepath.Join(s.Dir, "nonce")+"'\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		s.accepted(s.pushAs(s.sshd("x"), "--signed=true", "work:refs/heads/elsewhere"), "refs/heads/elsewhere", s.Rev("work"))
		old, err := os.ReadFile(filepath.Join(s.Dir, "cert"))
		if err != nil {
			t.Fatal(err)
		}
		nonce, err := os.ReadFile(filepath.Join(s.Dir, "nonce"))
		if err != nil {
			t.Fatal(err)
		}
		oid, err := s.TryGit(scene.Who(scene.Alice), old, "-C", s.server, "hash-object", "-w", "--stdin")
		if err != nil {
			t.Fatal(err)
		}
		main := s.ref("refs/heads/main")
		a := s.pushAs(append(s.sshd("x"), "GIT_PUSH_CERT="+oid, "GIT_PUSH_CERT_NONCE="+strings.TrimSpace(string(nonce)), "GIT_PUSH_CERT_NONCE_STATUS=OK"), "work:main")
		s.refused(a, "refs/heads/main", main)
		if !strings.Contains(a.remote(), "the push certificate does not cover the update of refs/heads/main") {
			t.Errorf("the pusher was told %q", a.remote())
		}
		a = s.pushAs(append(s.sshd("x"), "GIT_PUSH_CERT="+oid, "GIT_PUSH_CERT_NONCE="+strings.TrimSpace(string(nonce)), "GIT_PUSH_CERT_NONCE_STATUS=SLOP"), "work:main")
		s.refused(a, "refs/heads/main", main)
		if !strings.Contains(a.remote(), `the push certificate's nonce is "SLOP", not OK`) {
			t.Errorf("the pusher was told %q", a.remote())
		}
	})
}

// writePublic writes the public half of a key beside it, as git asks for it.
func (s *site) writePublic(k scene.Key) {
	s.t.Helper()
	if err := os.WriteFile(s.KeyFile(k)+".pub", []byte(s.PublicKey(k)+"\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// The login and the certificate have to mean one person.
func TestPushersThatDisagree(t *testing.T) {
	t.Parallel()
	s := newLoginSite(t, "--pusher-from", "env:PUSHER=corp", "--pusher-from", "cert")
	s.administer("config", "receive.certNonceSeed", "a seed that nobody knows")
	s.Git("config", "gpg.format", "ssh")
	s.Git("config", "user.signingKey", s.KeyFile(scene.AliceOrdinary))
	s.writePublic(scene.AliceOrdinary)
	main := s.ref("refs/heads/main")
	a := s.pushAs(s.sshd("carol-corp"), "--signed=true", "work:main")
	s.refused(a, "refs/heads/main", main)
	if !strings.Contains(a.remote(), "the login is carol's and the push is signed by alice") {
		t.Errorf("the pusher was told %q", a.remote())
	}
	s.accepted(s.pushAs(s.sshd("alice-corp"), "--signed=true", "work:main"), "refs/heads/main", s.Rev("work"))
}

// A hook that would believe what the pusher sends does not start.
func TestPusherSources(t *testing.T) {
	t.Parallel()
	s := scene.New(t, scene.Options{})
	for flag, says := range map[string]string{
		"env:GIT_PUSH_OPTION_0=corp": "GIT_* holds what the pusher sends",
		"env:GIT_PUSH_CERT_SIGNER":   "GIT_* holds what the pusher sends",
		"env:LC_PUSHER=corp":         "LC_* holds what the pusher sends",
		"env:SSH_ORIGINAL_COMMAND=x": "SSH_* holds what the pusher sends",
		"env:USER=corp":              "USER holds what the pusher sends",
		"env:WHO":                    "whose logins WHO holds is not known",
		"env:":                       "is no name of a variable",
		"env:A B=corp":               "is no name of a variable",
		"header:X":                   "is neither env:NAME",
		"":                           "is neither env:NAME",
	} {
		r := s.Sallyport("hook", "pre-receive", "--repo", s.Repo, "--pusher-from", flag)
		if r.Status != sallyport.ExitUsage || !strings.Contains(r.Stderr, says) {
			t.Errorf("%q: %v, want %q", flag, r, says)
		}
	}
}
