//go:build unix

// Command bench measures the built program as people run it.
//
// It builds sallyport the way that releases are built, and prints in one run, so that a loaded
// machine slows everything that is compared alike:
//
//   - the size of the executable;
//   - start-up: the wall and CPU time of commands that do nothing but start;
//   - the record, in process: appends to the log, and durable inserts beside the disk's own rate;
//   - "check merge" over the last 1, 20, 200 and 2,000 commits of a repository, beside
//     "git log -p" over the same range, which has to read the same objects and is the floor;
//   - with -peers, the gate about twenty commits beside gitleaks, syft and opa chained by hand. They
//     are built from test/peers, and one that is missing fails the run;
//   - with -pipeline, for each of the repositories that it names: the whole pipeline, once and again with
//     nothing new, beside gitleaks, syft, cosign and opa chained by hand;
//   - with -blame, nothing but "agent blame" on a file of 5,000 lines and 1,000 commits, beside "git blame".
//
// A cold check has an empty state folder: it makes its keys and its log, and nothing is cached.
// A warm one repeats it. Both append a decision to a log on disk. The operating system has the
// repository's files in memory in either case. Times are medians; rounds go through floor, cold
// and warm in turn. CPU is user and system time of the program and of every git process that it
// started. Peak memory is told twice: of the program alone, by its VmHWM (Linux only, looked at
// every few milliseconds, so that the last of them may be missed), and of the largest of all its
// processes, by wait4.
//
// Ranges end at HEAD and begin at one of its first parents, the one for which the number of
// commits comes closest to the number asked for; the number printed is the true one. Without a
// repository (-repo) it makes one with git fast-import and says that it is synthetic.
//
// Figures are printed and never judged: a machine under load must not fail a test.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// What the project aims at; docs/decisions/0001-libraries.md repeats those of start-up and size.
const (
	aimCold   = 300 * time.Millisecond // twenty commits
	aimWarm   = 120 * time.Millisecond
	aimFaster = 2.5 // cold through warm
	aimStart  = 12 * time.Millisecond
	aimSize   = 45 << 20
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if role := os.Getenv(proxyRole); role != "" {
		if err := playRole(ctx, role); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
		return
	}
	var o options
	var sizes string
	flag.StringVar(&o.repo, "repo", "", "the `repository` to read; it is not changed (default: one that is made)")
	flag.StringVar(&sizes, "commits", "1,20,200,2000", "about how many commits to judge")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds per range; ranges of a thousand commits and more get 3")
	flag.BoolVar(&o.peers, "peers", false, "also build the programs of test/peers and measure the gate beside them")
	flag.StringVar(&o.pipeline, "pipeline", "", "measure the pipeline over these `repositories`, with commas between them; they are cloned")
	flag.BoolVar(&o.blame, "blame", false, "measure agent blame beside git blame, and nothing else")
	flag.BoolVar(&o.only, "only-pipeline", false, "measure nothing else")
	flag.BoolVar(&o.proxy, "proxy", false, "measure the prompt gate under load, and nothing else")
	flag.Float64Var(&o.seconds, "seconds", 3, "how long each row of -proxy takes")
	flag.StringVar(&o.binary, "binary", "", "measure this `executable` instead of building one")
	flag.Parse()
	for s := range strings.SplitSeq(sizes, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 1 {
			fmt.Fprintf(os.Stderr, "bench: %q is no number of commits\n", s)
			os.Exit(2)
		}
		o.sizes = append(o.sizes, n)
	}
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	repo, binary string
	pipeline     string
	proxy        bool
	seconds      float64
	only, blame  bool
	sizes        []int
	rounds       int
	peers        bool
}

// A bench is one run of this command.
type bench struct {
	options
	dir  string // temporary
	git  string
	env  []string
	out  io.Writer
	made bool // the repository is synthetic

	built map[string]string // the peers
}

