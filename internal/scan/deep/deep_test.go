package deep

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/internal/base/helper"
)

// TestMain lets this program stand in for the helper when it has the helper's name: what it does is in
// the file "how" beside it. The real one is a module of its own, whose tests speak to it through this
// package.
func TestMain(m *testing.M) {
	self, err := os.Executable()
	if err == nil && strings.HasPrefix(filepath.Base(self), Program) {
		how, err := os.ReadFile(filepath.Join(filepath.Dir(self), "how"))
		if err != nil {
			os.Exit(9)
		}
		os.Exit(standIn(string(how)))
	}
	os.Exit(m.Run())
}

func standIn(how string) int {
	hello := Hello{Protocol: Protocol, Build: helper.Build(), Syft: "v1"}
	switch how {
	case "other build":
		hello.Build = "0123456789abcdef"
	case "other protocol":
		hello.Protocol = "2"
	case "silent":
		time.Sleep(time.Hour)
	case "dead":
		fmt.Fprintln(os.Stderr, "there is\x1b[31m no memory")
		return 1
	case "endless hello":
		for {
			fmt.Print("x")
		}
	}
	say(hello)
	line, err := bufio.NewReader(os.Stdin).ReadBytes('\n')
	if err != nil {
		return 0
	}
	var r Request
	if json.Unmarshal(line, &r) != nil {
		return 1
	}
	a := Answer{Form: File, Components: []Component{{Purl: "pkg:npm/a@1", Kind: "npm", Name: "a", Version: "1", Licences: []string{"MIT"}, Paths: []string{"p"}}}}
	switch how {
	case "asleep":
		child := exec.Command("sleep", "3600") //nolint:noctx // it is to outlive this
		child.Stdout = os.Stdout               // and to hold the pipe open
		_ = child.Start()
		time.Sleep(time.Hour)
	case "garbage":
		fmt.Println("{]")
		return 0
	case "twice":
		fmt.Println(`{"form":"file","form":"folder"}`)
		return 0
	case "half":
		fmt.Print(`{"form":"fi`)
		return 0
	case "refuses":
		a = Answer{Error: "it is\nbroken"}
	case "unpacks":
		for i := range 100 {
			if err := os.WriteFile(filepath.Join(r.Scratch, fmt.Sprint(i)), make([]byte, 1<<20), 0o600); err != nil {
				return 1
			}
		}
		time.Sleep(time.Hour)
	case "environment":
		a.Components[0].Paths = os.Environ()
	case "form":
		a.Form = "floppy"
	case "purl":
		a.Components[0].Purl = "https://example.com"
	case "hash":
		a.Components[0].Hashes = []Hash{{"sha256", "00"}}
	case "path":
		a.Components[0].Paths = []string{"/etc/passwd"}
	case "control":
		a.Components[0].Name = "a\x1b]0;b"
	case "nameless":
		a.Components[0].Name = ""
	case "long":
		a.Components[0].Version = strings.Repeat("9", 5000)
	}
	say(a)
	return 0
}

func say(v any) {
	b, err := json.Marshal(v)
	if err == nil {
		_, _ = os.Stdout.Write(append(b, '\n'))
	}
}

// stage puts this program beside another one, under the helper's name.
func stage(t *testing.T, how string) Starter {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	// Nobody may fork meanwhile: a child would hold the file open for writing, and it could not be run.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	out, err := os.OpenFile(filepath.Join(dir, Program), os.O_WRONLY|os.O_CREATE, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	sallyport := filepath.Join(dir, "sallyport")
	if err := errors.Join(out.Close(), os.WriteFile(sallyport, nil, 0o700), os.WriteFile(filepath.Join(dir, "how"), []byte(how), 0o600)); err != nil {
		t.Fatal(err)
	}
	return Starter{Executable: sallyport, Temp: t.TempDir(), Timeout: 20 * time.Second}
}

func ask(t *testing.T, s Starter) (*Answer, error) {
	t.Helper()
	w, err := s.Start()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(s.Temp); err != nil || len(left) != 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}()
	return w.Ask(context.Background(), File, "/nowhere", nil)
}

func TestAsk(t *testing.T) {
	for how, want := range map[string]error{
		"good": nil, "other build": ErrVersion, "other protocol": ErrVersion, "dead": ErrAnswer, "endless hello": ErrAnswer,
		"garbage": ErrAnswer, "twice": ErrAnswer, "half": ErrAnswer, "refuses": ErrRefused,
		"form": ErrAnswer, "purl": ErrAnswer, "hash": ErrAnswer, "path": ErrAnswer, "control": ErrAnswer, "nameless": ErrAnswer, "long": ErrAnswer,
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			a, err := ask(t, stage(t, how))
			if !errors.Is(err, want) || (a == nil) == (want == nil) {
				t.Fatalf("%+v, %v", a, err)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("%q is not one line", err)
			}
		})
	}
}

