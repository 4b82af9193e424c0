package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/internal/scan/deep"
)

// TestConfined starts this test program again, which confines itself and then tries what a hostile
// input would have it do.
func TestConfined(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("nothing here confines a process on this system")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	input := write(t, filepath.Join(dir, "input", "a"), []byte("input"))
	write(t, filepath.Join(dir, "secret"), []byte("secret"))
	if err := os.Mkdir(filepath.Join(dir, "scratch"), 0o700); err != nil {
		t.Fatal(err)
	}
	victim := exec.Command("sleep", "60")
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- victim.Wait() }()
	defer func() { _ = victim.Process.Kill() }()
	cmd := exec.Command(self)
	cmd.Env = []string{"CONFINE=" + input, "TMPDIR=" + filepath.Join(dir, "scratch"), fmt.Sprintf("VICTIM=%d", victim.Process.Pid)}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("\n%s", out)
	if strings.Contains(string(out), "Landlock:false") && os.Getenv("CI") != "true" {
		t.Skip("the kernel has no Landlock")
	}
	select {
	case err := <-ended:
		t.Errorf("another process was ended: %v", err)
	default:
	}
	for _, call := range calls() {
		if !strings.Contains(string(out), call.name+": refused\n") {
			t.Errorf("not refused: %s", call.name)
		}
	}
	for _, want := range []string{
		"confined: true", "read the input: ok", "write to scratch: ok", "threads: ok",
		"read a secret: refused", "list the root: refused", "write beside the input: refused", "write to the input: refused", "link a secret in: refused",
		"TCP: refused", "UDP: refused", "Unix socket: refused", "DNS: refused", "start a program: refused", "start a program from scratch: refused",
		"kill the parent: refused", "read the parent: refused", "too large a file: refused",
	} {
		if !strings.Contains(string(out), want+"\n") {
			t.Errorf("not told: %s", want)
		}
	}
}

// confined is what the second process does.
func confined() int {
	input := os.Getenv("CONFINE")
	dir, scratch := filepath.Dir(filepath.Dir(input)), os.Getenv("TMPDIR")
	c, err := confine(deep.Request{Path: input, Scratch: scratch, Memory: 16 << 30, Size: 1 << 20, Seconds: 60})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Printf("confined: %t\n", c.Whole())
	try := func(what string, f func() error) {
		if err := f(); err != nil {
			fmt.Printf("%s: refused\n", what)
			return
		}
		fmt.Printf("%s: ok\n", what)
	}
	read := func(name string) func() error {
		return func() error { _, err := os.ReadFile(name); return err }
	}
	put := func(name string) func() error {
		return func() error { return os.WriteFile(name, []byte("x"), 0o700) }
	}
	dial := func(network, address string) func() error {
		return func() error {
			conn, err := net.Dial(network, address)
			if err == nil {
				_ = conn.Close()
			}
			return err
		}
	}
	try("read the input", read(input))
	try("write to scratch", put(filepath.Join(scratch, "x")))
	try("threads", func() error {
		errs := make(chan error, 20)
		for range cap(errs) {
			go func() {
				runtime.LockOSThread() // each has a thread of its own, begun after the confinement
				_, err := os.ReadFile(filepath.Join(dir, "secret"))
				if err == nil {
					errs <- errors.New("a thread is free")
					return
				}
				errs <- nil
			}()
		}
		var err error
		for range cap(errs) {
			err = errors.Join(err, <-errs)
		}
		return err
	})
	try("read a secret", read(filepath.Join(dir, "secret")))
	try("list the root", func() error { _, err := os.ReadDir("/"); return err })
	try("write beside the input", put(filepath.Join(dir, "y")))
	try("write to the input", put(input))
	try("link a secret in", func() error { return os.Link(filepath.Join(dir, "secret"), filepath.Join(scratch, "s")) })
	try("TCP", dial("tcp", "127.0.0.1:9"))
	try("UDP", dial("udp", "127.0.0.1:9"))
	try("Unix socket", dial("unix", "/run/nowhere"))
	try("DNS", func() error { _, err := net.LookupHost("example.com"); return err })
	try("start a program", exec.Command("/bin/true").Run)
	try("start a program from scratch", exec.Command(filepath.Join(scratch, "x")).Run)
	try("kill the parent", func() error { p, err := os.FindProcess(os.Getppid()); return errors.Join(err, p.Signal(os.Interrupt)) })
	try("read the parent", read(fmt.Sprintf("/proc/%d/environ", os.Getppid())))
	try("too large a file", func() error { return os.WriteFile(filepath.Join(scratch, "large"), make([]byte, 2<<20), 0o600) })
	for _, c := range calls() {
		try(c.name, c.try)
	}
	return 0
}

// TestFirstLandlock confines a process as the first version of Landlock can: what that version lacks
// does not undo what it has.
func TestFirstLandlock(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("nothing here confines a process on this system")
	}
	dir := t.TempDir()
	input := write(t, filepath.Join(dir, "input", "a"), []byte("input"))
	write(t, filepath.Join(dir, "secret"), []byte("secret"))
	if err := os.Mkdir(filepath.Join(dir, "scratch"), 0o700); err != nil {
		t.Fatal(err)
	}
	for abi := 1; abi <= 4; abi++ {
		cmd := exec.Command(os.Args[0])
		cmd.Env = []string{"CONFINE=" + input, "TMPDIR=" + filepath.Join(dir, "scratch"), fmt.Sprintf("CONFINE_ABI=%d", abi)}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if strings.Contains(string(out), "no Landlock") {
			if os.Getenv("CI") == "true" {
				t.Fatalf("NOT TESTED: %s", out)
			}
			t.Skip("NOT TESTED: " + string(out))
		}
		if got, want := string(out), "before: false\nafter: true\ninput: <nil>\nscratch: <nil>\nsecret: true\n"; got != want {
			t.Errorf("version %d:\n%s", abi, got)
		}
	}
}