func run(ctx context.Context, o options, out io.Writer) (err error) {
	b := &bench{options: o, out: out}
	if b.dir, err = os.MkdirTemp("", "sallyport-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if b.git, err = exec.LookPath("git"); err != nil {
		return err
	}
	b.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + b.dir, "TMPDIR=" + b.dir, "LC_ALL=C", "TZ=UTC",
		"GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_NOSYSTEM=1",
	}
	if b.binary == "" {
		b.binary = filepath.Join(b.dir, "sallyport")
		if err := buildProduct(ctx, b.binary, "-trimpath", "-ldflags=-s -w"); err != nil {
			return err
		}
	}
	if err := b.machine(ctx); err != nil {
		return err
	}
	if b.options.blame {
		return b.blame(ctx)
	}
	if b.proxy {
		return b.proxies(ctx)
	}
	if !b.only {
		if err := b.all(ctx); err != nil {
			return err
		}
	}
	if b.pipeline == "" {
		return nil
	}
	return b.pipelines(ctx, strings.Split(b.pipeline, ","))
}

// all measures everything but the pipeline.
func (b *bench) all(ctx context.Context) error {
	if err := b.startUp(ctx); err != nil {
		return err
	}
	if err := b.record(ctx); err != nil {
		return err
	}
	if err := b.checks(ctx); err != nil || !b.peers {
		return err
	}
	return b.chain(ctx)
}

// buildProduct builds the command without cgo, as it is released.
func buildProduct(ctx context.Context, to string, flags ...string) error {
	args := append([]string{"build", "-o", to}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, "github.com/sallyport-dev/sallyport/cmd/sallyport")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build sallyport: %w\n%s", err, out)
	}
	return nil
}

// machine prints what was measured and where.
func (b *bench) machine(ctx context.Context) error {
	st, err := os.Stat(b.binary)
	if err != nil {
		return err
	}
	version, err := b.output(ctx, "version")
	if err != nil {
		return err
	}
	sync, err := syncTime(b.dir)
	if err != nil {
		return err
	}
	load := "unknown"
	if l, err := os.ReadFile("/proc/loadavg"); err == nil {
		load = strings.Join(strings.Fields(string(l))[:3], " ")
	}
	fmt.Fprintf(b.out, "binary   %.1f MiB (aim %d MiB)\n", float64(st.Size())/(1<<20), aimSize>>20)
	fmt.Fprintf(b.out, "machine  %s/%s, %d CPUs, %s, %s; load %s; a write with fsync takes %s ms\n",
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), version, load, ms(sync))
	return nil
}

// syncTime returns the median time in which a small write to a file in dir becomes durable: a
// recorded decision costs several.
func syncTime(dir string) (time.Duration, error) {
	f, err := os.CreateTemp(dir, "sync")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var ds []time.Duration
	for range 9 {
		began := time.Now()
		if _, err := f.Write(make([]byte, 512)); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		ds = append(ds, time.Since(began))
	}
	return median(ds), nil
}

// startUp measures commands that only start.
func (b *bench) startUp(ctx context.Context) error {
	const rounds = 21
	commands := []struct {
		name string
		args []string
	}{
		{"git --version", []string{b.git, "--version"}},
		{"sallyport version", []string{b.binary, "version"}},
		{"sallyport --help", []string{b.binary, "--help"}},
	}
	runs := make([][]measured, len(commands))
	for range rounds {
		for i, c := range commands {
			m, err := b.measure(ctx, c.args)
			if err != nil {
				return err
			}
			runs[i] = append(runs[i], m)
		}
	}
	fmt.Fprintf(b.out, "\nstart-up, %d rounds (aim %s ms)\n", rounds, ms(aimStart))
	w := table(b.out)
	fmt.Fprintln(w, "\tleast ms\tmedian ms\tCPU ms\tpeak MiB\t")
	for i, c := range commands {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t\n", c.name, ms(slices.Min(walls(runs[i]))), ms(median(walls(runs[i]))),
			ms(median(cpus(runs[i]))), mib(largest(runs[i], treePeak)))
	}
	return w.Flush()
}

