package config

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Pipeline says what `sallyport pipeline` does between a commit and its release: tests and a build
// are commands, the rest (scans, bills of materials, statements, signatures, the gate) needs no words.
// Like all of this file it is read at the policy ref, so that a change does not choose how it is tested.
type Pipeline struct {
	// Tests are commands that have to succeed, one after another. Default: none, and then the release
	// gate has no tests to look at.
	Tests []PipelineTest `yaml:"tests"`
	// Build is the command that makes the artifacts. Without it they have to lie there, and
	// provenance of them has to lie beside them.
	Build PipelineBuild `yaml:"build"`
	// Artifacts are patterns of the files that are released, from the top of the work tree: "*" and
	// "?" within a name, "**" for any number of folders. Required; their base names have to differ.
	Artifacts []string `yaml:"artifacts"`
	// Scanners are other people's scanners that have to run as well: gosec, govulncheck. One
	// that is not installed stops the pipeline. Default: none. Sallyport's own scans always run.
	Scanners []string `yaml:"scanners"`
	// Output is the folder that is written, from the top of the work tree: one that no commit has and
	// that .gitignore names. Default: none, and --output-dir has to name one.
	Output string `yaml:"output"`
}

// A PipelineTest is a command that tests.
type PipelineTest struct {
	// Name is what statements call it: small letters, digits and dashes. Required.
	Name string `yaml:"name"`
	// Run is the command and its arguments; no shell reads them. Required.
	Run []string `yaml:"run"`
	// Report is a JUnit or SARIF file that the command writes, from the top of the work tree.
	// Without one all that is known is whether the command succeeded.
	Report string `yaml:"report"`
	// Timeout ends the command: one second to 24h. Default: 30m.
	Timeout string `yaml:"timeout"`
}

// A PipelineBuild is the command that builds.
type PipelineBuild struct {
	// Run is the command and its arguments; no shell reads them.
	Run []string `yaml:"run"`
	// Env names the variables whose values are recorded. The command gets the others as well.
	Env []string `yaml:"env"`
	// Timeout ends the command: one second to 24h. Default: 30m.
	Timeout string `yaml:"timeout"`
}

// DefaultStepTimeout ends a command of the pipeline that says nothing else.
const DefaultStepTimeout = 30 * time.Minute

// Bounds of a pipeline.
const (
	maxSteps     = 64
	maxArguments = 256
	maxArgument  = 8 << 10
	maxTimeout   = 24 * time.Hour
)

// Used reports whether the section is there.
func (p Pipeline) Used() bool { return len(p.Artifacts) > 0 }

// Limit is how long the command may take.
func (t PipelineTest) Limit() time.Duration { return limit(t.Timeout) }

// Limit is how long the command may take.
func (b PipelineBuild) Limit() time.Duration { return limit(b.Timeout) }

func limit(s string) time.Duration {
	if d, err := time.ParseDuration(s); err == nil && s != "" {
		return d
	}
	return DefaultStepTimeout
}

var stepPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`) })

func (p Pipeline) validate(raw map[string]any) error {
	if _, ok := raw["pipeline"]; !ok {
		return nil
	}
	if len(p.Artifacts) == 0 {
		return bad("pipeline.artifacts", "is missing; it has patterns of the files that are released, such as dist/*.tar.gz")
	}
	if len(p.Artifacts) > maxSteps || len(p.Tests) > maxSteps || len(p.Scanners) > maxSteps {
		return bad("pipeline", "has a list of more than %d entries", maxSteps)
	}
	for i, a := range p.Artifacts {
		if a == "" || len(a) > 1024 || path.IsAbs(a) || slices.Contains(strings.Split(a, "/"), "..") || slices.Contains(p.Artifacts[:i], a) {
			return bad("pipeline.artifacts", "%q is empty, leads out of the work tree or stands twice", clip(a))
		}
	}
	for i, t := range p.Tests {
		same := func(o PipelineTest) bool { return o.Name == t.Name }
		if !stepPattern().MatchString(t.Name) || slices.ContainsFunc(p.Tests[:i], same) {
			return bad("pipeline.tests", "%q is no name for a test, or stands twice; it has small letters, digits and dashes", clip(t.Name))
		}
		if err := validateCommand("pipeline.tests."+t.Name, t.Run, t.Timeout); err != nil {
			return err
		}
		if t.Report != "" && (!localPath(t.Report) || strings.ContainsAny(t.Report, "*?[]{}!")) {
			return bad("pipeline.tests."+t.Name+".report", "%q is no path below the top of the work tree, or has one of *?[]{}!", clip(t.Report))
		}
	}
	if p.Build.Run != nil || p.Build.Timeout != "" || p.Build.Env != nil {
		if err := validateCommand("pipeline.build", p.Build.Run, p.Build.Timeout); err != nil {
			return err
		}
	}
	for i, s := range p.Scanners {
		if s != "gosec" && s != "govulncheck" || slices.Contains(p.Scanners[:i], s) {
			return bad("pipeline.scanners", "%q is not gosec or govulncheck, or stands twice", clip(s))
		}
	}
	if p.Output != "" && !localPath(p.Output) {
		return bad("pipeline.output", "%q is no folder below the top of the work tree", clip(p.Output))
	}
	return nil
}

func validateCommand(key string, run []string, timeout string) error {
	if len(run) == 0 || run[0] == "" || len(run) > maxArguments {
		return bad(key+".run", "has no program, or more than %d arguments; it is a list such as [make, test]", maxArguments)
	}
	for _, arg := range run {
		if len(arg) > maxArgument || strings.ContainsRune(arg, 0) {
			return bad(key+".run", "has an argument of more than %d bytes, or with a NUL", maxArgument)
		}
	}
	if d, err := time.ParseDuration(timeout); timeout != "" && (err != nil || d < time.Second || d > maxTimeout) {
		return bad(key+".timeout", "%q is not a time from 1s to 24h", clip(timeout))
	}
	return nil
}

// localPath reports whether p names something below a folder, whatever the system: statements carry it.
func localPath(p string) bool {
	return p == path.Clean(p) && p != "." && p != ".." && !path.IsAbs(p) && !strings.HasPrefix(p, "../") &&
		!strings.ContainsAny(p, "\\\x00") && len(p) <= 1024 && !strings.HasPrefix(p+"/", ".git/")
}
