package confine_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/sallyport-dev/sallyport/internal/run/confine"
)

// BenchmarkCost is what confinement and its witness cost a command, beside the command alone.
func BenchmarkCost(b *testing.B) {
	ws, err := os.MkdirTemp("", "cost-")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(ws)
	prepare := `git init -q . && git config user.name a && git config user.email a@example.com &&
		for i in $(seq 500); do mkdir -p d$i && echo $i >d$i/f; done && git add . && git commit -qm x && git gc -q &&
		printf 'module m\ngo 1.26\n' >go.mod && printf 'package main\nimport ("fmt";"os")\nfunc main() { fmt.Println(os.Args) }\n' >m.go`
	if out, err := exec.Command("/bin/sh", "-c", "cd "+ws+" && "+prepare).CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	// The standard library is compiled once, before anything is measured.
	env := []string{"PATH=/usr/local/go/bin:/usr/bin:/bin", "HOME=/tmp/h", "GOCACHE=" + ws + "/.cache", "GOFLAGS=-mod=mod", "GOTOOLCHAIN=local"}
	warm := exec.Command("go", "build", "-o", ".m", ".")
	warm.Dir, warm.Env = ws, env
	if out, err := warm.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	for name, script := range map[string]string{
		"start":     "exit 0",
		"git":       "for i in 1 2 3 4 5; do git status >/dev/null || exit 1; done",
		"go-build":  "date +//%N >>m.go && go build -o .m . || exit 1",
		"find-read": "cat /usr/share/doc/*/copyright >/dev/null",
	} {
		b.Run(name+"/alone", func(b *testing.B) {
			for b.Loop() {
				cmd := exec.Command("/bin/sh", "-c", script)
				cmd.Dir, cmd.Env = ws, env
				if out, err := cmd.CombinedOutput(); err != nil {
					b.Fatalf("%v: %s", err, out)
				}
			}
		})
		for _, m := range []confine.Mechanism{confine.Bubblewrap, confine.Namespaces} {
			for what, unobserved := range map[string]bool{"observed": false, "unobserved": true} {
				b.Run(name+"/"+string(m)+"-"+what, func(b *testing.B) {
					for b.Loop() {
						s, err := confine.Start(b.Context(), confine.Spec{
							Mechanism: m, Workspace: ws, Args: []string{"/bin/sh", "-c", script}, Env: env, Unobserved: unobserved, Stderr: os.Stderr,
							Events: func(confine.Event) {},
						})
						if err != nil {
							b.Skip(err)
						}
						if status, err := s.Wait(); err != nil || status.Exit() != 0 {
							b.Fatal(status, err)
						}
					}
				})
			}
		}
	}
}