// checks measures check merge over each range.
func (b *bench) checks(ctx context.Context) error {
	if b.repo == "" {
		b.repo, b.made = filepath.Join(b.dir, "synthetic.git"), true
		if err := b.synthesize(ctx, b.repo, slices.Max(b.sizes)+50); err != nil {
			return err
		}
	}
	head, total, err := b.history(ctx)
	if err != nil {
		return err
	}
	name := filepath.Base(b.repo) + ", read as it is"
	if b.made {
		name = "a SYNTHETIC repository; name a real one with BENCH_REPO"
	}
	fmt.Fprintf(b.out, "\ncheck merge: %d commits on %s; medians; × is a multiple of git log -p\n", total, name)
	var rows []row
	for _, n := range b.sizes {
		base, count, err := b.base(ctx, head, n)
		if err != nil {
			return err
		}
		if len(rows) > 0 && rows[len(rows)-1].commits == count {
			fmt.Fprintf(b.out, "(the history is too short for %d commits)\n", n)
			continue
		}
		r, err := b.round(ctx, base, head, count)
		if err != nil {
			return err
		}
		rows = append(rows, r)
	}
	return b.print(rows)
}

// A row is one range measured.
type row struct {
	commits           int
	floor, cold, warm []measured
	outcome           string
}

func (b *bench) round(ctx context.Context, base, head string, commits int) (row, error) {
	r := row{commits: commits}
	rounds := b.rounds
	if commits >= 1000 {
		rounds = min(rounds, 3)
	}
	floor := []string{b.git, "--no-pager", "-C", b.repo, "log", "-p", "--no-ext-diff", "--no-textconv", base + ".." + head, "--"}
	if _, err := b.measure(ctx, floor); err != nil { // reads the packs into memory
		return r, err
	}
	for range rounds {
		state, err := os.MkdirTemp(b.dir, "state")
		if err != nil {
			return r, err
		}
		check := []string{b.binary, "check", "merge", "--repo", b.repo, "--state", filepath.Join(state, "s"),
			"--target", "bench", "--base", base, "--head", head}
		for _, step := range []struct {
			args []string
			into *[]measured
			ok   []int
		}{{floor, &r.floor, nil}, {check, &r.cold, verdicts}, {check, &r.warm, verdicts}} {
			m, err := b.measure(ctx, step.args, step.ok...)
			if err != nil {
				return r, err
			}
			*step.into = append(*step.into, m)
		}
		c, w := r.cold[len(r.cold)-1], r.warm[len(r.warm)-1]
		if c.status != w.status {
			return r, fmt.Errorf("the cold check of %d commits ended with status %d and the warm one with %d", commits, c.status, w.status)
		}
		r.outcome = map[int]string{0: "open", 2: "shut", 3: "waiting"}[c.status]
		if err := os.RemoveAll(state); err != nil {
			return r, err
		}
	}
	return r, nil
}

func (b *bench) print(rows []row) error {
	w := table(b.out)
	fmt.Fprintln(w, "commits\tgit log -p\tcold\t×\twarm\t×\tcold/warm\tCPU cold\twarm\tpeak MiB\twith git\tverdict\t")
	for _, r := range rows {
		f, c, m := median(walls(r.floor)), median(walls(r.cold)), median(walls(r.warm))
		fmt.Fprintf(w, "%d\t%s\t%s\t%.1f\t%s\t%.1f\t%.1f\t%s\t%s\t%s\t%s\t%s\t\n", r.commits, ms(f), ms(c), ratio(c, f), ms(m),
			ratio(m, f), ratio(c, m), ms(median(cpus(r.cold))), ms(median(cpus(r.warm))),
			mib(largest(r.cold, ownPeak)), mib(largest(r.cold, treePeak)), r.outcome)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, r := range rows {
		if c, m := median(walls(r.cold)), median(walls(r.warm)); r.commits == 20 {
			fmt.Fprintf(b.out, "aims for twenty commits: cold %s ms (%s), warm %s ms (%s), %.1f times faster (%s)\n",
				ms(aimCold), met(c <= aimCold), ms(aimWarm), met(m <= aimWarm), aimFaster, met(ratio(c, m) >= aimFaster))
		}
	}
	return nil
}

func met(ok bool) string {
	if ok {
		return "met"
	}
	return "missed in this run"
}

func table(w io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
}

func ms(d time.Duration) string { return strconv.FormatFloat(float64(d)/1e6, 'f', 1, 64) }

func mib(n int64) string {
	if n == 0 {
		return "?"
	}
	return strconv.FormatFloat(float64(n)/(1<<20), 'f', 0, 64)
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(max(b, 1)) }
