package rebuild

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The names of the variations.
const (
	VaryPath     = "path"
	VaryHome     = "home"
	VaryEnv      = "environment"
	VaryTime     = "time"
	VaryTimezone = "timezone"
	VaryLocale   = "locale"
	VaryUmask    = "umask"
	VaryOrder    = "file-order"
	VaryUser     = "user"
	VaryNetwork  = "network"
	VaryClock    = "clock"
	VaryHost     = "host"
)

// Optional are the variations that a caller may do without, to find the one that matters.
var Optional = []string{VaryTimezone, VaryLocale, VaryUmask, VaryUser}

// A Variation is something in which the rebuild was, or was not, unlike the attested build.
type Variation struct {
	Name string `json:"name"`
	Made bool   `json:"made"`
	How  string `json:"how"` // with which value; or why not
}

type variations []Variation

func (v *variations) made(name, format string, args ...any) {
	*v = append(*v, Variation{name, true, fmt.Sprintf(format, args...)})
}

func (v *variations) not(name, format string, args ...any) {
	*v = append(*v, Variation{name, false, fmt.Sprintf(format, args...)})
}

func (r *runner) hasVaried(name string) bool {
	return slices.ContainsFunc(r.vary, func(v Variation) bool { return v.Name == name })
}

// environment returns the variables of the command. Where the provenance recorded a variable, the
// rebuild has its value, and no variation of it is claimed.
func (r *runner) environment() []string {
	env := map[string]string{
		"PATH": r.opts.Getenv("PATH"), "HOME": r.run.home, "TMPDIR": r.run.temp, "SHELL": "/bin/sh",
		"USER": r.opts.Getenv("USER"), "LOGNAME": r.opts.Getenv("USER"),
	}
	if r.user {
		env["USER"], env["LOGNAME"] = userName, userName
	}
	for _, name := range r.opts.Pass {
		if v := r.opts.Getenv(name); v != "" {
			env[name] = v
		}
	}
	for name, v := range r.plan.Environment {
		env[name] = v
	}
	if len(r.opts.Pass) == 0 {
		r.vary.made(VaryEnv, "made from nothing: the search path, and what was recorded")
	} else {
		r.vary.made(VaryEnv, "made from nothing: the search path, what was recorded, and %s, which the caller passed on", strings.Join(r.opts.Pass, ", "))
	}
	env["HOME"], env["TMPDIR"], env["PWD"] = r.run.home, r.run.temp, r.run.dir // whatever was recorded: those are gone
	r.zone(env)
	r.locale(env)
	var out []string
	for name, v := range env {
		if v != "" || r.recorded(name) {
			out = append(out, name+"="+v)
		}
	}
	slices.Sort(out)
	return out
}

func (r *runner) recorded(name string) bool { _, ok := r.plan.Environment[name]; return ok }

// given reports whether a variable has its value from the provenance or the caller.
func (r *runner) given(name string) bool {
	return r.recorded(name) || slices.Contains(r.opts.Pass, name)
}

func (r *runner) skip(name string) bool { return slices.Contains(r.opts.Without, name) }

// zone sets a zone that is neither UTC, nor this machine's, nor a whole hour away.
func (r *runner) zone(env map[string]string) {
	switch {
	case r.given("TZ"):
		r.vary.not(VaryTimezone, "TZ is %q, as recorded or passed on", env["TZ"])
		return
	case r.skip(VaryTimezone):
		env["TZ"] = r.opts.Getenv("TZ")
		r.vary.not(VaryTimezone, "as the caller asked")
		return
	}
	here := r.opts.Getenv("TZ")
	for _, z := range []string{"Asia/Kathmandu", "Australia/Eucla"} {
		if _, err := os.Stat(filepath.Join("/usr/share/zoneinfo", z)); err == nil && z != here {
			env["TZ"] = z
			r.vary.made(VaryTimezone, "TZ=%s", z)
			return
		}
	}
	env["TZ"] = "NPT-5:45" // needs no table of zones, but not every language reads it
	r.vary.made(VaryTimezone, "TZ=%s (there is no table of zones here, and some languages do not read this form)", env["TZ"])
}

// locale sets another language than this machine's, among those that are installed: one that is not
// would silently be C again.
func (r *runner) locale(env map[string]string) {
	switch {
	case r.given("LC_ALL") || r.given("LANG"):
		r.vary.not(VaryLocale, "it is recorded or passed on")
		return
	case r.skip(VaryLocale):
		env["LANG"], env["LC_ALL"] = r.opts.Getenv("LANG"), r.opts.Getenv("LC_ALL")
		r.vary.not(VaryLocale, "as the caller asked")
		return
	}
	here := r.opts.Getenv("LC_ALL")
	if here == "" {
		here = r.opts.Getenv("LANG")
	}
	other := "C"
	if here == "" || here == "C" || here == "POSIX" {
		if other = installedLocale(); other == "" {
			env["LC_ALL"] = "C"
			r.vary.not(VaryLocale, "LC_ALL=C: no other one is installed here")
			return
		}
	}
	env["LANG"], env["LC_ALL"] = other, other
	r.vary.made(VaryLocale, "LC_ALL=%s (here: %s)", other, orNone(here))
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// installedLocale returns a language with an order of its own, or else C.UTF-8, if installed.
func installedLocale() string {
	found := ""
	dirs, _ := filepath.Glob("/usr/lib/locale/*/LC_CTYPE")
	for _, d := range dirs {
		name := filepath.Base(filepath.Dir(d))
		if strings.HasPrefix(strings.ToLower(name), "c.utf") {
			if found == "" {
				found = "C.UTF-8"
			}
			continue
		}
		return name
	}
	return found
}

// orderMatters reports whether the file system below dir lists files by when they were created: two
// folders of the same names, filled in both orders.
func orderMatters(dir string) (bool, error) {
	var lists [2][]string
	for i := range lists {
		d, err := os.MkdirTemp(dir, "order-")
		if err != nil {
			return false, err
		}
		defer os.RemoveAll(d)
		names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
		if i == 1 {
			slices.Reverse(names)
		}
		for _, n := range names {
			if err := os.Mkdir(filepath.Join(d, n), 0o700); err != nil {
				return false, err
			}
		}
		f, err := os.Open(d)
		if err != nil {
			return false, err
		}
		lists[i], err = f.Readdirnames(-1)
		f.Close()
		if err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
	}
	return !slices.Equal(lists[0], lists[1]), nil
}

// passed tells how much later the rebuild is.
func (r *runner) passed(now time.Time) {
	if d := now.Sub(r.plan.Finished).Truncate(time.Second); !r.plan.Finished.IsZero() && d >= time.Second {
		r.vary.made(VaryTime, "%s after the attested run", d)
	} else {
		r.vary.not(VaryTime, "no second has passed since the attested run, or it does not say when it was")
	}
	r.vary.not(VaryClock, "the machine's own: it is not set to another day")
	r.vary.not(VaryHost, "the machine's own name, kernel and processors")
}