// TestBounds has a helper take too long, with a child that holds its pipes, and unpack too much.
func TestBounds(t *testing.T) {
	s := stage(t, "asleep")
	s.Timeout = 300 * time.Millisecond
	began := time.Now()
	if _, err := ask(t, s); !errors.Is(err, ErrTimeout) {
		t.Error(err)
	}
	s = stage(t, "unpacks")
	s.Scratch = 10 << 20
	if _, err := ask(t, s); !errors.Is(err, ErrSize) {
		t.Error(err)
	}
	s = stage(t, "silent")
	w, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := w.Ready(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if err := errors.Join(w.Close(), w.Close()); err != nil {
		t.Error(err)
	}
	if d := time.Since(began); d > 15*time.Second {
		t.Errorf("it took %v", d)
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("GITHUB_TOKEN", "t0p")
	t.Setenv("HTTPS_PROXY", "http://example.com")
	a, err := ask(t, stage(t, "environment"))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range a.Components[0].Paths {
		switch name, _, _ := strings.Cut(v, "="); name {
		case "TMPDIR", "TMP", "HOME", "LC_ALL", "GOTRACEBACK", "PWD":
		default:
			t.Errorf("the helper was given %s", name)
		}
	}
}

func TestFind(t *testing.T) {
	s := stage(t, "good")
	if err := os.Chmod(filepath.Join(filepath.Dir(s.Executable), Program), 0o777); err != nil { //nolint:gosec // that is the point
		t.Fatal(err)
	}
	if _, err := s.Start(); !errors.Is(err, helper.ErrUnsafe) {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(filepath.Dir(s.Executable), Program)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Dir(stage(t, "good").Executable)) // where nobody looks
	if _, err := s.Start(); !errors.Is(err, helper.ErrMissing) || !strings.Contains(err.Error(), Program) {
		t.Error(err)
	}
}

func TestStage(t *testing.T) {
	w, err := stage(t, "good").Start()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	in := filepath.Join(t.TempDir(), "-ä b*.jar")
	if err := os.WriteFile(in, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, digest, err := w.Stage(context.Background(), in)
	if err != nil || filepath.Base(p) != "__b_.jar" || digest != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Errorf("%s, %s, %v", p, digest, err)
	}
	if b, err := os.ReadFile(p); err != nil || string(b) != "abc" {
		t.Errorf("%q, %v", b, err)
	}
	if _, _, err := w.Stage(context.Background(), t.TempDir()); !errors.Is(err, ErrInput) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := w.Stage(ctx, filepath.Join(filepath.Dir(in), "nowhere")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestPool(t *testing.T) {
	s := stage(t, "good")
	p := s.Pool(2)
	seen := map[int]bool{}
	for range 5 {
		w, err := p.Take(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if seen[w.cmd.Process.Pid] {
			t.Error("a process serves twice")
		}
		seen[w.cmd.Process.Pid] = true
		if _, err := w.Ask(context.Background(), File, "/nowhere", nil); err != nil {
			t.Error(err)
		}
		if _, err := w.Ask(context.Background(), File, "/nowhere", nil); err == nil {
			t.Error("a worker answers twice")
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
	p.Close()
	if _, err := p.Take(context.Background()); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if left, err := os.ReadDir(s.Temp); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	p = stage(t, "other build").Pool(1)
	defer p.Close()
	if _, err := p.Take(context.Background()); !errors.Is(err, ErrVersion) {
		t.Error(err)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"confined":{"files":true},"form":"file","system":{"name":"debian","version":"12"},"components":[{"purl":"pkg:npm/a@1","kind":"npm","name":"a","version":"1","licences":["MIT"],"hashes":[{"algorithm":"sha1","hex":"00"}],"paths":["p"]}],"unread":[{"path":"x","why":"y"}]}`))
	f.Add([]byte(`{"error":"no"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var a Answer
		if json.Unmarshal(b, &a) != nil || a.check() != nil {
			return
		}
		for _, c := range a.Components {
			if c.Name == "" || strings.ContainsAny(c.Name+c.Version+c.Purl, "\n\x1b\x00") {
				t.Fatalf("%+v", c)
			}
		}
	})
}
